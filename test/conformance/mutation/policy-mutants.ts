/** Checks of `src/policy`. */

import type { Mutant } from './mutants.ts'

type Row = Pick<Mutant, 'cases' | 'from' | 'to' | 'without'>

const hosts = (row: Row): Mutant => ({ file: 'policy/decide-host.ts', corpus: ['policy'], unit: 'policy', ...row })
const requests = (row: Row): Mutant => ({
  file: 'policy/decide-request.ts',
  corpus: ['policy'],
  unit: 'policy',
  ...row,
})
const addresses = (row: Row): Mutant => ({
  file: 'policy/decide-address.ts',
  corpus: ['addresses'],
  unit: 'policy',
  ...row,
})
const classes = (row: Row): Mutant => ({
  file: 'policy/address-class.ts',
  corpus: ['addresses'],
  unit: 'policy',
  ...row,
})
const paths = (row: Row): Mutant => ({
  file: 'policy/path-pattern.ts',
  corpus: ['policy'],
  cases: 'POL-2',
  unit: 'policy',
  ...row,
})
const matches = (row: Row): Mutant => ({
  file: 'policy/rule-match.ts',
  corpus: ['policy'],
  cases: 'POL-2',
  unit: 'policy',
  ...row,
})
const foreign = (row: Row): Mutant => ({
  file: 'policy/foreign-credential.ts',
  corpus: ['fields'],
  unit: 'policy',
  ...row,
})
const placeholders = (row: Row): Mutant => ({
  file: 'policy/find-placeholders.ts',
  corpus: ['fields'],
  cases: 'placeholder',
  unit: 'policy',
  ...row,
})
const domains = (row: Row): Mutant => ({
  file: 'policy/domain-pattern.ts',
  corpus: ['policy', 'hosts'],
  unit: 'policy',
  ...row,
})

/** Teredo, local NAT64 and the discard block are refused twice: by name, and as what is not global unicast. */
export const policyMutants: readonly Mutant[] = [
  hosts({
    without: 'deny rules by host',
    from: "if (denied !== undefined) return deny('denied_by_rule'",
    to: "if (denied?.id === '') return deny('denied_by_rule'",
    cases: 'POL-08|POL-25',
  }),
  hosts({
    without: 'deny by default',
    from: 'if (allows.length === 0) return refuseOrAudit(grant, authority, candidates, rules)',
    to: 'if (allows.length === 0 && rules.length > 99) return refuseOrAudit(grant, authority, candidates, rules)',
    cases: 'POL-01|POL-06',
  }),
  hosts({
    without: 'ports',
    from: 'rules.filter((rule) => coversPort(rule, authority.port))',
    to: 'rules.filter((rule) => coversPort(rule, authority.port) || rule.action === "allow")',
    cases: 'POL-09',
  }),
  hosts({
    without: 'interception where rules look inside',
    from: "rule.tls === 'intercept' || looksInside(rule)",
    to: "rule.tls === 'intercept' && rule.id !== ''",
    cases: 'POL-2',
  }),
  hosts({
    without: 'enforcement',
    from: "if (grant.mode === 'enforce' || !auditable",
    to: 'if (!auditable',
    cases: 'POL-01|POL-06|POL-09',
  }),
  {
    ...hosts({
      without: 'the pin of a host',
      from: 'const inside = pinned || candidates',
      to: 'const inside = candidates',
      cases: 'SEC-26p',
    }),
    corpus: ['fields'],
  },

  requests({
    without: 'one authority for permit and request',
    from: 'if (head.authority !== permit.authority && head.authority.text !== permit.authority.text) {',
    to: 'if (head.authority.port === 0) {',
    cases: 'HOST-22',
  }),
  requests({
    without: 'readings of paths',
    from: 'const readings = looksAtPath ? readingsOf(head.path) : [head.path]',
    to: 'const readings = looksAtPath ? (readingsOf(head.path) ?? [head.path]) : [head.path]',
    cases: 'POL-21',
  }),
  requests({
    without: 'deny rules that look inside',
    from: "if (rule.action === 'deny' && rule.body === null)\n      return",
    to: "if (rule.action === 'deny' && rule.id === '')\n      return",
    cases: 'POL-24|POL-25',
  }),
  requests({
    without: 'deny where no rule matches',
    from: "if (grant.mode === 'enforce') return refusal\n    // Nothing",
    to: "if (grant.mode === 'enforce' && refusal.reason === 'host_not_allowed') return refusal\n    // Nothing",
    cases: 'POL-2',
  }),
  requests({
    without: 'rules that match',
    from: 'if (!matchesRule(rule, head, readings)) continue',
    to: "if (rule.action === 'deny' && !matchesRule(rule, head, readings)) continue",
    cases: 'POL-2',
  }),
  {
    ...requests({
      without: 'TLS for credentials',
      from: "if (credential !== null && head.scheme === 'http')",
      to: "if (credential !== null && head.scheme === 'http' && head.path === '')",
      cases: 'SEC-03',
    }),
    corpus: ['fields'],
  },
  {
    ...requests({
      without: 'the refusal of foreign credentials',
      from: 'if (place !== null) {',
      to: "if (place === '') {",
      cases: 'SEC-26',
    }),
    corpus: ['fields'],
  },
  {
    ...requests({
      without: 'the pin where no rule says anything',
      from: "return pinned ? 'deny' : 'allow'",
      to: "return 'allow'",
      cases: 'SEC-26o',
    }),
    corpus: ['fields'],
  },
  {
    ...requests({
      without: 'the strictest of what rules say',
      from: "if (said.includes('deny')) return 'deny'",
      to: '',
      cases: 'SEC-26d',
    }),
    corpus: ['fields'],
  },
  {
    ...requests({
      without: 'addresses of rules',
      from: 'allows.flatMap((one) => (one.addresses === null ? [] : [one.addresses]))',
      to: 'allows.flatMap(() => [])',
      cases: 'IP-',
    }),
    corpus: ['addresses'],
  },

  addresses({
    without: 'own addresses',
    from: 'if (isOwn(inner, authority.port, authority.host.name)) return',
    to: 'if (authority.port < 0) return',
    cases: 'SES-11',
  }),
  addresses({
    without: 'addresses that are never open',
    from: 'if (isNever(kind)) return',
    to: 'if (authority.port < 0) return',
    cases: 'IP-',
  }),
  addresses({
    without: 'public addresses only',
    from: "if (kind !== 'public') return",
    to: 'if (authority.port < 0) return',
    cases: 'IP-',
  }),
  addresses({
    without: "the rule's addresses",
    from: '} else if (!pins.every((list) => holds(list, ip, inner))) {',
    to: "} else if (kind === 'reserved') {",
    cases: 'IP-22',
  }),
  addresses({
    without: 'every answer',
    from: 'for (const ip of answers) {',
    to: 'for (const ip of answers.slice(0, 1)) {',
    cases: 'IP-1|IP-22',
  }),
  addresses({
    without: 'unwrapping for own addresses',
    from: 'if (isOwn(inner, authority.port,',
    to: 'if (isOwn(ip, authority.port,',
  }),

  classes({
    without: 'IPv4-mapped',
    from: 'if (high96 === 0xffffn || high96 === 0xffff_0000n) return',
    to: 'if (high96 === 0xfffdn) return',
    cases: 'IP-1',
  }),
  classes({
    without: 'IPv4-compatible',
    from: 'if (high96 === 0n && value > 1n) return ipv4FromValue(low)',
    to: '',
    cases: 'IP-1',
  }),
  classes({
    without: 'NAT64',
    from: 'if (high96 === 0x64_ff9b_0000_0000_0000_0000n) return ipv4FromValue(low)',
    to: '',
    cases: 'IP-1',
  }),
  classes({
    without: '6to4',
    from: 'if (value >> 112n === 0x2002n) return ipv4FromValue((value >> 80n) & 0xffff_ffffn)',
    to: '',
    cases: 'IP-1',
  }),
  classes({
    without: 'reserved as the default',
    from: "return 'reserved' // IPv6 outside",
    to: "return 'public' // IPv6 outside",
    cases: 'IP-16',
  }),
  ...[
    ["'0.0.0.0/8', ", 'the unspecified network'],
    ["'224.0.0.0/4', ", 'multicast'],
    ["'169.254.0.0/16', ", 'link-local'],
    ["'127.0.0.0/8', ", 'loopback'],
    ["'10.0.0.0/8', ", 'ten'],
    ["'172.16.0.0/12', ", 'RFC 1918, 172.16'],
    ["'192.168.0.0/16', ", 'RFC 1918, 192.168'],
    [", 'fc00::/7'", 'unique local'],
    ["'100.64.0.0/10'", 'carrier NAT'],
    ["'198.18.0.0/15', ", 'benchmarking'],
    ["'192.0.2.0/24', ", 'documentation'],
    ["      '240.0.0.0/4',\n", 'class E'],
    ["      '192.0.0.0/24',\n", 'protocol assignments'],
    ["      '168.63.129.16/32',\n", "Azure's wire server"],
  ].map(
    ([from = '', without = '']): Mutant =>
      classes({ without, from, to: from === "'100.64.0.0/10'" ? "'100.64.0.0/32'" : '', cases: 'IP-1' }),
  ),

  paths({
    without: 'backslashes and double slashes',
    from: "if (path.includes('\\\\') || path.includes('//')) return true",
    to: '',
  }),
  paths({ without: 'double escapes', from: 'if (/%25(?:2e|2f|5c|00)/i.test(path)) return true', to: '' }),
  paths({
    without: 'escapes that are none',
    from: 'if (hex === undefined || !/^[0-9a-f]{2}$/i.test(hex)) return true',
    to: 'if (hex === undefined) return true',
  }),
  paths({
    without: 'control characters in escapes',
    from: 'if (code < 0x20 || code === 0x7f || code === 0x5c) return true',
    to: '',
  }),
  paths({
    without: 'needless escapes',
    from: 'if (/[A-Za-z0-9._~-]/.test(String.fromCharCode(code))) return true',
    to: '',
  }),
  paths({
    without: 'dot segments',
    from: "return path.split('/').some((segment) => /^\\.{1,2}(?:;.*)?$/.test(segment))",
    to: 'return false',
  }),
  paths({ without: 'parameters of dot segments', from: '/^\\.{1,2}(?:;.*)?$/', to: '/^\\.{1,2}$/' }),
  paths({
    without: 'both readings of %2F',
    from: 'if (!/%2f/i.test(path)) return [path]',
    to: 'if (path !== "") return [path]',
  }),
  paths({
    without: 'ambiguity behind %2F',
    from: 'return isAmbiguous(asSlash) ? null : [path, asSlash]',
    to: 'return [path, asSlash]',
  }),

  matches({
    without: 'methods',
    from: 'return rule.methods === null || rule.methods.has(head.method)',
    to: 'return rule.methods === null || rule.methods.has(head.method) || head.method !== ""',
  }),
  matches({
    without: 'paths of allows',
    from: 'if (paths === null) return true',
    to: "if (paths === null || rule.action === 'allow') return true",
  }),
  matches({ without: 'all readings for an allow', from: '? readings.every((path)', to: '? readings.some((path)' }),
  matches({ without: 'any reading for a deny', from: ': readings.some((path)', to: ': readings.every((path)' }),
  matches({ without: 'conditions on the query', from: 'if (!met) return false', to: '', cases: 'POL-23' }),
  matches({
    without: 'one parameter of a name',
    from: 'return found.length === 1 && found[0]',
    to: 'return found[0]',
    cases: 'POL-23',
  }),
  matches({
    without: 'parameters parted by semicolons',
    from: '[byAmpersand, byEither].every(',
    to: '[byAmpersand].every(',
    cases: 'POL-23',
  }),

  foreign({
    without: 'fields',
    from: 'if (!isCredentialField(name)) continue',
    to: "if (name !== '') continue",
    cases: 'SEC-26',
  }),
  foreign({
    without: 'parameters',
    from: 'if (!isCredentialParameter(name)) continue',
    to: 'if (isCredentialParameter(name)) continue',
    cases: 'SEC-26q',
  }),
  foreign({
    without: 'the fold of names',
    from: 'const folded = foldName(name)\n  const is',
    to: 'const folded = name\n  const is',
    cases: 'SEC-26',
  }),
  foreign({
    without: 'escapes in names of parameters',
    from: 'const name = decodedEscapes(equals < 0 ? pair : pair.slice(0, equals))',
    to: 'const name = equals < 0 ? pair : pair.slice(0, equals)',
    cases: 'SEC-26q',
  }),
  foreign({
    without: "the session's own placeholder only",
    from: 'if (placeholder === null) return false',
    to: 'if (placeholder === null) return true',
    cases: 'SEC-26',
  }),

  foreign({
    without: 'keys among subprotocols',
    from: 'if (protocols.some(foreign)) return',
    to: 'if (protocols.length > 99) return',
    cases: 'SEC-26w',
  }),
  foreign({
    without: 'the key that signed',
    from: 'return parseAwsScope(value)?.keyId === placeholder ?',
    to: 'return parseAwsScope(value) !== null ?',
    cases: 'SEC-26|placeholder',
  }),

  placeholders({
    without: 'the path',
    from: 'if (holds(path, placeholder))',
    to: "if (holds('', placeholder))",
  }),
  placeholders({
    without: 'the query',
    from: 'if (query === null || !holds(query, placeholder)) continue',
    to: 'if (query === null || query.length > 0) continue',
  }),
  placeholders({
    without: 'escapes',
    from: "if (text.includes('%') && decodedEscapes(text).includes(placeholder)) return true",
    to: '',
  }),
  placeholders({
    without: "Basic's base64",
    from: 'return basic !== undefined &&',
    to: "return basic === '' &&",
  }),

  domains({ without: 'addresses apart from wildcards', from: 'if (host.ip !== null) return found', to: '' }),
  domains({
    without: 'the apex apart',
    from: 'if (pattern.apex) append(this.#apexToo, pattern.base, entry)',
    to: 'append(this.#apexToo, pattern.base, entry)',
    cases: 'POL-06',
  }),
  domains({ without: 'the head of a label pattern', from: '|| !label.startsWith(head)', to: '', cases: 'POL-06' }),
]
