/** What a hostile origin can say in HTTP/2 alone, frame by frame, and what of it a client hears. */

import { once } from 'node:events'
import type net from 'node:net'
import tls from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { frame, H2Client, hpack, tlsThrough } from '../support/h2-client.ts'
import { createTestCa } from '../support/test-ca.ts'
import { RawClient } from '../support/raw-client.ts'
import { until } from '../support/real-clients.ts'
import { acceptFor, frameOf } from '../support/websocket-peer.ts'
import { handshake, key } from '../support/websocket-world.ts'
import { createWorld, type World } from '../support/world.ts'

const originCa = createTestCa()
const sockets = new Set<net.Socket>()
/** What is said once a request has come, on its stream; null: the end of the connection. */
let say: (stream: number) => readonly (Buffer | null)[] = () => []
/** What its SETTINGS say; null: none are sent. */
let settings: Buffer | null = Buffer.alloc(0)
let world: World
let server: tls.Server
let port: number

beforeAll(async () => {
  server = tls.createServer(
    { ALPNProtocols: ['h2'], SNICallback: (name, done) => done(null, originCa.contextFor(name)) },
    (socket) => {
      sockets.add(socket)
      socket.on('error', () => undefined)
      if (settings !== null) socket.write(frame('settings', 0, 0, settings))
      let received = Buffer.alloc(0)
      let at = 24
      socket.on('data', (bytes: Buffer) => {
        received = Buffer.concat([received, bytes])
        for (; received.length >= at + 9; at += 9 + received.readUIntBE(at, 3)) {
          if (received.length < at + 9 + received.readUIntBE(at, 3)) return
          if (received[at + 3] !== 1) continue
          for (const piece of say(received.readUInt32BE(at + 5)))
            if (piece === null) socket.end()
            else socket.write(piece)
        }
      })
    },
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as net.AddressInfo).port
  world = await createWorld({
    originCa,
    dns: { 'api.test': { a: ['127.0.0.1'] } },
    rules: () => [{ host: 'api.test', ports: [port], addresses: ['127.0.0.0/8'], tls: 'intercept' }],
    limits: { exchangeIdleMs: 2500, originHeadTimeoutMs: 800 },
  })
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  for (const socket of sockets) socket.destroy()
  server.close()
})

type Pair = readonly [name: string, value: string]

const head = (stream: number, status: string, fields: readonly Pair[] = [], flags: number = 4): Buffer =>
  frame('headers', flags, stream, hpack([[':status', status], ...fields]))
const data = (stream: number, text: string, flags: number = 0): Buffer =>
  frame('data', flags, stream, Buffer.from(text))
const code = (value: number): Buffer => Buffer.from([0, 0, 0, value])

type Case = {
  readonly say: typeof say
  /** Of the answer; 0: none, and never one that looks whole. */
  readonly status: number
  readonly outcome: string
}

const whole = (stream: number): Buffer[] => [head(stream, '200'), data(stream, 'ok\n', 1)]

const cases: Readonly<Record<string, Case>> = {
  'a whole answer, to compare': { say: whole, status: 200, outcome: 'allow null' },
  'eleven heads before the head': {
    say: (stream) => [...Array.from({ length: 11 }, () => head(stream, '103')), ...whole(stream)],
    status: 502,
    outcome: 'failed origin_malformed',
  },
  'a switch of protocols': {
    say: (stream) => [head(stream, '101'), ...whole(stream)],
    status: 502,
    outcome: 'failed origin_malformed',
  },
  'a status that is none': {
    say: (stream) => [head(stream, '099'), data(stream, 'a', 1)],
    status: 502,
    outcome: 'failed origin_malformed',
  },
  'a field of one connection': {
    say: (stream) => [head(stream, '200', [['connection', 'close']]), data(stream, 'a', 1)],
    status: 502,
    outcome: 'failed origin_malformed',
  },
  'less than its length': {
    say: (stream) => [head(stream, '200', [['content-length', '9']]), data(stream, 'short', 1)],
    status: 200,
    outcome: 'failed origin_malformed',
  },
  'more than its length': {
    say: (stream) => [head(stream, '200', [['content-length', '1']]), data(stream, 'long'), data(stream, 'er', 1)],
    status: 200,
    outcome: 'failed origin_malformed',
  },
  'the end of the connection within the body': {
    say: (stream) => [head(stream, '200'), data(stream, 'begin'), null],
    status: 200,
    outcome: 'failed origin_closed',
  },
  'a reset within the body': {
    say: (stream) => [head(stream, '200'), data(stream, 'begin'), frame('reset', 0, stream, code(8))],
    status: 200,
    outcome: 'failed origin_closed',
  },
  'a reset without an error where a length was promised': {
    say: (stream) => [
      head(stream, '200', [['content-length', '9']]),
      data(stream, 'begin'),
      frame('reset', 0, stream, code(0)),
    ],
    status: 200,
    outcome: 'failed origin_closed',
  },
  'a reset without an error within a body of no length': {
    say: (stream) => [head(stream, '200'), data(stream, 'begin'), frame('reset', 0, stream, code(0))],
    status: 200,
    outcome: 'failed origin_closed',
  },
  'a reset without an error right behind its head': {
    say: (stream) => [head(stream, '200'), frame('reset', 0, stream, code(0))],
    status: 200,
    outcome: 'failed origin_closed',
  },
  'a reset without an error and without an answer': {
    say: (stream) => [frame('reset', 0, stream, code(0))],
    status: 502,
    outcome: 'failed origin_closed',
  },
  'a reset without an error behind a whole answer': {
    say: (stream) => [...whole(stream), frame('reset', 0, stream, code(0))],
    status: 200,
    outcome: 'allow null',
  },
  'a reset without an error behind trailers': {
    say: (stream) => [
      head(stream, '200'),
      data(stream, 'ok\n'),
      frame('headers', 5, stream, hpack([['x-a', 'b']])),
      frame('reset', 0, stream, code(0)),
    ],
    status: 200,
    outcome: 'allow null',
  },
  'a body on a stream that nobody opened': {
    say: (stream) => [data(stream + 2, 'for you'), head(stream, '200'), data(stream, 'a', 1)],
    status: 502,
    outcome: 'failed origin_malformed',
  },
  'a push that nobody wants': {
    say: (stream) => [
      Buffer.concat([Buffer.from([0, 0, 4, 5, 4]), code(stream), code(2)]),
      head(stream, '200'),
      data(stream, 'a', 1),
    ],
    status: 200,
    outcome: 'allow null',
  },
  'bytes that are no frames': {
    say: () => [Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')],
    status: 502,
    outcome: 'failed origin_malformed',
  },
  'a head beyond all measure': {
    say: (stream) => [
      frame('headers', 0, stream, hpack([[':status', '200']])),
      ...Array.from({ length: 40 }, () => frame('continuation', 0, stream, hpack([['x', 'y'.repeat(12_000)]]))),
      frame('continuation', 4, stream, Buffer.alloc(0)),
      data(stream, 'a', 1),
    ],
    status: 502,
    outcome: 'failed origin_malformed',
  },
  'trailers that frame anew': {
    say: (stream) => [
      head(stream, '200'),
      data(stream, 'ok\n'),
      frame(
        'headers',
        5,
        stream,
        hpack([
          ['set-cookie', 'a=b'],
          ['x-egress-decision', 'deny'],
          ['x-a', 'b'],
        ]),
      ),
    ],
    status: 200,
    outcome: 'allow null',
  },
}

describe('an origin that says', () => {
  it.each(Object.entries(cases))('%s', async (_name, one) => {
    say = one.say
    const session = await world.newSession()
    const client = await H2Client.open(world, session, 'api.test', {}, port)
    const answer = await client.get('/')
    expect(answer.status).toBe(one.status)
    if (one.outcome.startsWith('failed') && one.status === 200) expect(answer.code).not.toBe(0)
    else expect(answer.code).toBe(0)
    expect(Object.keys(answer.trailers ?? {}).filter((name) => name !== 'x-a')).toEqual([])
    say = whole
    expect(await client.get('/')).toMatchObject({ status: 200, code: 0 })
    const records = world.records.filter((record) => record.session === session.id)
    await until(() => world.records.filter((record) => record.session === session.id).length === 2, 'two records')
    expect(records.map(({ outcome, reason }) => `${outcome} ${reason}`)).toEqual([one.outcome, 'allow null'])
    client.close()
  })
})

it('a client of HTTP/1.1 hears no last chunk of an answer that was reset without an error', async () => {
  say = (stream) => [head(stream, '200'), data(stream, 'begin'), frame('reset', 0, stream, code(0))]
  const { secure, outer } = await tlsThrough(world, await world.newSession(), 'api.test', ['http/1.1'], port)
  let heard = ''
  secure.on('data', (bytes: Buffer) => (heard += bytes.toString('latin1')))
  secure.write(`GET / HTTP/1.1\r\nHost: api.test:${port}\r\n\r\n`)
  if (!outer.closed) await once(outer, 'close')
  expect(heard).not.toContain('0\r\n\r\n')
})

describe('an origin of HTTP/2 that says to a WebSocket handshake', () => {
  /** RFC 8441 §3: SETTINGS_ENABLE_CONNECT_PROTOCOL. */
  const enabled = Buffer.from([0, 8, 0, 0, 0, 1])
  const text = frameOf('text', Buffer.from('x'), false)
  const open = (stream: number, status: string, fields: readonly Pair[] = []): Buffer[] => [
    head(stream, status, fields),
    frame('data', 0, stream, text),
  ]
  it.each<[what: string, said: typeof say, status: number, reason: string | null, settings?: Buffer | null]>([
    ['a yes, to compare', (stream) => open(stream, '200'), 101, null],
    ['a yes of another number', (stream) => open(stream, '299'), 101, null],
    ['a yes of a length', (stream) => open(stream, '200', [['content-length', '1']]), 101, null],
    ['a yes with a proof of its own', (stream) => open(stream, '200', [['sec-websocket-accept', 'x']]), 101, null],
    ['a switch of protocols', (stream) => open(stream, '101'), 502, 'origin_malformed'],
    ['a switch, and a yes', (stream) => [head(stream, '101'), ...open(stream, '200')], 502, 'origin_malformed'],
    [
      'a yes with fields of one connection',
      (stream) => open(stream, '200', [['upgrade', 'websocket']]),
      502,
      'origin_malformed',
    ],
    ['nothing but a reset', (stream) => [frame('reset', 0, stream, code(0))], 502, 'origin_closed'],
    ['the end of its connection', () => [null], 502, 'origin_closed'],
    ['nothing', () => [], 504, 'origin_timeout'],
    ['a yes that it never enabled', (stream) => open(stream, '200'), 502, 'origin_no_websocket', Buffer.alloc(0)],
    ['no SETTINGS', (stream) => open(stream, '200'), 504, 'origin_timeout', null],
  ])('%s', async (_what, said, status, reason, sent = enabled) => {
    settings = sent
    say = said
    const session = await world.newSession()
    const { secure, outer } = await tlsThrough(world, session, 'api.test', ['http/1.1'], port)
    const client = new RawClient(secure, outer)
    await client.send(`GET /chat HTTP/1.1\r\nHost: api.test:${port}\r\n${handshake}\r\n`)
    const answer = await client.response()
    settings = Buffer.alloc(0)
    if (typeof answer === 'string') expect.fail(answer)
    expect(answer.status).toBe(status)
    if (reason === null) {
      expect(answer.fields.filter(([name]) => /accept|length/i.test(name)).map(([, value]) => value)).toEqual([
        acceptFor(key),
      ])
      await expect.poll(() => client.unread.toString('latin1')).toBe(text.toString('latin1'))
    }
    outer.resetAndDestroy()
    const records = () => world.records.filter((record) => record.session === session.id)
    await expect.poll(records).toMatchObject([{ status, reason, outcome: reason === null ? 'allow' : 'failed' }])
  })
})
