/** POL: what rules mean when a client tries to read them its own way. */

import { expect } from 'vitest'
import type { WorldOptions } from '../../support/world.ts'
import { type HostileCase, malformed, noTunnel, passed, refused, request, shown, variants } from './case.ts'

/** Hosts of this section, each with one kind of rule. */
export const policyRules: WorldOptions['rules'] = ({ http, https }) => {
  const ports = [http, https]
  const addresses = ['127.0.0.0/8']
  // Where a rule looks inside, `auto` has to find out by itself that the host is intercepted.
  const to = (host: string, more: object | null = null) => ({
    host,
    ports,
    addresses,
    ...(more === null ? { tls: 'intercept' } : more),
  })
  const never = (host: string, more: object = {}) => ({ action: 'deny', host, ...more })
  return [
    never('x.wild.test'),
    to('good.test'),
    to('*.wild.test'),
    never('y.wild.test'),
    to('apex.test'),
    to('**.both.test'),
    to('api-*.label.test'),
    to('port.test', { ports: [http], tls: 'intercept' }),
    to('paths.test', { paths: ['/public/**', '/@types%2fnode', '/one/*'] }),
    to('query.test', { query: { service: 'git-upload-pack' } }),
    to('methods.test', { methods: ['GET', 'HEAD'] }),
    to('half.test', {}),
    never('half.test', { methods: ['DELETE'], paths: ['/admin/**'] }),
    to('post-denied.test', {}),
    never('post-denied.test', { methods: ['POST'] }),
  ]
}

const ambiguousPaths = [
  '/public/../secret',
  '/public/%2e%2e/secret',
  '//secret',
  '/public//secret',
  '/public/..;x/secret',
  '/public%2f..%2fsecret',
  '/public/\\..\\secret',
  '/public/.',
  '/public/..',
  '/public/%2E',
  '/public/a%00',
  '/public/%2',
  '/public/%zz',
  '/public/%252e%252e/x',
  '/public/%5c..%5csecret',
  '/public/%61',
  '/public/a%0d%0ab',
  '/public/;/../secret',
  '/public/.;/secret',
  '/%70ublic/a',
  '/public%2f%2e%2e%2fsecret',
  '/public/%25%32%65',
  '/public\\..\\secret',
] // prettier-ignore

const get = request('GET')
const webSocket =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n'

export const policy: readonly HostileCase[] = [
  ...variants(
    'POL-06',
    [
      'wild.test',
      'evilwild.test',
      'a.wild.test.evil.test',
      'label.test',
      'api-a.b.label.test',
      'api.label.test',
      'xapi-a.label.test',
      'evilboth.test',
    ],
    (host) => ({
      what: `${host} is not what the wildcard means`,
      host,
      places: ['proxy'],
      send: get,
      expect: refused(403, 'host_not_allowed'),
    }),
  ),
  ...variants(
    'POL-06p',
    ['a.wild.test', 'a.b.wild.test', 'both.test', 'a.both.test', 'api-1.label.test', 'api-x_.label.test'],
    (host) => ({
      what: `${host} is what the wildcard means`,
      host,
      send: get,
      expect: passed(),
    }),
  ),
  ...variants('POL-08', ['x.wild.test', 'X.wild.TEST', 'x.wild.test.', 'y.wild.test', 'Y.WILD.test.'], (host) => ({
    what: `deny wins over the wildcard, before it or after it in the file: ${host}`,
    host,
    places: ['proxy'],
    send: get,
    expect: refused(403, 'denied_by_rule'),
  })),
  ...variants('POL-08c', ['x.wild.test', 'Y.WILD.test.'], (host) => ({
    what: `CONNECT ${host} is denied by rule`,
    places: ['proxy'],
    send: (spot) => `CONNECT ${host}:${spot.ports.https} HTTP/1.1\r\n${spot.proof}\r\n`,
    expect: noTunnel('denied_by_rule'),
  })),
  ...variants('POL-09', [22, 25, 6379, 80, 443, 8080, 1], (port) => ({
    what: `CONNECT good.test:${port}`,
    places: ['proxy'],
    send: (spot) => `CONNECT good.test:${port} HTTP/1.1\r\n${spot.proof}\r\n`,
    expect: noTunnel('port_not_allowed'),
  })),
  ...variants('POL-09r', [22, 25, 6379, 80, 8080], (port) => ({
    what: `GET http://good.test:${port}/`,
    places: ['proxy'],
    send: (spot) => `GET http://good.test:${port}/ HTTP/1.1\r\nHost: good.test:${port}\r\n${spot.proof}\r\n`,
    expect: refused(403, 'port_not_allowed'),
  })),
  ...variants(
    'POL-17',
    ['__proto__', 'constructor', 'hasOwnProperty', 'toString', 'valueOf', '__defineGetter__'],
    (name) => ({
      what: `a session called ${name}`,
      places: ['proxy'],
      send: (spot) =>
        `GET ${spot.target('/')} HTTP/1.1\r\nHost: ${spot.authority}\r\nProxy-Authorization: Basic ${Buffer.from(`${name}:x`).toString('base64')}\r\n\r\n`,
      expect: refused(407, 'session_unknown', 'open'),
    }),
  ),
  ...variants(
    'SES-01',
    ['', 'Basic', 'Basic !!!!', 'Bearer x', 'Basic Og==', 'basic eDp5', 'Basic eDp5, Basic eDp5'],
    (value) => ({
      what: `proxy credentials "${value}"`,
      places: ['proxy'],
      send: (spot) =>
        `GET ${spot.target('/')} HTTP/1.1\r\nHost: ${spot.authority}\r\nProxy-Authorization: ${value}\r\n\r\n`,
      expect: refused(407, 'session_unknown', 'open'),
    }),
  ),
  {
    id: 'SES-01x',
    what: 'no proxy credentials: a challenge, and no denial',
    places: ['proxy'],
    send: (spot) => `GET ${spot.target('/')} HTTP/1.1\r\nHost: ${spot.authority}\r\n\r\n`,
    expect: { ...refused(407, 'session_unknown', 'open'), records: ['challenge session_unknown'] },
  },
  {
    id: 'SES-01y',
    what: 'two Proxy-Authorization, both right',
    places: ['proxy'],
    send: (spot) => `GET ${spot.target('/')} HTTP/1.1\r\n${spot.lines}${spot.proof}\r\n`,
    expect: refused(407, 'session_unknown', 'open'),
  },
  {
    id: 'SES-04',
    what: 'credentials inside a tunnel select nothing and go nowhere',
    places: ['tunnel', 'clear'],
    send: (spot) => `GET / HTTP/1.1\r\n${spot.lines}Proxy-Authorization: Basic eDp5\r\n\r\n`,
    expect: passed(),
  },
  {
    id: 'SES-04x',
    what: 'the second request of a connection is judged by its own credentials',
    places: ['proxy'],
    send: (spot) =>
      `GET ${spot.target('/')} HTTP/1.1\r\n${spot.lines}\r\nGET ${spot.target('/')} HTTP/1.1\r\nHost: ${spot.authority}\r\nProxy-Authorization: Basic eDp5\r\n\r\n`,
    expect: { statuses: [200, 407], after: 'open', records: ['allow', 'deny session_unknown'], requests: 1 },
  },
  ...variants('POL-21', ambiguousPaths, (path) => ({
    what: `path ${shown(path)} has more than one reading`,
    host: 'paths.test',
    send: request('GET', '', '', path),
    expect: refused(400, 'ambiguous_path'),
  })),
  ...variants(
    'POL-21n',
    [
      '/secret',
      '/',
      '/publi',
      '/public',
      '/Public/a',
      '/publicx/a',
      '/one/a/b',
      '/one/',
      '/@types%2Fother',
      '/@types/other',
      '/x/@types%2fnode',
      '/one/a%2fb',
      '/public',
      '/one',
    ],
    (path) => ({
      what: `path ${path} is not allowed`,
      host: 'paths.test',
      send: request('GET', '', '', path),
      expect: refused(403, 'path_not_allowed'),
    }),
  ),
  ...variants(
    'POL-21p',
    [
      '/public/a',
      '/public/a/b?x=/../..',
      '/public/',
      '/one/b',
      '/public/%E2%82%AC',
      '/public/a;b',
      '/public/...',
      '/public/a%2fb',
    ],
    (path) => ({
      what: `path ${path} is allowed and goes out as it is`,
      host: 'paths.test',
      send: request('GET', '', '', path),
      expect: passed(({ requests }) => expect(requests[0]?.target).toBe(path)),
    }),
  ),
  ...variants(
    'POL-23',
    [
      '',
      '?service=git-receive-pack',
      '?service=git-upload-pack&service=git-receive-pack',
      '?Service=git-upload-pack',
      '?service=git%2dupload-pack',
      '?x=service=git-upload-pack',
      '?service=git-upload-pack;service=x',
      '?x=1;service=git-receive-pack&service=git-upload-pack',
      '?servic%65=git-receive-pack&service=git-upload-pack',
      '?service',
      '?service=git-upload-packx',
    ],
    (query) => ({
      what: `query "${query}" does not meet the condition`,
      host: 'query.test',
      send: request('GET', '', '', `/info/refs${query}`),
      expect: refused(403, 'path_not_allowed'),
    }),
  ),
  ...variants('POL-23p', ['?service=git-upload-pack', '?a=b&service=git-upload-pack'], (query) => ({
    what: `query "${query}" meets the condition`,
    host: 'query.test',
    send: request('GET', '', '', `/info/refs${query}`),
    expect: passed(),
  })),
  ...variants('POL-22', ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'QUERY', 'PROPFIND'], (method) => ({
    what: `method ${method} where GET and HEAD are allowed`,
    host: 'methods.test',
    send: request(method, 'Content-Length: 0\r\n'),
    expect: refused(403, 'method_not_allowed'),
  })),
  ...variants(
    'POL-22o',
    [
      'X-HTTP-Method-Override: DELETE',
      'X-Http-Method: PUT',
      'x-method-override: PATCH',
      'X-Original-URL: /admin',
      'X-Rewrite-URL: /admin',
    ],
    (line) => ({
      what: `${line} is not forwarded`,
      host: 'methods.test',
      send: request('GET', `${line}\r\n`),
      expect: passed(({ requests }) =>
        expect(
          requests[0]?.fields.map(([name]) => name).filter((name) => name !== 'host' && name !== 'connection'),
        ).toEqual([]),
      ),
    }),
  ),
  {
    id: 'POL-22h',
    what: 'HEAD is its own method, and is answered without a body',
    host: 'methods.test',
    bodiless: true,
    send: request('HEAD'),
    expect: passed(({ requests }) => expect(requests[0]?.method).toBe('HEAD')),
  },
  {
    id: 'POL-22w',
    what: 'a WebSocket handshake is no GET (WS-02)',
    host: 'methods.test',
    send: request('GET', webSocket),
    expect: refused(403, 'method_not_allowed', 'closed'),
  },
  ...variants(
    'WS-02',
    [
      webSocket.replace('Version: 13', 'Version: 12'),
      webSocket.replace(/Sec-WebSocket-Version.*\r\n/, ''),
      webSocket.replace(/Sec-WebSocket-Key.*\r\n/, ''),
      webSocket.replace('==', ''),
      `${webSocket}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n`,
      `${webSocket}Upgrade: h2c\r\n`,
      `Upgrade: websocket\r\n${webSocket}`,
      `${webSocket}Content-Length: 5\r\n`,
      `${webSocket}Expect: 100-continue\r\n`,
    ],
    (lines) => ({
      what: `a handshake that is none (${shown(lines)}), and a request behind it`,
      send: request('GET', lines, 'GET /internal HTTP/1.1\r\nHost: good.test\r\n\r\n'),
      expect: malformed,
    }),
  ),
  {
    id: 'WS-05',
    what: 'a handshake that the origin answers with 200, and a request behind it that was meant as frames',
    send: request('GET', webSocket, 'GET /internal HTTP/1.1\r\nHost: good.test\r\n\r\n'),
    expect: { ...passed(({ requests }) => expect(requests[0]?.method).toBe('GET')), after: 'closed' },
  },
  ...variants(
    'WS-03',
    [
      ['notupgrade', 'websocket'],
      ['Upgrade', 'websocketx'],
      ['Upgrade', 'h2c, websocket'],
      ['Upgrade', 'h2c'],
      ['keep-alive', 'websocket'],
      ['Upgrade', 'TLS/1.0'],
    ],
    ([connection = '', upgrade = '']) => ({
      what: `Connection: ${connection} with Upgrade: ${upgrade} is no upgrade`,
      host: 'methods.test',
      send: request('GET', `Connection: ${connection}\r\nUpgrade: ${upgrade}\r\n`),
      expect: passed(),
    }),
  ),
  {
    id: 'WS-06',
    what: 'a WebSocket handshake with POST',
    send: request('POST', 'Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n'),
    expect: refused(400, 'malformed_request'),
  },
  {
    id: 'POL-24a',
    what: 'a deny that looks inside leaves the rest of the host alone',
    host: 'half.test',
    send: request('DELETE', '', '', '/other'),
    expect: passed(),
  },
  ...variants('POL-24', ['/admin/x', '/admin/', '/admin%2fx', '/admin/x%2fy'], (path) => ({
    what: `DELETE ${path} is denied by rule, in any reading`,
    host: 'half.test',
    send: request('DELETE', '', '', path),
    expect: refused(403, 'denied_by_rule'),
  })),
  {
    id: 'POL-24z',
    what: 'a denied method on an allowed host',
    host: 'post-denied.test',
    send: request('POST', 'Content-Length: 0\r\n'),
    expect: refused(403, 'denied_by_rule'),
  },
  {
    id: 'POL-09p',
    what: "a port of another rule is not this rule's",
    places: ['proxy'],
    host: 'port.test',
    send: (spot) => `CONNECT port.test:${spot.ports.https} HTTP/1.1\r\n${spot.proof}\r\n`,
    expect: noTunnel('port_not_allowed'),
  },
  {
    id: 'FRM-25',
    what: 'a body that comes late behind a refusal: the answer arrives, the next request is read',
    host: 'methods.test',
    send: (spot) => [
      `POST ${spot.target('/')} HTTP/1.1\r\n${spot.lines}Content-Length: 200000\r\n\r\n`,
      ...Array.from({ length: 20 }, () => 'x'.repeat(10_000)),
      `GET ${spot.target('/next')} HTTP/1.1\r\n${spot.lines}\r\n`,
    ],
    expect: { statuses: [403, 200], after: 'open', records: ['deny method_not_allowed', 'allow'], requests: 1 },
  },
  ...variants('FRM-25x', ['x\r\n', '5\r\nhello!\r\n', '0\r\nContent-Length: 5\r\n\r\n'], (body) => ({
    what: `a body behind a refusal that is none ends the connection (${shown(body)})`,
    host: 'methods.test',
    send: (spot) =>
      `POST ${spot.target('/')} HTTP/1.1\r\n${spot.lines}Transfer-Encoding: chunked\r\n\r\n${body}` +
      `GET ${spot.target('/next')} HTTP/1.1\r\n${spot.lines}\r\n`,
    expect: refused(403, 'method_not_allowed', 'closed'),
  })),
  {
    id: 'FRM-28x',
    what: 'a refused request with Connection: close is the last one',
    host: 'methods.test',
    send: (spot) =>
      `POST ${spot.target('/')} HTTP/1.1\r\n${spot.lines}Connection: close\r\n\r\n` +
      `GET ${spot.target('/next')} HTTP/1.1\r\n${spot.lines}\r\n`,
    expect: refused(403, 'method_not_allowed', 'closed'),
  },
  {
    id: 'FRM-18w',
    what: 'a refused request that waits for 100 Continue is not told to continue',
    host: 'methods.test',
    send: request('POST', 'Expect: 100-continue\r\nContent-Length: 5\r\n'),
    expect: {
      ...refused(403, 'method_not_allowed', 'closed'),
      check: ({ responses }) => expect(responses[0]?.informational).toEqual([]),
    },
  },
  ...variants('FRM-25x', ['5\r\nhel', 'zz\r\n', '5\r\nhello0\r\n\r\n'], (body) => ({
    what: `a refused request whose body then breaks (${shown(body)}): one answer, one record`,
    host: 'methods.test',
    ending: 'fin',
    send: request('POST', 'Transfer-Encoding: chunked\r\n', body),
    expect: {
      statuses: [[400, 403]],
      after: 'closed',
      records: [['deny method_not_allowed', 'deny malformed_request']],
      requests: 0,
    },
  })),
]

/** Where nothing is allowed. */
export const nothingAllowed: readonly HostileCase[] = [
  ...variants('POL-01', ['good.test', 'evil.test', 'localhost', '127.0.0.1', '[::1]'], (host) => ({
    what: `a policy without rules, ${host}`,
    places: ['proxy'],
    host,
    send: get,
    expect: refused(403, 'host_not_allowed'),
  })),
  {
    id: 'POL-01c',
    what: 'a policy without rules, CONNECT',
    places: ['proxy'],
    send: (spot) => `CONNECT good.test:443 HTTP/1.1\r\n${spot.proof}\r\n`,
    expect: noTunnel('host_not_allowed'),
  },
]

/** Where the mode is audit: only what a rule would have to allow is let through (decision 18). */
export const audited: readonly HostileCase[] = [
  {
    id: 'POL-25a',
    what: 'audit mode: a host that no rule allows is still not reached on a private address',
    host: 'evil.test',
    places: ['proxy'],
    send: get,
    expect: refused(403, 'address_not_public'),
  },
  {
    id: 'POL-25b',
    what: 'audit mode: a method that no rule allows passes, and is recorded as audit',
    host: 'methods.test',
    send: request('POST', 'Content-Length: 0\r\n'),
    expect: { ...refused(403, 'address_not_public') },
  },
  ...variants('POL-25c', ['x.wild.test', 'y.wild.test'], (host) => ({
    what: `audit mode: ${host} is still denied by rule`,
    host,
    places: ['proxy'],
    send: get,
    expect: refused(403, 'denied_by_rule'),
  })),
  {
    id: 'POL-25d',
    what: 'audit mode: a denied method is still denied',
    host: 'post-denied.test',
    send: request('POST', 'Content-Length: 0\r\n'),
    expect: refused(403, 'denied_by_rule'),
  },
  {
    id: 'POL-25e',
    what: 'audit mode: another Host is still refused',
    send: (spot) => `GET ${spot.target('/')} HTTP/1.1\r\nHost: evil.test\r\n${spot.proof}\r\n`,
    expect: refused(421, 'authority_mismatch'),
  },
  {
    id: 'POL-25f',
    what: 'audit mode: an ambiguous path is still refused',
    host: 'paths.test',
    send: request('GET', '', '', '/public/../secret'),
    expect: refused(400, 'ambiguous_path'),
  },
]
