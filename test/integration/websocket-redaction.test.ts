import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { fieldOf } from '../support/raw-client.ts'
import { agree, closeOf, frameOf, type WebSocketPeer } from '../support/websocket-peer.ts'
import { handshake, WebSocketWorld } from '../support/websocket-world.ts'
import type { WorldSession } from '../support/world.ts'

const secret = 'sk-live-0123456789abcdef0123456789abcdef'
const stars = '*'.repeat(secret.length)
let sockets: WebSocketWorld
let session: WorldSession
let since: number

beforeAll(async () => {
  sockets = await WebSocketWorld.create({
    limits: { exchangeIdleMs: 30_000 },
    credentials: [{ name: 'model', kind: 'bearer', hosts: ['key.test'], secret: { env: 'MODEL_KEY' } }],
    secrets: { MODEL_KEY: secret },
    rules: ({ https }) => [
      { host: 'key.test', methods: ['WEBSOCKET'], ports: [https], addresses: ['127.0.0.0/8'], credential: 'model' },
    ],
  })
})
afterAll(() => sockets[Symbol.asyncDispose]())
beforeEach(async () => {
  session = await sockets.world.newSession()
  since = sockets.world.records.length
})
afterEach(async () => {
  sockets.originOf('tls').answer = agree
  await session.revoke()
})

describe.each(['tls', 'h2'] as const)('%s', (way) => {
  const open = () => sockets.open(way, session, handshake, 'key.test')
  const switched = way === 'h2' ? 200 : 101
  const recorded = () => sockets.world.records.slice(since)

  /** A message, out of however many frames; or how it ended. */
  async function messageOf(peer: WebSocketPeer): Promise<string> {
    let text = ''
    for (;;) {
      const frame = await peer.next()
      if (typeof frame === 'string') return frame
      text += frame.opcode === 'close' ? closeOf(frame) : frame.payload.toString()
      if (frame.fin) return text
    }
  }

  it('the secret does not come back in messages, pings or the end, and each place is counted', async () => {
    const { client, origin } = await open()
    origin.send('text', `you are ${secret}`)
    expect(await messageOf(client)).toBe(`you are ${stars}`)
    origin.send('binary', Buffer.from(secret).toString('hex'))
    expect(await messageOf(client)).toBe(stars + stars)
    origin.send('text', secret.slice(0, 20), false)
    origin.send('ping', secret)
    expect(await messageOf(client)).toBe(stars)
    origin.send('continuation', secret.slice(20))
    expect(await messageOf(client)).toBe(stars)
    // The other way nothing is looked at: the origin knows its secret.
    client.send('text', `mine is ${secret}`)
    expect(await messageOf(origin)).toBe(`mine is ${secret}`)
    origin.close(4000, secret)
    expect(await messageOf(client)).toBe(`4000 ${stars}`)
    client.close(4000, '')
    origin.socket.end()
    expect(await client.next()).toBe('fin')
    client.socket.end()
    await expect.poll(recorded).toMatchObject([{ outcome: 'allow', status: switched, redactions: 5 }])
  })

  it('a message of 10 MB comes as long as it was, and the secret in its middle does not', async () => {
    const { client, origin } = await open()
    const half = 'x'.repeat(5_000_000)
    origin.send('binary', half + secret + half)
    expect((await messageOf(client)) === half + stars + half).toBe(true)
  })

  it('nor does it in the head of the 101', async () => {
    sockets.originOf('tls').answer = (request, sent) =>
      `${agree(request, sent).toString().trimEnd()}\r\nX-You-Are: ${secret}\r\n\r\n`
    const { answer, client } = await open()
    expect(fieldOf(answer, 'x-you-are')).toBe(stars)
    client.socket.destroy()
    await expect.poll(recorded).toMatchObject([{ redactions: 1 }])
  })

  it('an origin that says what cannot be searched is cut, and the client told so', async () => {
    const { client, origin } = await open()
    origin.send('text', 'before')
    expect(await messageOf(client)).toBe('before')
    origin.sendRaw(frameOf('text', Buffer.from(secret), true))
    expect(await messageOf(client)).toBe('1002 the origin says what cannot be searched')
    expect(await client.next()).toBe('reset')
    await expect.poll(() => origin.end).not.toBe('open')
    await expect.poll(recorded).toMatchObject([{ outcome: 'failed', reason: 'origin_unsearchable', status: switched }])
  })

  it('within a message whose end has not come the word of a cut fits', async () => {
    const { client, origin } = await open()
    origin.sendRaw(frameOf('text', Buffer.alloc(20_000, 'a'), false).subarray(0, 10_000))
    await expect.poll(() => client.bytesIn).toBeGreaterThan(8000)
    await session.revoke()
    const first = await client.next()
    expect(first).toMatchObject({ opcode: 'text', fin: false })
    let last = await client.next()
    while (typeof last !== 'string' && last.opcode === 'continuation') last = await client.next()
    expect(closeOf(last)).toBe('1008 the session was revoked')
  })

  it('a client that does not read holds the origin back', async () => {
    const { client, origin } = await open()
    client.socket.pause()
    const message = Buffer.alloc(1_000_000, 'x')
    for (let i = 0; i < 40; i++) origin.send('binary', message)
    await new Promise((resolve) => setTimeout(resolve, 1000))
    expect(origin.socket.writableLength).toBeGreaterThan(20_000_000)
    client.socket.resume()
    // Heads of ours are among them.
    await expect.poll(() => client.bytesIn, { timeout: 15_000 }).toBeGreaterThan(40_000_000)
  })
})
