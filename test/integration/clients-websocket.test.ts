import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { valuesOf } from '../support/strict-http.ts'
import type { WebSocketPeer } from '../support/websocket-peer.ts'
import { WebSocketWorld } from '../support/websocket-world.ts'
import type { WorldSession } from '../support/world.ts'

const secret = 'sk-live-0123456789abcdef0123456789abcdef'
const run = promisify(execFile)

let sockets: WebSocketWorld
let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sallyport-websocket-'))
  sockets = await WebSocketWorld.create({
    credentials: [{ name: 'model', kind: 'bearer', hosts: ['key.test'], secret: { env: 'MODEL_KEY' } }],
    secrets: { MODEL_KEY: secret },
    rules: ({ http, https }) => {
      const local = { ports: [http, https], addresses: ['127.0.0.0/8'], tls: 'intercept' }
      return [
        { host: 'good.test', ...local },
        { host: 'get.test', methods: ['GET'], ...local },
        { host: 'key.test', methods: ['WEBSOCKET'], ...local, ports: [https], credential: 'model' },
      ]
    },
  })
  await writeFile(join(directory, 'ca.pem'), sockets.world.caCertificate)
  for (const way of ['plain', 'tls'] as const) sockets.originOf(way).onPeer = (peer) => void echo(peer)
})
afterAll(async () => {
  await sockets?.[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

/** Says back what it hears, and agrees to every end. */
async function echo(peer: WebSocketPeer): Promise<void> {
  for (let frame = await peer.next(20_000); typeof frame !== 'string'; frame = await peer.next(20_000)) {
    if (frame.opcode !== 'pong') peer.send(frame.opcode === 'ping' ? 'pong' : frame.opcode, frame.payload, frame.fin)
    if (frame.opcode === 'close') peer.socket.end()
  }
}

const program = `
const socket = new WebSocket(process.argv[1])
const big = 'x'.repeat(300_000)
socket.onopen = () => { socket.send('hello'); socket.send(big) }
socket.onmessage = ({ data }) => {
  if (data === 'hello') console.log('hello')
  else { console.log(data === big); socket.close(4000, 'bye') }
}
socket.onerror = () => console.log('error')
socket.onclose = ({ code, reason }) => console.log(code, reason)
`

/** What a program of its own says, of which nothing but its environment knows of the proxy. */
async function nodeClient(session: WorldSession, url: string): Promise<readonly string[]> {
  const pair = Buffer.from(session.authorization.replace('Basic ', ''), 'base64').toString()
  const proxy = `http://${pair}@127.0.0.1:${sockets.world.ports.proxy}`
  const env = {
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    NODE_USE_ENV_PROXY: '1',
    NODE_EXTRA_CA_CERTS: join(directory, 'ca.pem'),
  }
  const { stdout } = await run(process.execPath, ['--no-warnings', '-e', program, url], { env, timeout: 15_000 })
  return stdout.trim().split('\n')
}

it.each(['ws', 'wss'])("Node's own WebSocket speaks through the proxy, %s", async (scheme) => {
  const session = await sockets.world.newSession()
  const { http, https } = sockets.world.ports
  const said = await nodeClient(session, `${scheme}://good.test:${scheme === 'ws' ? http : https}/chat`)
  expect(said).toEqual(['hello', 'true', '4000 bye'])
  await expect
    .poll(() => sockets.world.records.filter((one) => one.session === session.id && one.kind === 'request'))
    .toMatchObject([{ outcome: 'allow', method: 'WEBSOCKET', status: 101 }])
})

it('it speaks for the account of the credential, which it never sees', async () => {
  const session = await sockets.world.newSession()
  const said = await nodeClient(session, `wss://key.test:${sockets.world.ports.https}/v1/realtime`)
  expect(said).toEqual(['hello', 'true', '4000 bye'])
  const handshake = sockets.originOf('tls').handshakes.at(-1)
  expect(handshake === undefined ? [] : valuesOf(handshake, 'authorization')).toEqual([`Bearer ${secret}`])
  expect(handshake === undefined ? [] : valuesOf(handshake, 'sec-websocket-extensions')).toEqual([])
})

it('it is told that it may not, where GET alone is allowed', async () => {
  const session = await sockets.world.newSession()
  const said = await nodeClient(session, `wss://get.test:${sockets.world.ports.https}/chat`)
  expect(said[0]).toBe('error')
  await expect
    .poll(() => sockets.world.records.filter((one) => one.session === session.id && one.kind === 'request'))
    .toMatchObject([{ outcome: 'deny', reason: 'method_not_allowed', method: 'WEBSOCKET' }])
})

it('every record is counted', async () => {
  const counted = await sockets.world.decisions()
  const recorded = new Map<string, number>()
  for (const { outcome, reason } of sockets.world.records) {
    const key = `${outcome} ${reason ?? 'none'}`
    recorded.set(key, (recorded.get(key) ?? 0) + 1)
  }
  expect(counted).toEqual(recorded)
})
