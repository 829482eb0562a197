import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { acceptFor, closeOf, frameOf, type WebSocketPeer } from '../support/websocket-peer.ts'
import { everyWay, handshake, key, linesOf, ways, WebSocketWorld } from '../support/websocket-world.ts'
import type { WorldSession } from '../support/world.ts'

let sockets: WebSocketWorld
let session: WorldSession
let since: number

beforeAll(async () => {
  sockets = await WebSocketWorld.create({
    limits: { exchangeIdleMs: 30_000 },
    rules: ({ http, https }) => [
      { host: 'good.test', ports: [http, https], addresses: ['127.0.0.0/8'], tls: 'intercept' },
    ],
  })
})
afterAll(() => sockets[Symbol.asyncDispose]())
beforeEach(async () => {
  session = await sockets.world.newSession()
  since = sockets.world.records.length
})
afterEach(async () => {
  await session.revoke()
})

const recorded = () => sockets.world.records.slice(since)

async function payloadOf(peer: WebSocketPeer, timeoutMs?: number): Promise<string> {
  const frame = await peer.next(timeoutMs)
  return typeof frame === 'string' ? frame : `${frame.opcode} ${frame.payload.toString()}`
}

describe.each(everyWay)('a WebSocket, %s', (way) => {
  /** What an answer says of it. */
  const switched = way === 'h2' ? 200 : 101

  it('carries frames both ways as they are, and ends with the close code of whoever ends it', async () => {
    const { client, origin, answer } = await sockets.open(way, session)
    expect(answer.fields.filter(([name]) => /^(?:connection|upgrade|sec-websocket-accept)$/.test(name))).toEqual(
      way === 'h2'
        ? []
        : [
            ['connection', 'Upgrade'],
            ['upgrade', 'websocket'],
            ['sec-websocket-accept', acceptFor(key)],
          ],
    )
    client.send('text', 'hello')
    client.send('ping', 'p1')
    client.send('text', 'be', false)
    client.send('continuation', 'gun')
    const seen = [await origin.next(), await origin.next(), await origin.next(), await origin.next()]
    expect(
      seen.map((one) => (typeof one === 'string' ? one : [one.opcode, one.fin, one.masked, one.payload.toString()])),
    ).toEqual([
      ['text', true, true, 'hello'],
      ['ping', true, true, 'p1'],
      ['text', false, true, 'be'],
      ['continuation', true, true, 'gun'],
    ])
    origin.send('pong', 'p1')
    origin.send('binary', 'x')
    expect([await payloadOf(client), await payloadOf(client)]).toEqual(['pong p1', 'binary x'])
    origin.close(4321, 'enough')
    expect(closeOf(await client.next())).toBe('4321 enough')
    client.close(4321, 'enough')
    expect(closeOf(await origin.next())).toBe('4321 enough')
    origin.socket.end()
    expect(await client.next()).toBe('fin')
    client.socket.end()
    expect(await origin.next()).toBe('fin')

    await expect.poll(() => recorded().length).toBe(1)
    const [record] = recorded()
    expect(record).toMatchObject({
      event: 'final',
      kind: 'request',
      method: 'WEBSOCKET',
      path: '/chat',
      outcome: 'allow',
      status: switched,
    })
    // Heads, and every byte of every frame.
    expect(record?.bytesUp).toBeGreaterThan(client.bytesOut + 100)
    expect(record?.bytesUp).toBeLessThan(client.bytesOut + 300)
    expect(record?.bytesDown).toBeGreaterThan(origin.bytesOut + 100)
    expect(record?.bytesDown).toBeLessThan(origin.bytesOut + 300)
  })

  it('asks the origin once, with what the client asked and nothing else of its connection', async () => {
    const lines = `${handshake}Origin: https://page.test\r\nSec-WebSocket-Protocol: chat\r\nsec-websocket-protocol: v2\r\nSec-WebSocket-Extensions: permessage-deflate; x=1\r\nSec_WebSocket_Key: other\r\nCookie: a=b\r\n`
    await sockets.open(way, session, lines)
    const fields = sockets.originOf(way).handshakes.at(-1)?.fields ?? []
    expect(linesOf(fields)).toEqual([
      'connection: upgrade',
      'cookie: a=b',
      'origin: https://page.test',
      'sec-websocket-extensions: permessage-deflate; x=1',
      // On a stream none is sent, and the origin hears one of ours.
      way === 'h2' ? expect.stringMatching(/^sec-websocket-key: [A-Za-z0-9+/]{22}==$/) : `sec-websocket-key: ${key}`,
      'sec-websocket-protocol: chat, v2',
      'sec-websocket-version: 13',
      'upgrade: websocket',
    ])
  })

  it('that is revoked is told so in a close frame, is cut on both sides, and hears not one byte more', async () => {
    const { client, origin } = await sockets.open(way, session)
    origin.send('text', 'x')
    expect(await payloadOf(client)).toBe('text x')
    const drip = setInterval(() => void origin.send('text', 'more'), 1)
    await expect.poll(() => client.bytesIn).toBeGreaterThan(200)
    const began = performance.now()
    await session.revoke()
    const heard: string[] = []
    for (let one = await client.next(); ; one = await client.next()) {
      heard.push(typeof one === 'string' || one.opcode === 'close' ? closeOf(one) : one.payload.toString())
      if (typeof one === 'string') break
    }
    clearInterval(drip)
    expect(performance.now() - began).toBeLessThan(1000)
    expect(heard.slice(-2)).toEqual(['1008 the session was revoked', 'reset'])
    await expect.poll(() => origin.end).not.toBe('open')
    await expect.poll(() => recorded().length).toBe(1)
    expect(recorded()).toMatchObject([
      { outcome: 'interrupted', detail: 'the session was revoked', status: switched, method: 'WEBSOCKET' },
    ])
  })

  it.each([
    ['is narrowed', { methods: ['GET'] }, false],
    ['changes and still allows it', { methods: ['GET', 'WEBSOCKET'] }, true],
  ])('whose policy %s is judged anew', async (_what, more, lives) => {
    const { http, https } = sockets.world.ports
    const rule = { host: 'good.test', ports: [http, https], addresses: ['127.0.0.0/8'], tls: 'intercept', ...more }
    const { client, origin } = await sockets.open(way, session)
    const began = performance.now()
    await sockets.world.gateway.sessions.book.patch(session.id, { policy: { inline: { rules: [rule] } } })
    origin.send('text', 'still here')
    const heard = await client.next()
    expect(performance.now() - began).toBeLessThan(1000)
    expect(typeof heard === 'string' || heard.opcode === 'close' ? closeOf(heard) : heard.payload.toString()).toBe(
      lives ? 'still here' : '1008 the policy no longer allows it',
    )
    if (lives) return
    expect(await client.next()).toBe('reset')
    expect(recorded()).toMatchObject([{ outcome: 'interrupted', detail: 'the policy no longer allows it' }])
  })

  it('that is cut within a frame ends without a word, since it would be read as part of a message', async () => {
    const { client, origin } = await sockets.open(way, session)
    origin.sendRaw(frameOf('text', Buffer.alloc(1000, 'a'), false).subarray(0, 500))
    await expect.poll(() => client.bytesIn).toBe(500)
    await session.revoke()
    expect(await client.next()).toBe('reset')
    expect(client.bytesIn).toBe(500)
  })

  it('ends for the one when the other is gone', async () => {
    const one = await sockets.open(way, session)
    one.outer.reset()
    await expect.poll(() => one.origin.end).not.toBe('open')
    const other = await sockets.open(way, session)
    other.origin.socket.destroy()
    expect(await other.client.next()).not.toBe('silence')
    other.client.socket.end()
    await expect.poll(() => recorded().length).toBe(2)
    expect(recorded().map(({ outcome, status }) => [outcome, status])).toEqual([
      ['allow', switched],
      ['allow', switched],
    ])
  })
})

describe.each(ways)('a WebSocket, %s', (way) => {
  it('takes what the client sends behind its handshake for frames, and what the origin sends behind its 101', async () => {
    const origin = sockets.originOf(way)
    const before = origin.onPeer
    origin.onPeer = (peer) => void peer.send('text', 'first')
    const { client, head } = await sockets.reach(way, session)
    const early = frameOf('text', Buffer.from('early'), true)
    await client.send(Buffer.concat([Buffer.from(head(handshake)), early]))
    expect(await client.response()).toMatchObject({ status: 101 })
    origin.onPeer = before
    expect(await payloadOf(origin.peers.at(-1) as WebSocketPeer)).toBe('text early')
    await expect.poll(() => client.unread.toString('latin1')).toBe('\x81\x05first')
    client.destroy()
  })
})

it('is open in the gauge and in the audit log while it lasts, and gone from both then', async () => {
  const metric = async (): Promise<string | undefined> =>
    /^sallyport_streams_open (\d+)$/m.exec((await sockets.world.gateway.telemetry.metricsText()).text)?.[1]
  await expect.poll(metric).toBe('0')
  const opened = [await sockets.open('plain', session), await sockets.open('tls', session)]
  expect(await metric()).toBe('2')
  const lines = async (): Promise<string[]> =>
    (await sockets.world.auditText()).split('\n').filter((line) => line.includes(`"session":"${session.id}"`))
  await expect.poll(async () => (await lines()).length, { timeout: 4000 }).toBe(2)
  for (const line of await lines()) expect(line).toContain('"event":"open"')
  for (const { client, origin } of opened) {
    client.socket.end()
    origin.socket.end()
  }
  await expect.poll(async () => (await lines()).length).toBe(4)
  expect(await metric()).toBe('0')
})

describe.each(['plain', 'tls', 'h2'] as const)('10 MB messages, %s', (way) => {
  const message = Buffer.alloc(10_000_000, 'sallyport ')

  it('come back whole from an echo', async () => {
    const { client, origin } = await sockets.open(way, session)
    for (let i = 0; i < 2; i++) {
      client.send('binary', message)
      const there = await origin.next(30_000)
      if (typeof there === 'string') expect.fail(there)
      expect(there.payload.equals(message)).toBe(true)
      origin.send('binary', there.payload)
      const back = await client.next(30_000)
      if (typeof back === 'string') expect.fail(back)
      expect(back.payload.equals(message)).toBe(true)
    }
  }, 60_000)

  it.each(['client', 'origin'] as const)('wait at the sender while the %s does not read', async (who) => {
    const ends = await sockets.open(way, session)
    const [slow, fast] = who === 'client' ? [ends.client, ends.origin] : [ends.origin, ends.client]
    slow.socket.pause()
    const frame = frameOf('binary', Buffer.alloc(1_000_000), who === 'origin')
    for (let i = 0; i < 40; i++) fast.sendRaw(frame)
    await delay(700)
    // What neither kernel nor proxy took: the proxy holds no more than a buffer of each socket.
    const waits = fast.socket.writableLength
    expect(waits).toBeGreaterThan(20_000_000)
    await delay(300)
    expect(fast.socket.writableLength).toBe(waits)
    slow.socket.resume()
    await expect.poll(() => slow.bytesIn, { timeout: 15_000 }).toBe(frame.length * 40)
  })
})
