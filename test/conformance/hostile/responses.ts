/** RSP: what an origin may make of its answer, and what it may not. */

import { expect } from 'vitest'
import { fieldOf } from '../../support/raw-client.ts'
import type { Answer } from '../../support/raw-origin.ts'
import { failed, type HostileCase, passed, request, shown, variants } from './case.ts'

/** Bytes in answer to whatever was asked; the connection ends there if `end` says so. */
function says(bytes: string | readonly string[], end: 'fin' | 'open' | 'reset' = 'open'): Answer {
  return (_request, socket) => {
    for (const piece of typeof bytes === 'string' ? [bytes] : bytes) socket.write(Buffer.from(piece, 'latin1'))
    if (end === 'fin') socket.end()
    if (end === 'reset') setTimeout(() => socket.destroy(), 20)
  }
}

const ok = 'HTTP/1.1 200 OK\r\n'
const get = request('GET')
/** The origin had the whole request, and then was no good. */
const broken = { ...failed(502, 'origin_malformed'), requests: 1 }
const cutShort = { statuses: [200], truncated: true, after: 'cut', requests: 1 } as const

const malformedAnswers = [
  `${ok}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  `${ok}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`,
  `${ok}Content-Length: 5x\r\n\r\nhello`,
  `${ok}Content-Length: -1\r\n\r\n`,
  `${ok}X-A: a\0b\r\n\r\n`,
  `${ok}no colon\r\n\r\n`,
  'HTTP/1.1 2000 OK\r\n\r\n',
  'HTTP/1.1 abc OK\r\n\r\n',
  'HTTP/1.1 20 OK\r\n\r\n',
  'HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n',
  'hello\r\n\r\n',
  'SSH-2.0-OpenSSH_9\r\n',
  `${ok}X: ${'x'.repeat(70_000)}\r\n\r\n`,
  `${ok}X A: b\r\nContent-Length: 0\r\n\r\n`,
  `${ok}X-A : b\r\nContent-Length: 0\r\n\r\n`,
  'HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  'HTTP/1.1 101 Switching\r\n\r\n',
] // prettier-ignore

export const responses: readonly HostileCase[] = [
  ...variants('RSP-01', malformedAnswers, (bytes) => ({
    what: `an answer that is none (${shown(bytes)})`,
    send: get,
    answer: says(bytes, 'reset'),
    expect: { ...broken, records: [['failed origin_malformed', 'failed origin_closed']] },
  })),
  {
    id: 'RSP-04a',
    what: 'a flood of 103',
    send: get,
    answer: says(`${'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'.repeat(2000)}${ok}Content-Length: 0\r\n\r\n`),
    expect: broken,
  },
  {
    id: 'RSP-04b',
    what: 'a few 1xx before the answer, passed on',
    send: get,
    answer: says(
      `${'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(3)}HTTP/1.1 102 Processing\r\n\r\n${ok}Content-Length: 0\r\n\r\n`,
    ),
    expect: passed(({ responses }) => expect(responses[0]?.informational).toEqual([103, 103, 103, 102])),
  },
  ...variants(
    'WS-02s',
    ['Upgrade: websocket', 'Upgrade: websocket\r\nSec-WebSocket-Accept: x', 'Upgrade: h2c\r\nSec-WebSocket-Accept: x'],
    (lines) => ({
      what: `a handshake that is answered with a 101 which proves nothing (${shown(lines)})`,
      send: request(
        'GET',
        'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n',
      ),
      answer: says(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n${lines}\r\n\r\n\x81\x01x`),
      expect: broken,
    }),
  ),
  ...variants('RSP-06', ['fin', 'reset'] as const, (end) => ({
    what: `a length that does not come true (${end})`,
    send: get,
    answer: says(`${ok}Content-Length: 100\r\n\r\nhello`, end),
    expect: { ...cutShort, records: [['failed origin_closed', 'failed origin_malformed']] },
  })),
  ...variants('RSP-06c', ['fin', 'reset'] as const, (end) => ({
    what: `chunks without a last one (${end})`,
    send: get,
    answer: says(`${ok}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`, end),
    expect: { ...cutShort, records: [['failed origin_closed', 'failed origin_malformed']] },
  })),
  {
    id: 'RSP-06m',
    what: 'a chunk size that is none, in the middle',
    send: get,
    answer: says(`${ok}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n`),
    expect: { ...cutShort, records: ['failed origin_malformed'] },
  },
  {
    id: 'RSP-06n',
    what: 'nothing but a reset',
    send: get,
    answer: (_request, socket) => void socket.destroy(),
    expect: { ...failed(502, 'origin_closed'), requests: 1 },
  },
  {
    id: 'RSP-07',
    what: 'silence behind the head ends in time, and never as whole',
    send: get,
    answer: says(`${ok}Content-Length: 100\r\n\r\nhello`),
    expect: { ...cutShort, records: [['failed origin_timeout', 'abandoned', 'interrupted']] },
  },
  {
    id: 'RSP-07s',
    what: 'silence instead of a head',
    send: get,
    answer: () => undefined,
    expect: { statuses: [504], after: 'any', records: ['failed origin_timeout'], requests: 1 },
  },
  {
    id: 'RSP-10',
    what: 'nothing leads the client around us, nothing looks like our own voice',
    send: get,
    answer: says(
      `${ok}Alt-Svc: h3=":443"\r\nX-Egress-Decision: deny\r\nX-Egress-Reason: host_not_allowed\r\nProxy-Status: sallyport; error=x\r\nProxy-Authenticate: Basic realm="x"\r\n` +
        'Proxy-Connection: close\r\nKeep-Alive: timeout=1\r\nConnection: X-Private\r\nX-Private: p\r\nTrailer: X-T\r\nUpgrade: h2c\r\nTE: trailers\r\nX-Kept: kept\r\nContent-Length: 0\r\n\r\n',
    ),
    expect: passed(({ responses: [told] }) => {
      const names = told?.fields.map(([name]) => name) ?? []
      expect(names.filter((name) => !['content-length', 'connection', 'keep-alive'].includes(name))).toEqual(['x-kept'])
      expect(told === undefined ? null : fieldOf(told, 'keep-alive')).not.toBe('timeout=1')
    }),
  },
  {
    id: 'RSP-11',
    what: 'Connection: content-length of an origin does not unframe its answer',
    send: get,
    answer: says(`${ok}Connection: content-length\r\nContent-Length: 5\r\n\r\nhello`),
    expect: passed(({ responses: [told] }) => expect(told?.body.toString()).toBe('hello')),
  },
  {
    id: 'RSP-12',
    what: 'a reason phrase comes out in printable ASCII, obs-text of values as it was',
    send: get,
    answer: says('HTTP/1.1 200 \x1b[2J\xe9\r\nX-A: \xe9\r\nContent-Length: 0\r\n\r\n'),
    expect: {
      ...passed(({ responses: [told] }) => expect(told?.reason).toMatch(/^[ -~]*$/)),
      statuses: [[200, 502]],
      records: [['allow', 'failed origin_malformed']],
    },
  },
  {
    id: 'RSP-13',
    what: "a second answer that nobody asked for is nobody's",
    send: (spot) => ['/1', '/2'].map((path) => `GET ${spot.target(path)} HTTP/1.1\r\n${spot.lines}\r\n`),
    answer: (asked, socket) => {
      socket.write(`${ok}Content-Length: 2\r\n\r\n${asked.target}${ok}Content-Length: 6\r\n\r\nforged`)
    },
    expect: {
      statuses: [200, 200],
      after: 'any',
      records: ['allow', 'allow'],
      requests: 2,
      check: ({ responses: told }) => expect(told.map(({ body }) => body.toString())).toEqual(['/1', '/2']),
    },
  },
  ...variants('SEC-04', ['http://evil.test/', '//evil.test/', 'http://good.test:1/', '/other'], (location) => ({
    what: `a redirect to ${location} is passed on, not followed`,
    send: get,
    answer: says(
      `HTTP/1.1 307 Temporary\r\nLocation: ${location}\r\nRefresh: 0;url=${location}\r\nContent-Length: 0\r\n\r\n`,
    ),
    expect: {
      ...passed(({ responses: [told] }) =>
        expect(told === undefined ? null : fieldOf(told, 'location')).toBe(location),
      ),
      statuses: [307],
    },
  })),
  ...variants('RSP-14', [204, 304], (status) => ({
    what: `${status} has no body`,
    send: get,
    answer: says(`HTTP/1.1 ${status} Nothing\r\n\r\n`),
    expect: { ...passed(), statuses: [status] },
  })),
  {
    id: 'RSP-15',
    what: 'an answer that ends with the connection ends as a whole one',
    send: get,
    answer: says('HTTP/1.1 200 OK\r\n\r\nhello', 'fin'),
    expect: { ...passed(({ responses: [told] }) => expect(told?.body.toString()).toBe('hello')), after: 'any' },
  },
  {
    id: 'RSP-16',
    what: 'trailers of an origin go nowhere, a chunked body arrives',
    send: get,
    answer: says(
      `${ok}Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX-Egress-Decision: deny\r\nSet-Cookie: a=b\r\n\r\n`,
    ),
    expect: passed(({ responses: [told] }) => expect(told?.body.toString()).toBe('hello')),
  },
]
