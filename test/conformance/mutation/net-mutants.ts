/** Checks of `src/net`. */

import type { Mutant } from './mutants.ts'

type Row = Pick<Mutant, 'cases' | 'from' | 'to' | 'without'>

const host = (row: Row): Mutant => ({ file: 'net/host.ts', corpus: ['hosts'], unit: 'net/host.test.ts', ...row })
const ip = (row: Row): Mutant => ({ file: 'net/ip.ts', corpus: ['hosts', 'addresses'], unit: 'net/ip.test.ts', ...row })
const authority = (row: Row): Mutant => ({ file: 'net/authority.ts', corpus: ['hosts'], unit: 'net', ...row })
const head = (row: Row): Mutant => ({ file: 'net/request-head.ts', corpus: ['framing'], unit: 'net', ...row })
const spelled = (row: Row): Mutant => ({ ...head(row), corpus: ['hosts'] })
const out = (row: Row): Mutant => ({ file: 'net/outbound-head.ts', corpus: ['fields', 'policy'], unit: 'net', ...row })
const back = (row: Row): Mutant => ({
  file: 'net/response-head.ts',
  corpus: ['responses', 'fields'],
  unit: 'net',
  ...row,
})
const socks = (row: Row): Mutant => ({ file: 'net/socks.ts', corpus: ['socks'], unit: 'net/socks.test.ts', ...row })

export const netMutants: readonly Mutant[] = [
  host({ without: 'the bound of a name', from: 'if (name.length > 253) return null', to: '', cases: 'HOST-27' }),
  host({
    without: 'the grammar of labels',
    from: 'if (!labels.every((part) => label.test(part))) return null',
    to: '',
    cases: 'HOST-',
  }),
  host({ without: 'the end of a label', from: '{0,61}[a-z0-9_])?$/', to: '{0,61})?$/', cases: 'HOST-27' }),
  host({
    without: 'the refusal of names that end in a number',
    from: "if (/^(?:\\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '')) return null",
    to: '',
    cases: 'IP-09',
  }),
  host({
    without: 'the fold of ASCII alone',
    from: 'text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())',
    to: 'text.toLowerCase()',
    cases: 'HOST-08',
  }),
  host({
    without: 'the fold of a final dot',
    from: "lower.endsWith('.') ? lower.slice(0, -1) : lower",
    to: 'lower',
    cases: 'HOST-28',
  }),
  host({ without: 'the closing bracket', from: "if (!text.endsWith(']')) return null", to: '', cases: 'HOST-06' }),
  host({
    without: 'IPv6 grammar in brackets',
    from: 'const ip = parseIpv6(text.slice(1, -1))',
    to: "const ip = parseIpv6(text.slice(1, -1).split('%', 1)[0] ?? '')",
    cases: 'HOST-16',
  }),
  {
    ...host({
      without: 'the unmapping of literals',
      from: 'return mapped === null ? new Host(ip.text, ip) : new Host(mapped.text, mapped)',
      to: 'void mapped\n  return new Host(ip.text, ip)',
      cases: 'IP-10',
    }),
    corpus: ['addresses'],
  },

  ip({ without: 'the bound of an octet', from: 'if (octet > 255 || (digits', to: 'if ((digits', cases: 'IP-09|IP-10' }),
  ip({
    without: 'the refusal of leading zeros',
    from: "octet > 255 || (digits.length > 1 && digits.startsWith('0'))",
    to: 'octet > 255',
    cases: 'IP-09',
  }),
  ip({ without: 'the bound of one ::', from: 'if (halves.length > 2) return null', to: '', cases: 'IP-10' }),
  ip({
    without: 'the number of groups',
    from: 'if (halves.length === 1 ? missing !== 0 : missing < 1) return null',
    to: 'if (missing < 0) return null',
    cases: 'IP-10|HOST-06',
  }),
  ip({ without: 'the length of a group', from: '/^[0-9a-fA-F]{1,4}$/', to: '/^[0-9a-fA-F]{1,8}$/', cases: 'IP-10' }),
  ip({ without: 'families apart', from: 'if (block.bits !== ip.bits) return false', to: '', cases: 'IP-' }),
  ip({
    without: 'the prefix of a block',
    from: 'return ip.value >> shift === block.base >> shift',
    to: 'void shift\n  return true',
    cases: 'IP-',
  }),
  ip({
    without: 'the unmapping of answers',
    from: 'ip.value >> 32n === 0xffffn ?',
    to: 'ip.value >> 32n === 0xfffen ?',
    cases: 'IP-',
  }),

  authority({
    without: 'the refusal of leading zeros in ports',
    from: '/^[1-9][0-9]{0,4}$/',
    to: '/^[0-9]{1,5}$/',
    cases: 'HOST-17',
  }),
  authority({
    without: 'the bound of ports',
    from: 'return port > 65535 ? null : port',
    to: 'return port % 65536',
    cases: 'HOST-17',
  }),
  authority({
    without: 'the grammar of ports',
    from: 'if (!/^[1-9][0-9]{0,4}$/.test(text)) return null',
    to: '',
    cases: 'HOST-17',
  }),
  authority({
    without: 'the host of CONNECT as a host',
    from: 'const host = parseHost(text.slice(0, colon))\n  const port = parsePort(text.slice(colon + 1))',
    to: "const host = parseHost(text.slice(text.lastIndexOf('@') + 1, colon))\n  const port = parsePort(text.slice(colon + 1))",
    cases: 'HOST-13',
  }),
  authority({
    without: 'ports in the comparison',
    from: 'return a.text === b.text',
    to: 'return a.host.name === b.host.name',
    cases: 'HOST-23',
  }),

  head({
    without: 'the version',
    from: "if (raw.httpVersion !== '1.1' && raw.httpVersion !== '1.0') return malformed('HTTP version is neither 1.1 nor 1.0')",
    to: '',
    cases: 'FRM-20',
  }),
  head({
    without: 'the list of methods',
    from: "if (!forwardable.has(raw.method)) return malformed('method is not one this proxy forwards')",
    to: '',
    cases: 'FRM-21',
  }),
  head({
    without: 'WEBSOCKET as no method of a client',
    from: ".filter((method) => method !== 'WEBSOCKET')",
    to: '',
    cases: 'FRM-21',
  }),
  head({
    without: 'chunked in HTTP/1.1 only',
    from: "if (scan.chunked && raw.httpVersion === '1.0') return malformed('Transfer-Encoding in HTTP/1.0')",
    to: '',
    cases: 'FRM-07',
  }),
  spelled({
    without: 'what may be said of Host',
    from: "if (host === null) return malformed('Host field is not a host with an optional port')\n  if (!same",
    to: 'if (host !== null && !same',
    cases: 'HOST-2',
  }),
  spelled({
    without: 'Host against target',
    from: 'if (!sameAuthority(host, target.authority)) {',
    to: 'if (host.text === ".") {',
    cases: 'HOST-22|HOST-23|TUN-01',
  }),
  {
    ...head({
      without: 'GET of a WebSocket handshake',
      from: "if (webSocket && raw.method !== 'GET') return malformed('WebSocket handshake without GET')",
      to: '',
      cases: 'WS-06',
    }),
    corpus: ['policy'],
  },
  {
    ...head({
      without: 'WEBSOCKET as a method of its own',
      from: "method: webSocket ? 'WEBSOCKET' : raw.method",
      to: 'method: raw.method',
      cases: 'POL-22w',
    }),
    corpus: ['policy'],
  },
  {
    ...head({
      without: 'the whole value of Upgrade',
      from: 'upgradeWebSocket = /^websocket$/i.test(value)',
      to: 'upgradeWebSocket = /websocket/i.test(value)',
      cases: 'WS-03',
    }),
    corpus: ['policy'],
  },
  {
    ...head({
      without: 'whole tokens of Connection',
      from: "connectionUpgrade ||= token === 'upgrade'",
      to: "connectionUpgrade ||= token.includes('upgrade')",
      cases: 'WS-03',
    }),
    corpus: ['policy'],
  },
  head({
    without: 'the characters of a target',
    from: "if (!/^[!\"$-~]+$/.test(text)) return malformed('request target has characters that no target may have')",
    to: '',
    cases: 'FRM-23',
  }),
  spelled({
    without: 'origin-form in tunnels',
    from: "if (!text.startsWith('/')) return malformed('inside a tunnel the request target is a path')",
    to: '',
    cases: 'HOST-20',
  }),
  spelled({
    without: 'http as the only scheme of a target',
    from: '/^http:\\/\\/([^/?]*)(.*)$/i',
    to: '/^[a-z_]+:\\/\\/([^/?]*)(.*)$/i',
    cases: 'HOST-20',
  }),
  {
    ...head({
      without: 'the number of fields',
      from: "if (fields.length / 2 > fieldCountMax) return malformed('too many fields')\n  let host: string | null = null\n  let length",
      to: 'let host: string | null = null\n  let length',
      cases: 'HDR-08|FRM-27',
    }),
    corpus: ['fields', 'framing'],
  },
  {
    ...head({
      without: 'what Connection may not name',
      from: 'if (notNominable.test(token))',
      to: "if (token === '?')",
      cases: 'FRM-15|HDR-01',
    }),
    corpus: ['framing', 'fields'],
  },
  head({
    without: 'one Content-Length',
    from: "if (length !== null) return malformed('more than one Content-Length')",
    to: '',
    cases: 'FRM-02',
  }),
  head({
    without: 'one Expect',
    from: "if (expect !== null) return malformed('more than one Expect')",
    to: '',
    cases: 'FRM-18',
  }),
  spelled({
    without: 'one Host',
    from: "if (host !== null) return malformed('more than one Host field')\n        host = value",
    to: 'host = value',
    cases: 'HOST-24',
  }),
  head({
    without: 'one Transfer-Encoding',
    from: "if (coding !== null) return malformed('more than one Transfer-Encoding')",
    to: '',
    cases: 'FRM-04',
  }),
  spelled({
    without: 'Host at all',
    from: "if (host === null) return malformed('no Host field')",
    to: "host ??= 'good.test'",
    cases: 'HOST-24',
  }),
  head({
    without: 'one framing',
    from: "if (length !== null && coding !== null) return malformed('Content-Length beside Transfer-Encoding')",
    to: '',
    cases: 'FRM-01',
  }),
  head({ without: 'plain lengths', from: '/^(?:0|[1-9][0-9]{0,14})$/', to: '/^[0-9]{1,15}$/', cases: 'FRM-03' }),
  head({
    without: 'chunked as the only coding',
    from: '/^chunked$/i',
    to: '/chunked$/i',
    cases: 'FRM-04',
  }),
  head({
    without: 'no 100 Continue in HTTP/1.0',
    from: "scan.expectContinue && raw.httpVersion === '1.1'",
    to: 'scan.expectContinue',
    cases: 'FRM-18o',
  }),
  head({
    without: '100-continue as the only Expect',
    from: "if (expect !== null && !/^100-continue$/i.test(expect)) return malformed('Expect is not 100-continue')",
    to: '',
    cases: 'FRM-18',
  }),
  spelled({
    without: 'CONNECT without a body',
    from: "if (name === 'transfer-encoding' || name === 'content-length') return malformed('CONNECT with a body')",
    to: '',
    cases: 'HOST-25',
  }),
  spelled({
    without: 'the Host of CONNECT',
    from: 'if (named.host.name !== authority.host.name || (!portless && named.port !== authority.port)) {',
    to: 'if (portless && named.port === 0) {',
    cases: 'HOST-25',
  }),
  spelled({
    without: 'a Host of CONNECT that is one',
    from: "if (named === null) return malformed('Host field is not a host with an optional port')",
    to: 'if (named === null) return null',
    cases: 'HOST-25',
  }),

  {
    ...out({
      without: 'hop-by-hop fields',
      from: 'if (isHopByHop(folded) || neverForwarded',
      to: 'if (neverForwarded',
      cases: 'HDR-05',
    }),
  },
  {
    ...out({
      without: 'fields that no rule judged',
      from: 'isHopByHop(folded) || neverForwarded.has(folded) ||',
      to: "isHopByHop(folded) || folded === 'host' || folded === 'content-length' ||",
      cases: 'HDR-11|POL-22o',
    }),
  },
  {
    ...out({
      without: 'fields that Connection names',
      from: '|| nominated.has(lower)) continue',
      to: ') continue',
      cases: 'HDR-05',
    }),
  },
  {
    ...out({
      without: 'fields of our own voice',
      from: "if (folded.startsWith('x-egress-') || folded",
      to: 'if (folded',
      cases: 'HDR-11',
    }),
  },
  {
    ...out({
      without: 'gossip of proxies',
      from: "folded.startsWith('x-forwarded-') || drop",
      to: 'drop',
      cases: 'HDR-11',
    }),
  },
  {
    ...out({
      without: 'what stays behind',
      from: ' || drop(lower, value)) continue',
      to: ') continue',
      cases: 'HDR-03|HDR-04',
    }),
  },
  {
    ...out({
      without: 'the judged Host',
      from: 'const host = hostField(head.authority, head.scheme)\n',
      to: "const host = head.fields[head.fields.findIndex((name) => name.toLowerCase() === 'host') + 1] ?? ''\n",
      cases: 'HOST-28',
    }),
    corpus: ['hosts'],
  },
  {
    ...out({
      without: 'the query',
      from: 'head.query === null ? head.path : `${head.path}?${head.query}`',
      to: 'head.path',
      cases: 'FRM-23x|POL-21p',
    }),
    corpus: ['framing', 'policy'],
  },
  ...['te', 'upgrade', 'proxy-authorization', 'keep-alive', 'trailer', 'proxy-connection', 'http2-settings'].map(
    (name): Mutant => ({
      file: 'net/fields.ts',
      without: `${name} among hop-by-hop fields`,
      from: `  '${name}',\n`,
      to: '',
      corpus: ['fields'],
      cases: 'HDR-05|HDR-10|HDR-13',
      unit: 'net/fields.test.ts',
    }),
  ),

  back({
    without: 'statuses a client could be sent',
    from: '|| status < 200 || status > 999',
    to: '',
    cases: 'RSP-01|RSP-04',
  }),
  back({
    without: 'hop-by-hop fields of answers',
    from: 'if (isHopByHop(lower) || neverReturned',
    to: 'if (neverReturned',
    cases: 'RSP-10',
  }),
  back({ without: 'what leads around us', from: '|| neverReturned.has(lower) ||', to: '||', cases: 'RSP-10' }),
  back({
    without: 'forged refusals',
    from: " || lower.startsWith('x-egress-')) continue",
    to: ') continue',
    cases: 'RSP-10',
  }),
  back({
    without: 'cookies of pinned hosts',
    from: "if (cookies !== 'pass' && (lower",
    to: 'if (cookies === undefined && (lower',
    cases: 'HDR-12',
  }),
  back({
    without: 'fields that Connection of an answer names',
    from: 'nominated.length === 0',
    to: 'nominated.length >= 0',
    cases: 'RSP-10',
  }),
  back({
    without: 'Content-Length whatever Connection says',
    from: "name !== 'content-length' && nominated",
    to: 'nominated',
    cases: 'RSP-11',
  }),
  back({ without: 'printable reason phrases', from: "text.replace(/[^ -~]/g, '?')", to: 'text', cases: 'RSP-12' }),

  socks({ without: 'CONNECT only', from: 'if (command !== connectCommand)', to: 'if (command === 0)' }),
  socks({ without: 'the reserved byte', from: 'if (reserved !== 0)', to: 'if (reserved < 0)' }),
  socks({
    without: 'the version of a request',
    from: "if (spoken !== version) return failed('the request is not of version 5')",
    to: '',
  }),
  socks({
    without: 'the version of credentials',
    from: 'if (spoken !== credentialsVersion)',
    to: 'if (spoken > 99)',
  }),
  socks({ without: 'the one pair of a name and a token', from: "user.includes(':') ? 'Basic' : ", to: '' }),
]
