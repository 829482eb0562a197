/**
 * A process of its own for what could end a process: every way to cut a connection, under load, again and again.
 *
 * Prints one line of JSON: what is still open when all is quiet again, and what Node warned about.
 */

import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { frame, FrameClient, hpack } from '../support/h2-client.ts'
import { RawClient } from '../support/raw-client.ts'
import { type StrictRequest, valuesOf } from '../support/strict-http.ts'
import { agree, frameOf } from '../support/websocket-peer.ts'
import { handshake } from '../support/websocket-world.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'

export type CutsReport = {
  readonly warnings: readonly string[]
  readonly served: number
  readonly openSockets: number
  readonly openHolds: number
  readonly unrecorded: number
}

const paths = ['download', 'plain', 'tunnel', 'upload', 'websocket'] as const
type Path = (typeof paths)[number]
type Client = Pick<RawClient, 'closed' | 'reset'>

const rounds = 14
const streamsOfEach = 3
const chunk = Buffer.alloc(65_536, 'x')
const framed = Buffer.concat([Buffer.from('10000\r\n'), chunk, Buffer.from('\r\n')])

async function main(): Promise<void> {
  const warnings: string[] = []
  process.on('warning', (warning) => warnings.push(`${warning.name}: ${warning.message}`))
  const world = await createWorld({
    // No deadline is what this is about, and the machine may be busy.
    limits: { firstBytesTimeoutMs: 15_000, handshakeTimeoutMs: 15_000, headTimeoutMs: 15_000 },
    rules: ({ http, https }) => [
      { host: 'good.test', ports: [http, https], addresses: ['127.0.0.0/8'], tls: 'intercept' },
      { host: 'tunnel.test', ports: [https], addresses: ['127.0.0.0/8'] },
    ],
    dns: { 'good.test': { a: ['127.0.0.1'] }, 'tunnel.test': { a: ['127.0.0.1'] } },
  })
  for (const origin of [world.http, world.https]) origin.answer = (request, socket) => flood(socket, request)
  let served = 0
  const before = openSockets()
  for (let round = 0; round < rounds; round++) {
    const session = await world.newSession()
    const clients: Client[] = await Promise.all([
      ...paths.map((path) => begin(world, session, path)),
      beginStreams(world, session),
    ])
    // Each round is cut at another moment, and not all in the same way.
    await delay(round % 7)
    if (round % 3 === 0) for (const client of clients) client.reset()
    if (round % 3 !== 2) await session.revoke()
    else {
      for (const origin of [world.http, world.https])
        for (const { socket } of origin.connections) if (!socket.destroyed) socket.resetAndDestroy()
      await session.revoke()
    }
    for (const client of clients) {
      await client.closed(3000)
      served++
    }
  }
  await settled(() => openSockets() <= before)
  const openHolds = world.gateway.sessions.book.list().reduce((sum, session) => sum + session.open.size, 0)
  const report: CutsReport = {
    warnings,
    served,
    openSockets: openSockets() - before,
    openHolds,
    unrecorded: rounds * (paths.length + streamsOfEach) - world.records.length,
  }
  await world[Symbol.asyncDispose]()
  process.stdout.write(`${JSON.stringify(report)}\n`)
}

async function begin(world: World, session: WorldSession, path: Path): Promise<RawClient> {
  const client = await RawClient.connect(world.ports.proxy)
  const proof = `Proxy-Authorization: ${session.authorization}\r\n`
  if (path === 'plain') {
    const authority = `good.test:${world.ports.http}`
    await client.send(`GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\n${proof}\r\n`)
    await once(client.socket, 'data')
    return client
  }
  const name = path === 'tunnel' ? 'tunnel.test' : 'good.test'
  const authority = `${name}:${world.ports.https}`
  await client.send(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${proof}\r\n`)
  await client.response({ bodiless: true })
  const ca = path === 'tunnel' ? world.originCa.certificate : world.caCertificate
  const inside = await client.startTls({ servername: name, ca })
  if (path === 'upload') {
    await inside.send(`POST / HTTP/1.1\r\nHost: ${authority}\r\nTransfer-Encoding: chunked\r\n\r\n`)
    pump(inside)
  } else if (path === 'websocket') {
    await inside.send(`GET / HTTP/1.1\r\nHost: ${authority}\r\n${handshake}\r\n`)
    await once(inside.socket, 'data')
    pump(inside)
  } else {
    await inside.send(`GET / HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
    await once(inside.socket, 'data')
  }
  return inside
}

/** Two downloads and an upload as streams of one connection. */
async function beginStreams(world: World, session: WorldSession): Promise<Client> {
  const client = await FrameClient.open(world, session, 'good.test')
  const head = (method: string): Buffer =>
    hpack([
      [':method', method],
      [':scheme', 'https'],
      [':authority', `good.test:${world.ports.https}`],
      [':path', '/'],
    ])
  const window = Buffer.from([0x3f, 0, 0, 0])
  client.write(frame('windowUpdate', 0, 0, window))
  for (const stream of [1, 3])
    client.write(frame('headers', 5, stream, head('GET')), frame('windowUpdate', 0, stream, window))
  client.write(frame('headers', 4, 5, head('POST')), frame('data', 0, 5, chunk.subarray(0, 16_384)))
  await settled(() => new Set(client.of('data').map(({ stream }) => stream)).size === 2)
  return {
    reset: () => void client.outer.resetAndDestroy(),
    closed: async () => {
      await settled(() => client.closed)
      return client.closed
    },
  }
}

/** Uploads chunks until nobody takes them any more. */
function pump(client: RawClient): void {
  const { socket } = client
  const write = (): void => {
    while (socket.writable && socket.write(framed));
  }
  socket.on('drain', write)
  write()
}

function flood(socket: Socket, request: StrictRequest): void {
  if (request.method !== 'GET') return
  const [key] = valuesOf(request, 'sec-websocket-key')
  const frame = frameOf('binary', chunk, false)
  socket.write(
    key === undefined ? 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n' : Buffer.from(agree(request, key)),
  )
  const write = (): void => {
    if (key !== undefined) while (socket.writable && socket.write(frame));
    else while (socket.writable && socket.write(framed));
  }
  socket.on('drain', write)
  write()
}

function openSockets(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length
}

async function settled(condition: () => boolean): Promise<void> {
  const end = performance.now() + 3000
  while (!condition() && performance.now() < end) await delay(20)
}

await main()
