/** WebSockets to origins that have HTTP/2 alone (RFC 8441), from clients of either HTTP. */

import { once } from 'node:events'
import { Agent } from 'node:http'
import http2 from 'node:http2'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { H2Client, tlsThrough } from '../support/h2-client.ts'
import { type H2Origin, startH2Origin } from '../support/h2-origin.ts'
import { RawClient } from '../support/raw-client.ts'
import { acceptFor, closeOf, frameOf, WebSocketPeer } from '../support/websocket-peer.ts'
import { askFor, handshake, key } from '../support/websocket-world.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'

const secret = 'sk-live-0123456789abcdef0123456789abcdef'
let world: World
let origin: H2Origin
let mute: H2Origin
let both: H2Origin
let session: WorldSession
let since: number
/** What was asked of the origin, and its ends of what stands. */
let heads: http2.IncomingHttpHeaders[]
let peers: WebSocketPeer[]
let streams: http2.ServerHttp2Stream[]

beforeAll(async () => {
  origin = await startH2Origin({ allowHTTP1: false, settings: { enableConnectProtocol: true } })
  mute = await startH2Origin({ allowHTTP1: false })
  both = await startH2Origin({ allowHTTP1: true, settings: { enableConnectProtocol: true } })
  const a = { a: ['127.0.0.1'] }
  world = await createWorld({
    dns: { 'good.test': a, 'key.test': a },
    limits: { exchangeIdleMs: 30_000 },
    credentials: [{ name: 'model', kind: 'bearer', hosts: ['key.test'], secret: { env: 'MODEL_KEY' } }],
    secrets: { MODEL_KEY: secret },
    rules: () => {
      const ports = [origin.port, mute.port, both.port]
      const local = { ports, addresses: ['127.0.0.0/8'], tls: 'intercept' }
      return [
        { host: 'good.test', ...local },
        { host: 'key.test', methods: ['WEBSOCKET'], ...local, credential: 'model' },
      ]
    },
  })
  for (const one of [origin, mute, both]) one.ca = world.originCa
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  for (const one of [origin, mute, both]) await one[Symbol.asyncDispose]()
})
beforeEach(async () => {
  session = await world.newSession()
  since = world.records.length
  heads = []
  peers = []
  streams = []
  origin.onConnect = (stream, headers) => agree(stream, headers)
  origin.handler = (_request, response) => void response.end('ok\n')
})
afterEach(() => session.revoke())

type Client = 'h2' | 'http/1.1'
const clients: readonly Client[] = ['http/1.1', 'h2']
const recorded = () => world.records.slice(since)

function agree(
  stream: http2.ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
  answer: http2.OutgoingHttpHeaders = { ':status': 200 },
): void {
  heads.push(headers)
  stream.respond(answer)
  streams.push(stream)
  peers.push(new WebSocketPeer(stream, { masks: false }))
}

type Asked = {
  readonly status: number
  readonly fields: readonly (readonly [string, string])[]
  readonly socket: Duplex
  readonly early: Buffer
  readonly leave: () => void
}

/** Asks for one, on a connection of its own unless there is one of HTTP/2. */
async function ask(
  as: Client,
  { lines = handshake, host = 'good.test', port = origin.port, on = null as H2Client | null } = {},
): Promise<Asked> {
  if (as === 'h2') {
    const client = on ?? (await H2Client.open(world, session, host, {}, port))
    const { stream, answer } = await askFor(client, lines)
    const leave = (): void => {
      if (on === null) client.outer.resetAndDestroy()
      else stream.close(http2.constants.NGHTTP2_CANCEL)
    }
    return { ...answer, socket: stream, early: Buffer.alloc(0), leave }
  }
  const { secure, outer } = await tlsThrough(world, session, host, ['http/1.1'], port)
  const client = new RawClient(secure, outer)
  await client.send(`GET /chat HTTP/1.1\r\nHost: ${host}:${port}\r\n${lines}\r\n`)
  const answer = await client.response()
  if (typeof answer === 'string') throw new Error(answer)
  const early = answer.status === 101 ? client.takeAll() : answer.body
  return { ...answer, socket: client.socket, early, leave: () => void outer.resetAndDestroy() }
}

/** One that stands, and its two ends. */
async function stand(as: Client, how: Parameters<typeof ask>[1] = {}) {
  const stood = peers.length
  const asked = await ask(as, how)
  const [theirs, stream] = [peers[stood], streams[stood]]
  if (theirs === undefined || stream === undefined) expect.fail(`no WebSocket: ${asked.status}`)
  return { ...asked, ours: new WebSocketPeer(asked.socket, { masks: true, early: asked.early }), theirs, stream }
}

const textOf = async (peer: WebSocketPeer, ms: number = 5000): Promise<string> => {
  const heard = await peer.next(ms)
  return typeof heard === 'string' ? heard : `${heard.opcode} ${heard.payload.toString()}`
}

describe.each(clients)('a WebSocket to an origin of HTTP/2 alone, from a client of %s', (as) => {
  it('is asked for by extended CONNECT with the secret on it, and agreed to as each client is told', async () => {
    origin.onConnect = (stream, headers) =>
      agree(stream, headers, { ':status': 200, 'sec-websocket-protocol': 'chat', 'set-cookie': 'won=1' })
    const lines = `${handshake}Sec-WebSocket-Protocol: chat, more\r\nSec-WebSocket-Extensions: permessage-deflate\r\n`
    const one = await stand(as, { lines: `${lines}Cookie: a=b\r\nX-Mine: 1\r\n`, host: 'key.test' })
    expect(Object.fromEntries(Object.entries(heads[0] ?? {}))).toEqual({
      ':authority': `key.test:${origin.port}`,
      ':method': 'CONNECT',
      ':path': '/chat',
      ':protocol': 'websocket',
      ':scheme': 'https',
      'accept-encoding': 'identity',
      authorization: `Bearer ${secret}`,
      'sec-websocket-protocol': 'chat, more',
      'sec-websocket-version': '13',
      'x-mine': '1',
    })
    expect(one.status).toBe(as === 'h2' ? 200 : 101)
    const accept = one.fields.filter(([name]) => name.toLowerCase() === 'sec-websocket-accept')
    expect(accept.map(([, value]) => value)).toEqual(as === 'h2' ? [] : [acceptFor(key)])
    expect(one.fields.find(([name]) => name === 'sec-websocket-protocol')?.[1]).toBe('chat')
    expect(one.fields.some(([name]) => name === 'set-cookie')).toBe(false)
    one.theirs.socket.end()
    one.ours.socket.end()
    await expect.poll(recorded).toMatchObject([
      {
        outcome: 'allow',
        status: one.status,
        method: 'WEBSOCKET',
        credentials: ['model'],
        address: `127.0.0.1:${origin.port}`,
      },
    ])
  })

  it('carries messages, pings and the code it closes with, both ways, and ends once both have', async () => {
    const { ours, theirs } = await stand(as)
    const large = Buffer.alloc(3_000_000, 'sallyport ')
    for (const [from, to] of [
      [ours, theirs],
      [theirs, ours],
    ] as const) {
      from.send('text', 'to')
      from.send('ping', 'are you there')
      from.send('binary', large)
      expect([await textOf(to), await textOf(to)]).toEqual(['text to', 'ping are you there'])
      const heard = await to.next()
      expect(typeof heard !== 'string' && heard.payload.equals(large)).toBe(true)
    }
    theirs.close(4001, 'enough')
    theirs.socket.end()
    expect(closeOf(await ours.next())).toBe('4001 enough')
    expect(await ours.next()).toBe('fin')
    ours.close(4001, 'enough')
    expect(closeOf(await theirs.next())).toBe('4001 enough')
    ours.socket.end()
    expect(await theirs.next()).toBe('fin')
    await expect.poll(recorded).toMatchObject([{ outcome: 'allow', reason: null }])
    expect(recorded()[0]?.bytesUp).toBeGreaterThan(large.length)
    expect(recorded()[0]?.bytesDown).toBeGreaterThan(large.length)
  })

  it('masks the secret in messages, wherever frames and pieces cut it', async () => {
    const { ours, theirs } = await stand(as, { host: 'key.test' })
    theirs.send('text', `it is ${secret.slice(0, 9)}`, false)
    theirs.send('continuation', `${secret.slice(9)}!`)
    theirs.send('ping', secret)
    let heard = ''
    while (!heard.includes('ping')) heard += await textOf(ours)
    expect(heard).not.toContain(secret.slice(-12))
    expect(heard).toContain('!')
    ours.socket.end()
    theirs.socket.end()
    await expect.poll(recorded).toMatchObject([{ outcome: 'allow', redactions: 2 }])
  })

  it('of a client that is gone is reset at the origin, by CANCEL and alone', async () => {
    const [one, two] = [await stand(as), await stand(as)]
    expect(one.stream.session).toBe(two.stream.session)
    one.leave()
    await expect.poll(() => one.stream.destroyed).toBe(true)
    expect([one.stream.aborted, one.stream.rstCode]).toEqual([true, http2.constants.NGHTTP2_CANCEL])
    two.ours.send('text', 'still')
    expect(await textOf(two.theirs)).toBe('text still')
    two.theirs.send('text', 'here')
    expect(await textOf(two.ours)).toBe('text here')
    await expect.poll(() => recorded().length).toBe(1)
  })

  it.each([
    ['without an error', http2.constants.NGHTTP2_NO_ERROR],
    ['by CANCEL', http2.constants.NGHTTP2_CANCEL],
    ['by an error', http2.constants.NGHTTP2_INTERNAL_ERROR],
  ])('that the origin resets %s is reset, not ended, also behind the last word of the client', async (_how, code) => {
    for (const said of [false, true]) {
      const { ours, theirs, stream } = await stand(as)
      theirs.send('text', 'x')
      expect(await textOf(ours)).toBe('text x')
      if (said) {
        ours.socket.end()
        expect(await theirs.next()).toBe('fin')
      }
      // `close` would end it first.
      resetBy(stream, code)
      const end = await ours.next()
      // To its own side a stream that was ended ends; its code tells.
      if (as === 'h2') expect((ours.socket as http2.ClientHttp2Stream).rstCode).toBe(http2.constants.NGHTTP2_CANCEL)
      if (as === 'http/1.1' || !said) expect(end).toBe('reset')
    }
    await expect.poll(() => recorded().length).toBe(2)
  })

  it('that the origin resets behind its own last word is over at once', async () => {
    const { ours, theirs, stream } = await stand(as)
    theirs.socket.end()
    expect(await ours.next()).toBe('fin')
    await delay(50)
    resetBy(stream, http2.constants.NGHTTP2_NO_ERROR)
    await expect.poll(() => recorded().length).toBe(1)
  })

  it('is reset with the connection of the origin, and the next has one of its own', async () => {
    const { ours, theirs, stream } = await stand(as)
    theirs.send('text', 'x')
    await ours.next()
    stream.session?.destroy()
    expect(await ours.next()).toBe('reset')
    const next = await stand(as)
    next.ours.send('text', 'again')
    expect(await textOf(next.theirs)).toBe('text again')
    await expect.poll(() => recorded().length).toBe(1)
  })

  it('of a session that ends is cut with a word, and the origin hears no end', async () => {
    const { ours, theirs, stream } = await stand(as)
    theirs.send('text', 'x')
    await ours.next()
    await session.revoke()
    expect(closeOf(await ours.next())).toBe('1008 the session was revoked')
    expect(await ours.next()).toBe('reset')
    await expect.poll(() => stream.destroyed).toBe(true)
    expect(theirs.end).toBe('reset')
    expect(recorded()).toMatchObject([{ outcome: 'interrupted' }])
  })

  it.each(['client', 'origin'] as const)(
    'waits at the sender while the %s does not read',
    async (who) => {
      const [slow, quick] = [await stand(as), await stand(as)]
      const [to, from] = who === 'client' ? [slow.ours, slow.theirs] : [slow.theirs, slow.ours]
      to.socket.pause()
      const frame = frameOf('binary', Buffer.alloc(1_000_000), who === 'origin')
      for (let i = 0; i < 40; i++) from.sendRaw(frame)
      await delay(600)
      const waits = from.socket.writableLength
      expect(waits).toBeGreaterThan(20_000_000)
      quick.ours.send('text', 'ask')
      expect(await textOf(quick.theirs)).toBe('text ask')
      quick.theirs.send('text', 'answer')
      expect(await textOf(quick.ours)).toBe('text answer')
      expect(from.socket.writableLength).toBe(waits)
      to.socket.resume()
      await expect.poll(() => to.bytesIn, { timeout: 15_000 }).toBe(frame.length * 40)
    },
    30_000,
  )

  it.each([401, 302, 426, 503])('that is answered with %i has that answer, and no word goes on', async (status) => {
    origin.onConnect = (stream, headers) => {
      heads.push(headers)
      stream.respond({ ':status': status, 'x-why': 'because', 'content-length': 2 })
      stream.end('no')
    }
    const asked = await ask(as)
    expect([asked.status, asked.fields.find(([name]) => name === 'x-why')?.[1]]).toEqual([status, 'because'])
    await expect.poll(recorded).toMatchObject([{ outcome: 'allow', status }])
    asked.leave()
    expect(heads).toHaveLength(1)
  })

  it.each<[what: string, answer: http2.OutgoingHttpHeaders, ended: boolean]>([
    ['with a subprotocol that was not offered', { ':status': 200, 'sec-websocket-protocol': 'other' }, false],
    ['with an extension that was not offered', { ':status': 200, 'sec-websocket-extensions': 'x' }, false],
    ['that is the end of its stream', { ':status': 200 }, true],
    ['without content', { ':status': 204 }, true],
  ])('that is agreed to %s fails, and its stream is given up', async (_what, answer, ended) => {
    origin.onConnect = (stream) => {
      streams.push(stream)
      stream.respond(answer, { endStream: ended })
    }
    const asked = await ask(as)
    expect(asked.status).toBe(502)
    expect(asked.fields.find(([name]) => name.toLowerCase() === 'x-egress-reason')?.[1]).toBe('origin_malformed')
    await expect.poll(() => streams[0]?.destroyed).toBe(true)
    await expect.poll(recorded).toMatchObject([{ outcome: 'failed', reason: 'origin_malformed', status: 502 }])
    asked.leave()
  })

  it('fails in words where the origin has not enabled it, and asks for nothing', async () => {
    const asked = await ask(as, { port: mute.port })
    expect(asked.status).toBe(502)
    expect(asked.fields.find(([name]) => name.toLowerCase() === 'x-egress-reason')?.[1]).toBe('origin_no_websocket')
    asked.leave()
    expect(recorded()).toMatchObject([{ outcome: 'failed', reason: 'origin_no_websocket', status: 502 }])
    expect(mute.sessions.at(-1)?.destroyed).toBe(false)
  })

  it('is asked for by HTTP/1.1 where the origin has both', async () => {
    const versions: string[] = []
    both.handler = (request, response) => {
      versions.push(`${request.httpVersion} ${request.headers['sec-websocket-key']?.length}`)
      response.statusCode = 426
      response.end()
    }
    const asked = await ask(as, { port: both.port })
    expect([asked.status, versions]).toEqual([426, ['1.1 24']])
    asked.leave()
  })

  it('is asked for again where the origin did nothing with it', async () => {
    let asked = 0
    origin.onConnect = (stream, headers) => {
      if (asked++ > 0) agree(stream, headers)
      else resetBy(stream, http2.constants.NGHTTP2_REFUSED_STREAM)
    }
    const { ours, theirs } = await stand(as)
    ours.send('text', 'second')
    expect(await textOf(theirs)).toBe('text second')
    expect(asked).toBe(2)
  })
})

it('shares a connection with requests, which go on when it is cut', async () => {
  const client = await H2Client.open(world, session, 'good.test', {}, origin.port)
  const before = origin.sessions.length
  expect((await client.get('/')).status).toBe(200)
  const one = await stand('h2', { on: client })
  let release = (): void => undefined
  origin.handler = (_request, response) => {
    response.write('first ')
    release = () => void response.end('last')
  }
  const slow = client.get('/slow')
  await delay(50)
  one.leave()
  await expect.poll(() => one.stream.destroyed).toBe(true)
  release()
  expect((await slow).body.toString()).toBe('first last')
  expect(origin.sessions.length).toBe(before + 1)
  client.close()
})

it('is spoken by a client that is not ours', async () => {
  origin.onConnect = (stream, headers) => {
    agree(stream, headers, { ':status': 200, 'sec-websocket-protocol': 'chat' })
    peers.at(-1)?.send('text', 'welcome')
  }
  const { secure } = await tlsThrough(world, session, 'good.test', ['http/1.1'], origin.port)
  const agent = new Agent()
  agent.createConnection = () => secure
  const socket = new WebSocket(`ws://good.test:${origin.port}/chat`, ['chat'], { agent })
  const [welcome] = (await once(socket, 'message')) as [Buffer]
  expect([socket.protocol, welcome.toString()]).toEqual(['chat', 'welcome'])
  socket.send('hello')
  expect(await textOf(peers[0] as WebSocketPeer)).toBe('text hello')
  peers[0]?.close(4002, 'bye')
  peers[0]?.socket.end()
  expect((await once(socket, 'close'))[0]).toBe(4002)
})

/** As its only word: Node's `close` ends a stream before it resets it. */
function resetBy(stream: http2.ServerHttp2Stream, code: number): void {
  const handle = (stream as unknown as Record<symbol, { rstStream: (code: number) => void }>)[kHandle(stream)]
  handle?.rstStream(code)
}

function kHandle(stream: object): symbol {
  const found = Object.getOwnPropertySymbols(stream).find((one) => one.description === 'kHandle')
  if (found === undefined) throw new Error('no handle')
  return found
}
