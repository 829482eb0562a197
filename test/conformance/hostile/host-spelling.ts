/** HOST: one canonical host; whatever is not plainly a name or a literal is refused, never repaired (RFC 9110 §4.2, RFC 9112 §3.2). */

import { expect } from 'vitest'
import {
  asHttp,
  everywhere,
  type Expectation,
  type HostileCase,
  malformed,
  noTunnel,
  notAllowed,
  passed,
  refused,
  shown,
  type Spot,
  utf8,
  variants,
} from './case.ts'

/** No host at all. Each once reached a resolver, or matched a list, in some proxy. */
export const noHosts: readonly (readonly [id: string, text: string])[] = [
  ['HOST-01', 'evil.test\0.good.test'],
  ['HOST-01', 'good.test\0'],
  ['HOST-01', '127.0.0.1\0.good.test'],
  ['HOST-02', 'evil.test%00.good.test'],
  ['HOST-02', 'good.test%00'],
  ...['\r', '\n', '\t', '\x01', '\x7f', ' ', '\r\n', '\x0b', '\x1f'].map(
    (c) => ['HOST-03', `evil.test${c}.good.test`] as const,
  ),
  ...[
    '[[good.test]]',
    '[good.test]',
    '[127.0.0.1]',
    '[::1',
    '::1]',
    '[]',
    '[::1]x',
    'x[::1]',
    '[::1]]',
    '[good.test',
    '[::1].good.test',
  ].map((text) => ['HOST-06', text] as const),
  ...['\u212Aelvin.test', 'good.te\u017Ft', '\u0130.good.test', '\u0131.good.test'].map(
    (text) => ['HOST-08', utf8(text)] as const,
  ),
  ...['ｇｏｏｄ.test', 'good。test', 'good．test', '①②⑦.0.0.1', 'gооd.test'].map(
    (text) => ['HOST-09', utf8(text)] as const,
  ),
  ...['g%6fod.test', 'evil%2etest', 'good.test%2eevil.test', 'good.test%2e', '%67ood.test', 'good%E3%80%82test'].map(
    (text) => ['HOST-10', text] as const,
  ),
  ...['go\u00ADod.test', 'go\u200Bod.test', 'go\u200Cod.test', 'good.test\uFEFF'].map(
    (text) => ['HOST-11', utf8(text)] as const,
  ),
  ['HOST-11', 'go\xADod.test'],
  ...['good.test@evil.test', 'u:p@good.test', 'good.test:80@evil.test', '@good.test', 'good.test@'].map(
    (text) => ['HOST-13', text] as const,
  ),
  ...[
    'evil.test?.good.test',
    'evil.test#.good.test',
    'evil.test\\.good.test',
    'evil.test;.good.test',
    'evil.test,good.test',
    'a*b.good.test',
    '*.good.test',
  ].map((text) => ['HOST-15', text] as const),
  ...['[::1%25.good.test]', '[::ffff:1.2.3.4%x.good.test]', '[fe80::1%eth0]', '[::1%lo]', '127.0.0.1%lo'].map(
    (text) => ['HOST-16', text] as const,
  ),
  ...[
    '999.1.1.1',
    '1.2.3.256',
    '1.2.3.4.5',
    '08.1.1.1',
    '0x',
    '127.1',
    '0x7f000001',
    '2130706433',
    '017700000001',
    '127.0.0.01',
    '0x7f.1',
    '1.2.3',
    '256',
    'good.test.1',
    'good.0x7f',
    '127.0.0.1.',
    '1.2.3.4..',
  ].map((text) => ['IP-09', text] as const),
  ...[
    'good..test',
    '.good.test',
    'good.test..',
    '.',
    '..',
    '-good.test',
    'good-.test',
    `${'a'.repeat(64)}.test`,
    `${'a.'.repeat(127)}test`,
    `${'a.'.repeat(125)}test`,
    'good!.test',
    "good'.test",
    'good_test.$',
  ].map((text) => ['HOST-27', text] as const),
  ...[
    '::1',
    '::',
    '::ffff:127.0.0.1',
    '[::1::2]',
    '[12345::]',
    '[1:2:3:4:5:6:7:8:9]',
    '[::1.2.3.256]',
    '[0::0::1]',
    '[:::1]',
  ].map((text) => ['IP-10', text] as const),
] // prettier-ignore

/** Names and literals that are well-formed and that no rule allows. */
const strangers = [
  'evil.test',
  'EVIL.test',
  'evilgood.test',
  'good.test.evil.test',
  'good.tes',
  'ood.test',
  'xgood.test',
  'good-test',
  'test',
  'localhost',
  'LOCALHOST.',
  'foo.localhost',
  '127.0.0.1.nip.io',
  'intranet',
  'metadata',
  'metadata.google.internal',
  'good.test.corp',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'xn--bcher-kva.test',
  '127.0.0.1',
  '[::1]',
  '0.0.0.0',
  '[::]',
  '169.254.169.254',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[::127.0.0.1]',
  '[64:ff9b::7f00:1]',
  '[2002:7f00:1::]',
  '8.8.8.8',
  `${'736563726574'.repeat(5)}.evil.test`,
  'dns.google',
] // prettier-ignore

/** What every spelling of good.test that is one must become. */
const sameHosts = ['GOOD.TEST', 'Good.Test', 'good.test.', 'GOOD.test.']

const ports = [
  '0',
  '65536',
  '-1',
  '+443',
  ' 443',
  '0443',
  'https',
  '443:443',
  '443/',
  '',
  '4 43',
  '1e3',
  '0x1bb',
  '٤٤٣',
  '443\t',
  '18446744073709551616',
] // prettier-ignore

export const hostSpelling: readonly HostileCase[] = [
  ...noHosts.flatMap(([id, text], index) =>
    spelled(`${id}-${index}`, text, malformed, refused(400, 'malformed_request')),
  ),
  ...strangers.flatMap((text, index) =>
    spelled(`POL-05-${index}`, text, notAllowed, refused(421, 'authority_mismatch')),
  ),
  ...variants('HOST-28', sameHosts, (text) => ({
    what: `${text} is good.test, and reaches the origin as that`,
    send: (spot) => {
      const authority = `${text}:${spot.port}`
      return `GET ${spot.place === 'proxy' ? `http://${authority}/` : '/'} HTTP/1.1\r\nHost: ${authority}\r\n${spot.proof}\r\n`
    },
    expect: passed(({ requests, spot }) => expect(requests[0]?.host).toBe(spot.authority)),
  })),
  ...variants('HOST-28c', sameHosts, (text) => ({
    what: `CONNECT ${text} opens a tunnel to good.test`,
    places: ['proxy'],
    send: (spot) => `CONNECT ${text}:${spot.ports.https} HTTP/1.1\r\n${spot.proof}\r\n`,
    expect: { statuses: [200], after: 'open', records: ['abandoned'], requests: 0 },
  })),
  ...variants('HOST-17c', ports, (port) => ({
    what: `CONNECT to port "${shown(utf8(port))}"`,
    places: ['proxy'],
    send: (spot) => `CONNECT good.test:${utf8(port)} HTTP/1.1\r\n${spot.proof}\r\n`,
    expect: malformed,
  })),
  ...variants('HOST-17w', [443, 80], (port) => ({
    what: `CONNECT to a port that is ${port} to a parser that wraps`,
    places: ['proxy'],
    send: (spot) => `CONNECT good.test:${65536 + port} HTTP/1.1\r\n${spot.proof}\r\n`,
    expect: malformed,
  })),
  {
    id: 'HOST-17n',
    what: 'CONNECT without a port',
    places: ['proxy'],
    send: (spot) => `CONNECT good.test HTTP/1.1\r\n${spot.proof}\r\n`,
    expect: malformed,
  },
  ...variants('HOST-17r', ports, (port) => ({
    what: `a target with port "${shown(utf8(port))}"`,
    places: ['proxy'],
    send: (spot) =>
      `GET http://good.test:${utf8(port)}/ HTTP/1.1\r\nHost: good.test:${utf8(port)}\r\n${spot.proof}\r\n`,
    expect: malformed,
  })),
  ...variants(
    'HOST-17h',
    ports.filter((port) => port.trim() === port && !port.includes('\t')),
    (port) => ({
      what: `a Host field with port "${shown(utf8(port))}"`,
      send: (spot) => `GET ${spot.target('/')} HTTP/1.1\r\nHost: good.test:${utf8(port)}\r\n${spot.proof}\r\n`,
      expect: malformed,
    }),
  ),
  ...variants(
    'HOST-20',
    ['ftp', 'gopher', 'file', 'https', 'cache_object', 'ws', 'wss', 'httpx', 'javascript', 'HTTPS'],
    (scheme) => ({
      what: `scheme ${scheme} on the proxy port, or in a tunnel (TUN-06)`,
      send: (spot) => `GET ${scheme}://${spot.authority}/ HTTP/1.1\r\n${spot.lines}\r\n`,
      expect: malformed,
    }),
  ),
  ...variants(
    'HOST-20x',
    [
      '*',
      'good.test',
      '//good.test/',
      'http:/good.test/',
      'http:good.test',
      'http:///',
      'http://',
      '/',
      '?',
      'http//good.test/',
    ],
    (target) => ({
      what: `target "${target}" on the proxy port`,
      places: ['proxy'],
      send: (spot) => `GET ${target} HTTP/1.1\r\n${spot.lines}\r\n`,
      expect: malformed,
    }),
  ),
  ...variants(
    'HOST-22',
    ['evil.test', 'evil.test:80', 'good.test.evil.test', '127.0.0.1', '[::1]', 'x.good.test'],
    (host) => ({
      what: `Host: ${host} on a request for good.test (TUN-01)`,
      send: (spot) => `GET ${spot.target('/')} HTTP/1.1\r\nHost: ${host}\r\n${spot.proof}\r\n`,
      expect: refused(421, 'authority_mismatch'),
    }),
  ),
  ...variants('HOST-23', ['good.test:1', 'good.test'], (host) => ({
    what: `Host: ${host}, another port`,
    send: (spot) => `GET ${spot.target('/')} HTTP/1.1\r\nHost: ${host}\r\n${spot.proof}\r\n`,
    expect: refused(421, 'authority_mismatch'),
  })),
  ...variants(
    'HOST-24',
    [
      (a: string) => `Host: ${a}, evil.test\r\n`,
      (a: string) => `Host: ${a}\r\nHost: evil.test\r\n`,
      (a: string) => `Host: evil.test\r\nHost: ${a}\r\n`,
      (a: string) => `Host: ${a}\r\nhost: ${a}\r\n`,
      () => 'Host:\r\n',
      () => 'Host: \r\n',
      () => '',
      (a: string) => `Host: http://${a}\r\n`,
      (a: string) => `Host: ${a}/\r\n`,
      (a: string) => `Host: ${a} evil.test\r\n`,
      (a: string) => `Host: u@${a}\r\n`,
    ],
    (lines) => ({
      what: `Host as ${shown(lines('A'))}`,
      send: (spot) => `GET ${spot.target('/')} HTTP/1.1\r\n${lines(spot.authority)}${spot.proof}\r\n`,
      expect: malformed,
    }),
  ),
  {
    id: 'HOST-24z',
    what: 'no Host in HTTP/1.0',
    send: (spot) => `GET ${spot.target('/')} HTTP/1.0\r\n${spot.proof}\r\n`,
    expect: malformed,
  },
  ...variants('HOST-25', ['evil.test:443', 'good.test:1', 'evil.test', 'good.test@evil.test', ''], (host) => ({
    what: `CONNECT good.test with Host: ${host}`,
    places: ['proxy'],
    send: (spot) => `CONNECT good.test:${spot.ports.https} HTTP/1.1\r\nHost: ${host}\r\n${spot.proof}\r\n`,
    expect: malformed,
  })),
  {
    id: 'HOST-25z',
    what: 'CONNECT with a body of its own',
    places: ['proxy'],
    send: (spot) => `CONNECT good.test:${spot.ports.https} HTTP/1.1\r\nContent-Length: 5\r\n${spot.proof}\r\nhello`,
    expect: malformed,
  },
  ...variants(
    'HOST-25x',
    ['/x', 'http://good.test:443/', 'https://good.test:443', '*', 'good.test:443?x', 'good.test:443#x'],
    (target) => ({
      what: `CONNECT ${target}`,
      places: ['proxy'],
      send: (spot) => `CONNECT ${target} HTTP/1.1\r\n${spot.proof}\r\n`,
      expect: malformed,
    }),
  ),
  {
    id: 'HOST-25y',
    what: 'CONNECT in HTTP/1.0 without Host, as Python sends it',
    places: ['proxy'],
    send: (spot) => `CONNECT good.test:${spot.ports.https} HTTP/1.0\r\n${spot.proof}\r\n`,
    expect: { statuses: [200], after: 'open', records: ['abandoned'], requests: 0 },
  },
  ...variants('TUN-07', ['evil.test:443', 'good.test:443', '127.0.0.1:22'], (target) => ({
    what: `CONNECT ${target} inside a tunnel`,
    places: ['tunnel', 'clear'],
    send: () => `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`,
    expect: malformed,
  })),
]

/** Where *.good.test is allowed beside good.test. */
export const belowGood: readonly HostileCase[] = [
  ...[
    'foo_bar.good.test',
    'a.good.test',
    'a.b.c.good.test',
    'xn--bcher-kva.good.test',
    '_dmarc.good.test',
    '1.good.test',
    'a--b.good.test',
  ].map(
    (host, index): HostileCase => ({
      id: `HOST-26-${index}`,
      what: `${host} is a name below good.test`,
      host,
      send: (spot) => `GET ${spot.target('/')} HTTP/1.1\r\n${spot.lines}\r\n`,
      expect: passed(),
    }),
  ),
  ...noHosts
    .filter(([, text]) => /good/.test(text))
    .flatMap(([id, text], index) => spelled(`${id}-w${index}`, text, malformed, refused(400, 'malformed_request'))),
  ...strangers.flatMap((text, index) =>
    spelled(`POL-05-w${index}`, text, notAllowed, refused(421, 'authority_mismatch')),
  ),
  ...variants('TUN-01', ['x.good.test', 'good.test.', 'GOOD.test'], (host) => ({
    what: `a tunnel to a.good.test and Host: ${host}`,
    host: 'a.good.test',
    places: ['tunnel', 'clear'],
    send: (spot: Spot) => `GET / HTTP/1.1\r\nHost: ${host}:${spot.port}\r\n\r\n`,
    expect: refused(421, 'authority_mismatch'),
  })),
]

/** The text as target of CONNECT, as target of a request, and as Host field inside tunnels. */
function spelled(id: string, text: string, asTarget: Expectation, asHost: Expectation): HostileCase[] {
  const named = shown(text)
  // What ends a line or a field is another request; that it is refused is the business of other cases.
  const asField =
    /[\r\n]/.test(text) || text !== text.trim()
      ? []
      : [
          {
            id: `${id}h`,
            what: `Host: ${named} in a tunnel to good.test`,
            places: everywhere.filter((place) => place !== 'proxy'),
            send: (spot: Spot) => `GET / HTTP/1.1\r\nHost: ${text}:${spot.port}\r\n\r\n`,
            expect: asHost,
          },
        ]
  return [
    {
      id: `${id}c`,
      what: `CONNECT ${named}`,
      places: asHttp.filter((place) => place === 'proxy'),
      send: (spot) => `CONNECT ${text}:${spot.ports.https} HTTP/1.1\r\n${spot.proof}\r\n`,
      expect: asTarget === notAllowed ? noTunnel('host_not_allowed') : asTarget,
    },
    {
      id: `${id}t`,
      what: `GET http://${named}/`,
      places: ['proxy'],
      send: (spot) =>
        `GET http://${text}:${spot.port}/ HTTP/1.1\r\nHost: ${/[\r\n\0]/.test(text) ? 'good.test' : text}:${spot.port}\r\n${spot.proof}\r\n`,
      expect: asTarget,
    },
    ...asField,
  ]
}
