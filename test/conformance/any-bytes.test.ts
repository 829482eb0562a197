/**
 * Invariant: one request in, at most one request out. For any bytes a client sends, on every path, an origin receives only
 * well-framed requests that were allowed, or none; every answer is one; the process lives.
 */

import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createWorld, type World } from '../support/world.ts'
import type { Place, Spot } from './hostile/case.ts'
import { enter, everyNameIsLoopback, spotOf, until } from './hostile/runner.ts'

let world: World
beforeAll(async () => {
  world = await createWorld({
    rules: ({ http, https }) => [
      {
        host: 'good.test',
        ports: [http, https],
        addresses: ['127.0.0.0/8'],
        methods: ['GET', 'POST', 'HEAD'],
        paths: ['/ok/**'],
      },
    ],
    dns: everyNameIsLoopback,
    // Whoever sends half a head is answered while the property waits.
    limits: { headTimeoutMs: 300, firstBytesTimeoutMs: 300, exchangeIdleMs: 1000 },
  })
})
afterAll(() => world[Symbol.asyncDispose]())

const lines = [
  'Content-Length: 5',
  'Content-Length: 0',
  'Content-Length: 05',
  'Content-Length: 5, 5',
  'content-length : 5',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: identity',
  'transfer-encoding:\tchunked',
  'Transfer-Encoding : chunked',
  ' Transfer-Encoding: chunked',
  'Connection: close',
  'Connection: content-length',
  'Connection: transfer-encoding',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Upgrade: h2c',
  'TE: trailers',
  'Trailer: X-T',
  'Host: evil.test',
  'Host:',
  'Expect: 100-continue',
  'Expect: x',
  'X-A: b',
  'X-HTTP-Method-Override: DELETE',
  'Proxy-Authorization: Basic eDp5',
  'Keep-Alive: 1',
  'X-Long: '.padEnd(300, 'x'),
  '',
  'no-colon',
  ': b',
] // prettier-ignore
const methods = ['GET', 'POST', 'HEAD', 'DELETE', 'OPTIONS', 'CONNECT', 'get', 'TRACE', 'PRI'] as const
const paths = [
  '/ok/a',
  '/ok/b?c=d',
  '/ok/../secret',
  '/secret',
  '/ok//x',
  '/ok/%2e%2e/secret',
  '*',
  '/ok/a#b',
  '/ok/%2fa',
  '//ok/a',
] as const
const bodies = [
  '',
  'hello',
  '5\r\nhello\r\n0\r\n\r\n',
  '5\r\nhello\r\n0\r\nX-T: t\r\n\r\n',
  '5;a=b\r\nhello\r\n0\r\n\r\n',
  '05\r\nhello\r\n0\r\n\r\n',
  '5\r\nhello0\r\n\r\n',
  '0\r\n\r\n',
  'ffffffffffffffff5\r\nhello',
  'GET /secret HTTP/1.1\r\nHost: good.test\r\n\r\n',
  '1d\r\nGET /secret HTTP/1.1\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n',
] // prettier-ignore

/** One request, mostly right, as text that still has to be told where it is sent. */
const oneRequest = fc
  .record({
    method: fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom('GET', 'POST', 'POST', 'HEAD') },
      { weight: 1, arbitrary: fc.constantFrom(...methods) },
    ),
    path: fc.oneof({ weight: 5, arbitrary: fc.constant('/ok/a') }, { weight: 1, arbitrary: fc.constantFrom(...paths) }),
    version: fc.oneof(
      { weight: 9, arbitrary: fc.constant('HTTP/1.1') },
      { weight: 1, arbitrary: fc.constantFrom('HTTP/1.0', 'HTTP/1.2', 'http/1.1', 'HTTP/2.0', '') },
    ),
    more: fc.array(fc.constantFrom(...lines), { maxLength: 3 }),
    body: fc.constantFrom(...bodies),
    absolute: fc.boolean(),
  })
  .map(({ method, path, version, more, body, absolute }) => (spot: Spot): string => {
    const target = absolute || spot.place === 'proxy' ? spot.target(path) : path
    return `${method} ${target} ${version}\r\n${spot.lines}${more.map((line) => `${line}\r\n`).join('')}\r\n${body}`
  })

/** What happens to the bytes on their way: each entry changes the text at a place that is a part of its length. */
const noise = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    deed: fc.oneof(
      fc.record({
        kind: fc.constant('insert' as const),
        text: fc.constantFrom('\r', '\n', '\r\n', '\0', ' ', '\t', ':', ';', '\r\n\r\n', '0', 'x', '\x80', '\x0b'),
      }),
      fc.record({ kind: fc.constant('flip' as const), bit: fc.integer({ min: 0, max: 7 }) }),
      fc.record({ kind: fc.constant('cut' as const), length: fc.integer({ min: 1, max: 3 }) }),
      fc.record({ kind: fc.constant('repeat line' as const) }),
    ),
  }),
  { maxLength: 2 },
)
type Noise = typeof noise extends fc.Arbitrary<infer Deeds> ? Deeds : never

function disturb(text: string, deeds: Noise): string {
  return deeds.reduce((bytes, { at, deed }) => {
    const index = Math.min(Math.floor(at * bytes.length), Math.max(0, bytes.length - 1))
    switch (deed.kind) {
      case 'cut':
        return bytes.slice(0, index) + bytes.slice(index + deed.length)
      case 'flip':
        return (
          bytes.slice(0, index) +
          String.fromCharCode(bytes.charCodeAt(index) ^ (1 << deed.bit)) +
          bytes.slice(index + 1)
        )
      case 'insert':
        return bytes.slice(0, index) + deed.text + bytes.slice(index)
      case 'repeat line': {
        const start = bytes.lastIndexOf('\n', index) + 1
        const end = bytes.indexOf('\n', index) + 1
        return end === 0 ? bytes : bytes.slice(0, end) + bytes.slice(start, end) + bytes.slice(end)
      }
    }
  }, text)
}

function segmentsOf(text: string, cuts: readonly number[]): string[] {
  const places = [0, ...cuts.map((cut) => Math.floor(cut * text.length)).toSorted((a, b) => a - b), text.length]
  return places
    .slice(1)
    .map((end, index) => text.slice(places[index], end))
    .filter((piece) => piece !== '')
}

async function send(
  place: Place,
  segments: (spot: Spot) => readonly string[],
  ending: 'fin' | 'reset' | 'stay',
): Promise<void> {
  const from = {
    http: world.http.connections.length,
    https: world.https.connections.length,
    queries: world.dns.queries.length,
  }
  const before = world.records.length
  // A session that repeats itself is slowed and its records joined, which is another matter.
  const session = await world.newSession()
  const client = await enter(world, session, place)
  const pieces = segments(spotOf(world, session, place))
  await client.send(...pieces)
  if (ending === 'fin') client.halfClose()
  if (ending === 'reset') client.reset()
  else {
    // Every answer is well-formed, or the connection ends; `response` throws at what is neither.
    const first = await client.response({ timeoutMs: 1500 })
    if (typeof first !== 'string') expect([200, 400, 403, 407, 421]).toContain(first.status)
  }
  client.destroy()
  await until(() => world.records.length > before, 1500)
  expect(world.records.length, `records after ${JSON.stringify(pieces)}`).toBeGreaterThan(before)
  for (const record of world.records.slice(before)) expect(record.outcome).not.toBe('fault')

  const origins = [...world.http.connections.slice(from.http), ...world.https.connections.slice(from.https)]
  for (const connection of origins) {
    const { requests, rest } = connection.reading()
    expect(typeof rest === 'string' ? rest : rest.malformed, JSON.stringify(pieces)).toMatch(/^(?:none|partial)$/)
    for (const request of requests) {
      expect(['GET', 'HEAD', 'POST']).toContain(request.method)
      expect(request.target).toMatch(/^\/ok\/(?!.*\.\.)(?!\/)/)
      expect(request.host).toBe(spotOf(world, session, place).authority)
      for (const [name, value] of request.fields) {
        expect([
          'te',
          'trailer',
          'upgrade',
          'keep-alive',
          'expect',
          'proxy-authorization',
          'x-http-method-override',
        ]).not.toContain(name)
        if (name === 'connection') expect(['keep-alive', 'close']).toContain(value)
      }
    }
    // No more requests than records that say one was let out.
    const letOut = world.records.slice(before).filter(({ outcome }) => outcome !== 'deny' && outcome !== 'challenge')
    expect(requests.length).toBeLessThanOrEqual(letOut.length)
  }
  await session.revoke()
  for (const { name } of world.dns.queries.slice(from.queries)) expect(name).toBe('good.test')
}

const inputs = fc.record({
  requests: fc.array(oneRequest, { minLength: 1, maxLength: 3 }),
  deeds: noise,
  cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 4 }),
  ending: fc.constantFrom('stay' as const, 'stay' as const, 'fin' as const, 'reset' as const),
})

/** The same inputs on every machine; another number looks elsewhere. */
const seed = 1121

describe('any bytes', () => {
  it.each([
    ['proxy', 300],
    ['tunnel', 250],
    ['clear', 150],
  ] as const)(
    '%s',
    async (place, numRuns) => {
      await fc.assert(
        fc.asyncProperty(inputs, ({ requests, deeds, cuts, ending }) =>
          send(place, (spot) => segmentsOf(disturb(requests.map((one) => one(spot)).join(''), deeds), cuts), ending),
        ),
        { numRuns, seed, endOnFailure: true },
      )
      const session = await world.newSession()
      const client = await enter(world, session, place)
      const spot = spotOf(world, session, place)
      await client.send(`GET ${spot.target('/ok/last')} HTTP/1.1\r\n${spot.lines}\r\n`)
      expect(await client.response()).toMatchObject({ status: 200 })
      client.destroy()
    },
    120_000,
  )
})
