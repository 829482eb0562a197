/** HDR, SEC: what of a client's fields goes out, and the one credential that does (RFC 9110 §7.6.1). */

import { expect } from 'vitest'
import { valuesOf } from '../../support/strict-http.ts'
import type { WorldOptions } from '../../support/world.ts'
import { type HostileCase, malformed, passed, refused, request, type Seen, type Spot, variants } from './case.ts'

export const canary = 'canary-7c1f0e9a55d24b6b8f3e-secret'

/** `pinned.test` takes no credential of the client's, `strip.test` leaves them behind, `bearer.test` puts on Authorization. */
export const fieldsWorld: Partial<WorldOptions> = {
  dns: { '*.test': { a: ['127.0.0.1'] } },
  secrets: { CANARY: canary },
  credentials: [
    {
      name: 'key',
      kind: 'header',
      header: 'X-Api-Key',
      secret: { env: 'CANARY' },
      hosts: ['pinned.test', 'ports.test', 'strip.test'],
    },
    { name: 'token', kind: 'bearer', secret: { env: 'CANARY' }, hosts: ['bearer.test'] },
    { name: 'absent', kind: 'bearer', secret: { env: 'NOT_SET' }, hosts: ['absent.test'] },
    {
      name: 'swap',
      kind: 'placeholder',
      in: [{ header: 'X-Api-Key' }, { basic: true }, { query: 'key' }],
      secret: { env: 'CANARY' },
      hosts: ['swap.test'],
      placeholder: { env: 'SWAP' },
    },
    {
      name: 'aws',
      kind: 'aws-sigv4',
      accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
      secret: { env: 'CANARY' },
      hosts: ['aws.test'],
      placeholder: { env: 'AWS_ACCESS_KEY_ID', like: 'AKIA{17}' },
    },
    {
      name: 'asked',
      kind: 'bearer',
      secret: { env: 'CANARY' },
      hosts: ['asked.test'],
      placeholder: { env: 'ASKED' },
      require: 'placeholder',
    },
  ],
  rules: ({ http, https }) => {
    const common = { ports: [http, https], addresses: ['127.0.0.0/8'], tls: 'intercept' }
    return [
      { ...common, host: 'good.test' },
      { ...common, host: 'pinned.test', paths: ['/with'], credential: 'key' },
      { ...common, host: 'pinned.test' },
      { ...common, host: 'strip.test', credential: 'key', foreignCredentials: 'strip' },
      { ...common, host: 'bearer.test', credential: 'token', foreignCredentials: 'strip' },
      { ...common, host: 'absent.test', credential: 'absent' },
      { ...common, host: 'swap.test', credential: 'swap' },
      { ...common, host: 'asked.test', credential: 'asked' },
      { ...common, host: 'aws.test', credential: 'aws' },
      { ...common, host: 'ports.test', ports: [http], credential: 'key' },
      { ports: [https], addresses: common.addresses, host: 'ports.test' },
      { ...common, host: 'clean.test', foreignCredentials: 'deny' },
    ]
  },
}

const hopLines = [
  'Connection: keep-alive, X-Private',
  'Keep-Alive: timeout=5',
  'Proxy-Connection: keep-alive',
  'Proxy-Authenticate: Basic',
  'TE: trailers',
  'Trailer: X-T',
  'Upgrade: h2c',
  'HTTP2-Settings: AAMAAABkAAQAAP__',
  'X-Private: secret',
  'X-Kept: kept',
  'Proxy-Authentication-Info: x',
] // prettier-ignore

/** Places of X-Api-Key, in every spelling some server reads as that. */
const keySpellings = [
  'X-Api-Key',
  'x-api-key',
  'X_Api_Key',
  'x.api.key',
  'X-API-KEY',
  'HTTP_X_API_KEY',
  'X-Api-Key-',
  'x_api_key_',
  'Api-Key',
  'apikey',
  'Authorization',
  'authorization',
  'AUTHORIZATION',
  'Authorization_',
  'HTTP_AUTHORIZATION',
  'X-Authorization',
  'X-Auth-Token',
  'X-Goog-Api-Key',
  'Private-Token',
  'X-Amz-Security-Token',
  'X-Ms-Authorization-Auxiliary',
  'X_AuthToken',
  'Cf-Access-Jwt-Assertion',
  'DD-Application-Key',
] // prettier-ignore

const keyParameters = [
  'api_key',
  'apikey',
  'key',
  'access_token',
  'token',
  'API_KEY',
  'api%5Fkey',
  'api.key',
  'X-Amz-Signature',
  'x-goog-credential',
  'X-Api-Token',
  'authToken',
  'jwt',
  'client_assertion',
] // prettier-ignore

const onceOurs = ({ requests: [sent] }: Seen): void => {
  if (sent === undefined) return expect.fail()
  expect(valuesOf(sent, 'x-api-key')).toEqual([canary])
  const others = sent.fields.filter(
    ([name]) =>
      !['host', 'connection', 'x-api-key', 'accept-encoding', 'content-length', 'transfer-encoding'].includes(name),
  )
  expect(others).toEqual([])
  expect(sent.target).not.toMatch(/attacker/)
}

/** A GET with so many fields, Host and credentials included. */
function fieldsInAll(spot: Spot, count: number): string {
  const already = spot.lines.split('\r\n').length - 1
  return `GET ${spot.target('/')} HTTP/1.1\r\n${spot.lines}${'X-N: 1\r\n'.repeat(count - already)}\r\n`
}

const tunnel = { places: ['tunnel'] } as const

export const fields: readonly HostileCase[] = [
  ...variants(
    'HDR-01',
    [
      'authorization',
      'close, X-Api-Key',
      'cookie',
      'x-goog-api-key',
      'content-type',
      'forwarded',
      'via',
      'x-amz-date',
      'range',
      'x-forwarded-for',
    ],
    (token) => ({
      what: `Connection: ${token} would make a field vanish that decides`,
      send: request('GET', `Connection: ${token}\r\n`),
      expect: malformed,
    }),
  ),
  {
    id: 'HDR-05',
    what: 'no field of this hop goes on; the others do',
    send: request('GET', hopLines.map((line) => `${line}\r\n`).join('')),
    expect: passed(({ requests: [sent] }) => {
      const names = sent?.fields.map(([name]) => name) ?? []
      expect(names.filter((name) => name !== 'host' && name !== 'connection')).toEqual(['x-kept'])
    }),
  },
  {
    id: 'HDR-08',
    what: 'four thousand fields named like integers',
    send: request('GET', Array.from({ length: 4000 }, (_, index) => `${index}:\r\n`).join('')),
    expect: malformed,
  },
  ...variants('HDR-08', [257, 258, 300, 900], (count) => ({
    what: `${count} fields, more than are looked at`,
    send: (spot) => fieldsInAll(spot, count),
    expect: malformed,
  })),
  {
    id: 'HDR-08z',
    what: '256 fields, as many as are looked at',
    send: (spot) => fieldsInAll(spot, 256),
    expect: passed(({ requests: [sent] }) => expect(sent === undefined ? [] : valuesOf(sent, 'x-n')).not.toEqual([])),
  },
  {
    id: 'HDR-09',
    what: 'one field of 40 KB',
    send: request('GET', `X-Long: ${'x'.repeat(40_000)}\r\n`),
    expect: malformed,
  },
  {
    id: 'HDR-10',
    what: 'nothing of the proxy is told to the origin, and nothing to the client',
    send: request('GET'),
    expect: passed(({ requests: [sent], responses: [told] }) => {
      expect(sent?.fields.map(([name]) => name).filter((name) => name !== 'host' && name !== 'connection')).toEqual([])
      expect(
        told?.fields
          .map(([name]) => name)
          .filter((name) => !['content-length', 'connection', 'keep-alive'].includes(name)),
      ).toEqual([])
    }),
  },
  ...variants(
    'HDR-11',
    [
      'X-Proxy-Session: other',
      'X-Egress-Decision: allow',
      'X-Egress-Session: s-1',
      'X-Unix-Socket: /var/run/docker.sock',
      'X-Forwarded-Host: evil.test',
      'X-Original-Host: evil.test',
      'Forwarded: host=evil.test',
      'X-Forwarded-For: 127.0.0.1',
    ],
    (line) => ({
      what: `${line} selects nothing`,
      send: request('GET', `${line}\r\n`),
      expect: passed(({ requests: [sent] }) => {
        const name = line.slice(0, line.indexOf(':')).toLowerCase()
        if (name !== 'x-proxy-session') expect(sent?.fields.map(([found]) => found)).not.toContain(name)
      }),
    }),
  ),
  ...variants('HDR-13', [70, 200], (count) => ({
    what: `${count} honest fields arrive, in order`,
    send: request('GET', Array.from({ length: count }, (_, index) => `X-N: ${index}\r\n`).join('')),
    expect: passed(({ requests: [sent] }) =>
      expect(sent === undefined ? [] : valuesOf(sent, 'x-n')).toEqual(
        Array.from({ length: count }, (_, index) => `${index}`),
      ),
    ),
  })),
  {
    id: 'HDR-15',
    what: 'values keep their bytes: obs-text, tabs inside, empty, repeated',
    send: request('GET', 'X-A: \xe9\xff\r\nX-A:\r\nX-B: a\tb\r\nx-a: z\r\n'),
    expect: passed(({ requests: [sent] }) => {
      expect(sent === undefined ? [] : valuesOf(sent, 'x-a')).toEqual(['\xe9\xff', '', 'z'])
      expect(sent === undefined ? [] : valuesOf(sent, 'x-b')).toEqual(['a\tb'])
    }),
  },
  ...variants('POL-17f', ['__proto__', 'constructor', 'hasOwnProperty', 'toString'], (name) => ({
    what: `a field called ${name} is a field`,
    send: request('GET', `${name}: x\r\n`),
    expect: passed(({ requests: [sent] }) => expect(sent === undefined ? [] : valuesOf(sent, name)).toEqual(['x'])),
  })),
  {
    id: 'SEC-01a',
    what: 'the credential is put on, once, where the rule says',
    ...tunnel,
    host: 'pinned.test',
    send: request('GET', '', '', '/with'),
    expect: passed(onceOurs),
  },
  {
    id: 'SEC-01b',
    what: 'another rule of the host puts it on too only if it says so',
    ...tunnel,
    host: 'pinned.test',
    send: request('GET', '', '', '/without'),
    expect: passed(({ requests: [sent] }) => expect(sent?.fields.flat().join(' ')).not.toContain(canary)),
  },
  ...variants('SEC-03', ['pinned.test', 'strip.test', 'bearer.test'], (host) => ({
    what: `${host} over plain HTTP gets no credential, and no request`,
    places: ['proxy', 'clear'],
    host,
    send: request('GET', '', '', '/with'),
    expect: refused(403, 'credential_needs_tls'),
  })),
  {
    id: 'SEC-19',
    what: 'a secret that is not there refuses the request',
    ...tunnel,
    host: 'absent.test',
    send: request('GET'),
    expect: refused(503, 'secret_unavailable'),
  },
  {
    id: 'SEC-20y',
    what: 'a request without the placeholder goes out without the secret that is swapped for it',
    ...tunnel,
    host: 'swap.test',
    send: request('GET', 'Sec-Fetch-Site: cross-site\r\n'),
    expect: passed(({ requests: [sent] }) => expect(sent?.fields.flat().join(' ')).not.toContain(canary)),
  },
  {
    id: 'SEC-20z',
    what: 'a request without the placeholder that a credential requires',
    ...tunnel,
    host: 'asked.test',
    send: request('GET'),
    expect: refused(403, 'placeholder_missing'),
  },
  ...variants(
    'SEC-27',
    ['Sec-Fetch-Site: cross-site', 'sec-fetch-site: same-site', 'Origin: https://evil.test', 'Origin: null'],
    (line) => ({
      what: `a page of another site may not spend a credential: ${line}`,
      ...tunnel,
      host: 'pinned.test',
      send: request('GET', `${line}\r\n`, '', '/with'),
      expect: refused(403, 'cross_site'),
    }),
  ),
  ...variants('SEC-26', keySpellings, (name) => ({
    what: `${name} of the client on a pinned host (HDR-03)`,
    ...tunnel,
    host: 'pinned.test',
    send: request('GET', `${name}: attacker\r\n`, '', '/with'),
    expect: refused(403, 'foreign_credential'),
  })),
  ...variants('SEC-26o', keySpellings, (name) => ({
    what: `${name} of the client, on a path of a pinned host that has no credential`,
    ...tunnel,
    host: 'pinned.test',
    send: request('GET', `${name}: attacker\r\n`, '', '/without'),
    expect: refused(403, 'foreign_credential'),
  })),
  ...variants('SEC-26q', keyParameters, (name) => ({
    what: `?${name}= of the client on a pinned host`,
    ...tunnel,
    host: 'pinned.test',
    send: request('GET', '', '', `/with?${name}=attacker`),
    expect: refused(403, 'foreign_credential'),
  })),
  {
    id: 'SEC-26p',
    what: 'a credential on one port pins the host on all: no tunnel to another account',
    ...tunnel,
    host: 'ports.test',
    send: request('GET', 'Authorization: attacker\r\n'),
    expect: refused(403, 'foreign_credential'),
  },
  ...variants(
    'SEC-26w',
    [
      'realtime, openai-insecure-api-key.attacker',
      'base64url.bearer.authorization.k8s.io.attacker',
      'access_token, attacker',
    ],
    (value) => ({
      what: `a key among the subprotocols of a WebSocket: ${value}`,
      ...tunnel,
      host: 'pinned.test',
      send: request(
        'GET',
        `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ${value}\r\n`,
        '',
        '/with',
      ),
      expect: refused(403, 'foreign_credential'),
    }),
  ),
  {
    id: 'SEC-26c',
    what: 'cookies are left behind where the rule says foreignCredentials: deny, with no credential anywhere',
    host: 'clean.test',
    send: request('GET', 'Cookie: session=attacker\r\n'),
    answer: (_request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nSet-Cookie: session=won\r\nContent-Length: 0\r\n\r\n')
    },
    expect: passed(({ requests: [sent], responses: [told] }) => {
      expect(sent?.fields.flat().join(' ')).not.toContain('attacker')
      expect(told?.fields.flat().join(' ')).not.toContain('won')
    }),
  },
  ...variants('SEC-26d', ['Authorization', 'x-api-key', 'X_Api_Key'], (name) => ({
    what: `${name} where the rule says foreignCredentials: deny`,
    host: 'clean.test',
    send: request('GET', `${name}: attacker\r\n`),
    expect: refused(403, 'foreign_credential'),
  })),
  ...variants('HDR-03', keySpellings, (name) => ({
    what: `${name} of the client is left behind where the rule says strip`,
    ...tunnel,
    host: 'strip.test',
    send: request('GET', `${name}: attacker\r\n`),
    expect: passed(onceOurs),
  })),
  ...variants('HDR-03q', keyParameters, (name) => ({
    what: `?${name}= of the client is left behind where the rule says strip`,
    ...tunnel,
    host: 'strip.test',
    send: request('GET', '', '', `/?a=b&${name}=attacker`),
    expect: passed(onceOurs),
  })),
  ...variants(
    'HDR-04',
    [
      'X-Api-Key: attacker\r\nX-Api-Key: attacker2\r\n',
      'x-api-key: attacker\r\nX-API-KEY: attacker\r\n',
      'X-Api-Key: \xff\r\n',
      'X-Api-Key:\r\n',
      'Cookie: a=attacker\r\nCookie2: attacker\r\n',
    ],
    (lines) => ({
      what: `of ${JSON.stringify(lines)} nothing is left, and ours is there once`,
      ...tunnel,
      host: 'strip.test',
      send: request('GET', lines),
      expect: passed(onceOurs),
    }),
  ),
  {
    id: 'HDR-04z',
    what: 'two Authorization of the client beside our bearer token',
    ...tunnel,
    host: 'bearer.test',
    send: request('GET', 'Authorization: Bearer attacker\r\nauthorization: Basic YXR0YWNrZXI=\r\n'),
    expect: passed(({ requests: [sent] }) =>
      expect(sent === undefined ? [] : valuesOf(sent, 'authorization')).toEqual([`Bearer ${canary}`]),
    ),
  },
  {
    id: 'HDR-12c',
    what: 'cookies are stripped both ways on a pinned host',
    ...tunnel,
    host: 'strip.test',
    send: request('GET', 'Cookie: session=attacker\r\n'),
    answer: (_request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nSet-Cookie: session=won\r\nSet-Cookie2: x=won\r\nContent-Length: 0\r\n\r\n')
    },
    expect: passed((seen) => {
      onceOurs(seen)
      expect(seen.responses[0]?.fields.flat().join(' ')).not.toContain('won')
    }),
  },
]
