import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { createWorld, type World, type WorldSession } from '../support/world.ts'

const secret = 'sk-live-0123456789abcdef0123456789abcdef'

let world: World
let session: WorldSession
let origin: WebSocketServer
/** What the origin was asked with, and its end of each WebSocket. */
let asked: http.IncomingHttpHeaders
let theirs: WebSocket
const opened: WebSocket[] = []

beforeAll(async () => {
  world = await createWorld({
    limits: { exchangeIdleMs: 20_000, firstBytesTimeoutMs: 15_000, handshakeTimeoutMs: 15_000, headTimeoutMs: 15_000 },
    credentials: [{ name: 'model', kind: 'bearer', hosts: ['key.test'], secret: { env: 'MODEL_KEY' } }],
    secrets: { MODEL_KEY: secret },
    rules: ({ https: port }) => {
      const local = { methods: ['WEBSOCKET'], ports: [port], addresses: ['127.0.0.0/8'] }
      return [
        { host: 'good.test', ...local },
        { host: 'key.test', ...local, credential: 'model' },
      ]
    },
    dns: { 'good.test': { a: ['127.0.0.1'] }, 'key.test': { a: ['127.0.0.1'] } },
  })
  origin = new WebSocketServer({
    noServer: true,
    perMessageDeflate: { threshold: 0 },
    handleProtocols: (offered) => (offered.has('chat') ? 'chat' : false),
  })
  const server = http.createServer()
  server.on('upgrade', (request, socket, head) => {
    asked = request.headers
    origin.handleUpgrade(request, socket, head, (end) => {
      theirs = end
      end.on('message', (data, isBinary) => {
        end.send(data, { binary: isBinary })
      })
      end.on('error', () => undefined)
    })
  })
  const secureContext = world.originCa.contextFor('good.test')
  world.https.onConnection = (socket) => {
    const SNICallback = (name: string, callback: (error: null, context: tls.SecureContext) => void): void =>
      callback(null, world.originCa.contextFor(name))
    server.emit('connection', new tls.TLSSocket(socket, { isServer: true, secureContext, SNICallback }))
  }
})
afterAll(async () => {
  origin?.close()
  await world?.[Symbol.asyncDispose]()
})
beforeEach(async () => {
  session = await world.newSession()
})
afterEach(async () => {
  for (const one of opened.splice(0)) one.terminate()
  await session.revoke()
})

async function connect(host: string): Promise<WebSocket> {
  const target = `${host}:${world.ports.https}`
  const socket = net.connect(world.ports.proxy, '127.0.0.1')
  socket.write(`CONNECT ${target} HTTP/1.1\r\nProxy-Authorization: ${session.authorization}\r\n\r\n`)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 /)
  const agent = new https.Agent()
  agent.createConnection = () => tls.connect({ socket, servername: host, ca: world.caCertificate })
  const ours = new WebSocket(`wss://${target}/chat`, ['chat', 'v2'], { agent })
  opened.push(ours)
  await once(ours, 'open')
  return ours
}

async function echoed(ours: WebSocket, data: Buffer | string): Promise<Buffer> {
  ours.send(data)
  const [back, isBinary] = (await once(ours, 'message')) as [Buffer, boolean]
  expect(isBinary).toBe(typeof data !== 'string')
  return back
}

async function closeOf(end: WebSocket): Promise<string> {
  const [code, reason] = (await once(end, 'close')) as [number, Buffer]
  return `${code} ${reason.toString()}`.trim()
}

it.each([
  ['good.test', 'permessage-deflate'],
  ['key.test', ''],
])('messages, pings and the end pass between client and server of `ws`, %s', async (host, extensions) => {
  const ours = await connect(host)
  expect([ours.protocol, ours.extensions, theirs.extensions]).toEqual(['chat', extensions, extensions])
  expect(asked.authorization).toBe(host === 'key.test' ? `Bearer ${secret}` : undefined)
  expect((await echoed(ours, 'hello')).toString()).toBe('hello')
  const large = Buffer.alloc(3_000_000, 'sallyport ')
  expect((await echoed(ours, large)).equals(large)).toBe(true)
  ours.ping('one')
  expect(String((await once(ours, 'pong'))[0])).toBe('one')
  theirs.ping('two')
  expect(String((await once(theirs, 'pong'))[0])).toBe('two')
  const heard = closeOf(theirs)
  ours.close(4000, 'bye')
  expect([await closeOf(ours), await heard]).toEqual(['4000 bye', '4000 bye'])
  await expect
    .poll(() => world.records.filter((one) => one.session === session.id))
    .toMatchObject([{ outcome: 'allow', method: 'WEBSOCKET', status: 101 }])
})

it('the server of `ws` ends with a code of its own, and the client hears it', async () => {
  const ours = await connect('key.test')
  const heard = closeOf(ours)
  theirs.close(1011, 'tired')
  expect(await heard).toBe('1011 tired')
})

it('the client of `ws` hears why a session ended, and the server that the connection did', async () => {
  const ours = await connect('key.test')
  ours.on('error', () => undefined)
  const ends = Promise.all([closeOf(ours), closeOf(theirs)])
  await session.revoke()
  expect(await ends).toEqual(['1008 the session was revoked', '1006'])
})

it('a client of `ws` that does not read holds its own server back, and nobody else', async () => {
  const [slow, its] = [await connect('key.test'), theirs]
  const quick = await connect('key.test')
  slow.pause()
  const message = Buffer.alloc(1_000_000)
  for (let i = 0; i < 40; i++) its.send(message)
  await expect.poll(() => its.bufferedAmount).toBeLessThan(40_000_000)
  for (let i = 0; i < 20; i++) expect((await echoed(quick, 'next')).toString()).toBe('next')
  await delay(300)
  const waits = its.bufferedAmount
  expect(waits).toBeGreaterThan(20_000_000)
  expect((await echoed(quick, message)).length).toBe(message.length)
  expect(its.bufferedAmount).toBe(waits)
  let messages = 0
  slow.on('message', () => messages++)
  slow.resume()
  await expect.poll(() => messages, { timeout: 15_000 }).toBe(40)
})
