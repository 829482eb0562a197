/** WebSockets on streams of HTTP/2, by clients that others wrote: undici's, and `ws` on a stream of Node's own. */

import { once } from 'node:events'
import http2 from 'node:http2'
import type tls from 'node:tls'
import { Agent, WebSocket as UndiciWebSocket } from 'undici'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { tlsThrough } from '../support/h2-client.ts'
import type { WebSocketPeer } from '../support/websocket-peer.ts'
import { WebSocketWorld } from '../support/websocket-world.ts'
import type { WorldSession } from '../support/world.ts'

const secret = 'sk-live-0123456789abcdef0123456789abcdef'
let sockets: WebSocketWorld
let session: WorldSession
let since: number
beforeAll(async () => {
  sockets = await WebSocketWorld.create({
    limits: { exchangeIdleMs: 20_000 },
    credentials: [{ name: 'model', kind: 'bearer', hosts: ['key.test'], secret: { env: 'MODEL_KEY' } }],
    secrets: { MODEL_KEY: secret },
    rules: ({ https }) => [
      { host: 'key.test', ports: [https], addresses: ['127.0.0.0/8'], methods: ['WEBSOCKET'], credential: 'model' },
    ],
  })
  sockets.originOf('tls').onPeer = (peer) => void echo(peer)
})
afterAll(() => sockets?.[Symbol.asyncDispose]())
beforeEach(async () => {
  session = await sockets.world.newSession()
  since = sockets.world.records.length
})
afterEach(() => session.revoke())

/** Says back what it hears, and agrees to every end. */
async function echo(peer: WebSocketPeer): Promise<void> {
  for (let frame = await peer.next(20_000); typeof frame !== 'string'; frame = await peer.next(20_000)) {
    if (frame.opcode !== 'pong') peer.send(frame.opcode === 'ping' ? 'pong' : frame.opcode, frame.payload, frame.fin)
    if (frame.opcode === 'close') peer.socket.end()
  }
}

const recorded = () => sockets.world.records.slice(since)
const large = 'sallyport '.repeat(100_000)

it("undici's own WebSocket", async () => {
  const { secure } = await tlsThrough(sockets.world, session, 'key.test', ['h2'])
  const dispatcher = new Agent({ allowH2: true, connect: (_options, callback) => callback(null, secure) })
  const socket = new UndiciWebSocket(`wss://key.test:${sockets.world.ports.https}/v1/realtime`, { dispatcher })
  const heard: string[] = []
  socket.addEventListener('message', ({ data }) => heard.push(String(data)))
  await once(socket, 'open')
  socket.send('hello')
  socket.send(`I am ${secret}`)
  socket.send(large)
  await expect.poll(() => heard.length, { timeout: 10_000 }).toBe(3)
  expect(heard.slice(0, 2)).toEqual(['hello', `I am ${'*'.repeat(secret.length)}`])
  expect(heard[2] === large).toBe(true)
  const closed = once(socket, 'close') as Promise<[{ readonly code: number; readonly reason: string }]>
  socket.close(4000, 'bye')
  const [{ code, reason }] = await closed
  expect(`${code} ${reason}`).toBe('4000 bye')
  await expect.poll(recorded).toMatchObject([{ outcome: 'allow', method: 'WEBSOCKET', status: 200, redactions: 1 }])
  await dispatcher.destroy()
})

it('`ws` on a stream', async () => {
  const { secure } = await tlsThrough(sockets.world, session, 'key.test', ['h2'])
  const { stream, end } = await streamTo('/chat', secure)
  const socket = Reflect.construct(WebSocket, [null, undefined, {}]) as WebSocket
  // As its own server does with what it was asked on, but as a client.
  Reflect.set(socket, '_isServer', false)
  Reflect.apply(Reflect.get(socket, 'setSocket') as (...given: unknown[]) => void, socket, [
    stream,
    Buffer.alloc(0),
    { allowSynchronousEvents: true, maxPayload: 2 ** 24, skipUTF8Validation: false },
  ])
  const heard: string[] = []
  socket.on('message', (data: Buffer) => heard.push(data.toString()))
  socket.send('hello')
  socket.send(large)
  await expect.poll(() => heard.length, { timeout: 10_000 }).toBe(2)
  expect(heard[0]).toBe('hello')
  expect(heard[1] === large).toBe(true)
  socket.ping('one')
  expect(String((await once(socket, 'pong'))[0])).toBe('one')
  const closed = once(socket, 'close') as Promise<[number, Buffer]>
  await session.revoke()
  const [code, reason] = await closed
  expect(`${code} ${reason.toString()}`).toBe('1008 the session was revoked')
  await expect.poll(recorded).toMatchObject([{ outcome: 'interrupted', detail: 'the session was revoked' }])
  end()
})

async function streamTo(
  path: string,
  secure: tls.TLSSocket,
): Promise<{ readonly stream: http2.ClientHttp2Stream; readonly end: () => void }> {
  const authority = `key.test:${sockets.world.ports.https}`
  const client = http2.connect(`https://${authority}`, { createConnection: () => secure })
  client.on('error', () => undefined)
  await once(client, 'remoteSettings')
  expect(client.remoteSettings.enableConnectProtocol).toBe(true)
  const stream = client.request(
    {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': path,
      ':authority': authority,
      ':scheme': 'https',
      'sec-websocket-version': '13',
    },
    { endStream: false },
  )
  stream.on('error', () => undefined)
  const [{ ':status': status }] = (await once(stream, 'response')) as [http2.IncomingHttpStatusHeader]
  expect(status).toBe(200)
  return { stream, end: () => client.destroy() }
}
