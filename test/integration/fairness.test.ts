import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { H2Client } from '../support/h2-client.ts'
import { fieldOf, RawClient } from '../support/raw-client.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'

let world: World
let honest: WorldSession
beforeEach(async () => {
  world = await createWorld({
    limits: {
      headTimeoutMs: 1000,
      firstBytesTimeoutMs: 1000,
      handshakeTimeoutMs: 2000,
      unprovenConnectionsMax: 20,
      connectionsPerSessionMax: 30,
      exchangesPerSessionMax: 10,
      exchangeIdleMs: 20_000,
    },
    rules: ({ http, https }) => [
      { host: 'look.test', ports: [http, https], methods: ['GET', 'PUT'], addresses: ['127.0.0.0/8'] },
      { host: 'tunnel.test', ports: [https], addresses: ['127.0.0.0/8'] },
    ],
    dns: { 'look.test': { a: ['127.0.0.1'] }, 'tunnel.test': { a: ['127.0.0.1'] } },
  })
  honest = await world.newSession()
})
afterEach(() => world[Symbol.asyncDispose]())

/** Another session asks as if nobody else were there. */
async function honestAsks(): Promise<void> {
  const client = await RawClient.connect(world.ports.proxy)
  await client.send(headFor(honest))
  expect(await client.response()).toMatchObject({ status: 200 })
  client.destroy()
}

function headFor({ authorization }: WorldSession, path = '/', method = 'GET', fields = ''): string {
  const authority = `look.test:${world.ports.http}`
  return `${method} http://${authority}${path} HTTP/1.1\r\nHost: ${authority}\r\nProxy-Authorization: ${authorization}\r\n${fields}\r\n`
}

async function connectMany(count: number): Promise<net.Socket[]> {
  const sockets = Array.from({ length: count }, () => net.connect(world.ports.proxy, '127.0.0.1'))
  for (const socket of sockets) socket.on('error', () => undefined).resume()
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  return sockets
}

async function metric(name: string): Promise<number> {
  const { text } = await world.gateway.telemetry.metricsText()
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN)
}

const stillOpen = (sockets: readonly net.Socket[]): number => sockets.filter(({ destroyed }) => !destroyed).length

describe('a flood that says nothing of whose it is', () => {
  it.for([
    ['connections', ''],
    ['slow heads', 'GET http://look.test/ HT'],
    ['half a SOCKS handshake', '\u0005'],
  ] as const)('of %s keeps nobody out, and goes', async ([, begins]) => {
    const sockets = await connectMany(200)
    for (const socket of sockets) if (begins !== '') socket.write(begins)
    await honestAsks()
    // Those that have just come have their chance.
    await delay(300)
    await honestAsks()
    await expect.poll(() => stillOpen(sockets)).toBeLessThanOrEqual(20)
    expect(await metric('sallyport_connections_evicted_total')).toBeGreaterThanOrEqual(180)
    expect(await metric('sallyport_connections_open')).toBeLessThanOrEqual(21)
    await honestAsks()
    // What has begun must come to its end in time.
    if (begins !== '') await expect.poll(() => stillOpen(sockets), { timeout: 10_000 }).toBe(0)
    for (const socket of sockets) socket.destroy()
  })
})

describe('one session', () => {
  it('with thousands of connections holds as many as it may, and the others are told', async () => {
    const greedy = await world.newSession()
    const clients: RawClient[] = []
    const statuses = new Map<unknown, number>()
    for (let i = 0; i < 60; i++) {
      const client = await RawClient.connect(world.ports.proxy)
      clients.push(client)
      await client.send(headFor(greedy))
      const answer = await client.response()
      const said = typeof answer === 'string' ? answer : `${answer.status} ${fieldOf(answer, 'x-egress-reason')}`
      statuses.set(said, (statuses.get(said) ?? 0) + 1)
    }
    expect(Object.fromEntries(statuses)).toEqual({ '200 null': 30, '429 connection_limit': 30 })
    await honestAsks()
    await expect.poll(() => clients.filter(({ end }) => end === null).length).toBe(30)
    for (const client of clients) client.destroy()
    await expect.poll(() => world.gateway.sessions.book.get(greedy.id)?.budget.connections).toBe(0)
  })

  it('with half-open tunnels has them closed, and every one recorded', async () => {
    const greedy = await world.newSession()
    const clients = await Promise.all(
      Array.from({ length: 25 }, async () => {
        const client = await RawClient.connect(world.ports.proxy)
        const authority = `tunnel.test:${world.ports.https}`
        await client.send(`CONNECT ${authority} HTTP/1.1\r\nProxy-Authorization: ${greedy.authorization}\r\n\r\n`)
        expect(await client.response({ bodiless: true })).toMatchObject({ status: 200 })
        return client
      }),
    )
    await honestAsks()
    for (const client of clients) expect(await client.closed(10_000)).toBe(true)
    await expect.poll(() => world.gateway.sessions.book.get(greedy.id)?.open.size).toBe(0)
    const records = world.records.filter(({ session }) => session === greedy.id)
    expect(records).toHaveLength(25)
  })

  it('with handshakes that it does not finish has them ended, and shakes hands again after that', async () => {
    const greedy = await world.newSession()
    const authority = `look.test:${world.ports.https}`
    const connect = `CONNECT ${authority} HTTP/1.1\r\nProxy-Authorization: ${greedy.authorization}\r\n\r\n`
    const hello = await recordedHello()
    const clients = await Promise.all(
      Array.from({ length: 28 }, async () => {
        const client = await RawClient.connect(world.ports.proxy)
        await client.send(connect)
        expect(await client.response({ bodiless: true })).toMatchObject({ status: 200 })
        await client.send(hello)
        return client
      }),
    )
    await honestAsks()
    for (const client of clients) expect(await client.closed(10_000)).toBe(true)
    const last = await RawClient.connect(world.ports.proxy)
    await last.send(connect)
    await last.response({ bodiless: true })
    const secure = await last.startTls({ servername: 'look.test', ca: world.caCertificate })
    await secure.send(`GET / HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
    expect(await secure.response()).toMatchObject({ status: 200 })
    last.destroy()
  })

  it('with streams of HTTP/2 by the hundred has so many under way as it may', async () => {
    const greedy = await world.newSession()
    const waiting: net.Socket[] = []
    world.https.answer = (_request, socket) => void waiting.push(socket)
    const client = await H2Client.open(world, greedy, 'look.test')
    const statuses: unknown[] = []
    const streams = Array.from({ length: 25 }, (_, i) => {
      const stream = client.session.request({ ':path': `/${i}`, ':authority': client.authority })
      stream.on('error', () => undefined)
      stream.on('response', (headers) => statuses.push(headers[':status']))
      return stream
    })
    await expect.poll(() => statuses.length).toBe(15)
    expect(new Set(statuses)).toEqual(new Set([429]))
    await honestAsks()
    for (const stream of streams) stream.close()
    await expect.poll(() => world.gateway.sessions.book.get(greedy.id)?.budget.exchanges).toBe(0)
    client.session.destroy()
  })

  it('whose clients do not read their answers holds a bounded part of them', async () => {
    const greedy = await world.newSession()
    const answer = Buffer.alloc(32 * 1024 * 1024, 'y')
    let written = 0
    world.http.answer = (request, socket) => {
      if (request.target !== '/big') {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
        return
      }
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${answer.length}\r\n\r\n`)
      socket.write(answer, () => (written += answer.length))
    }
    const readers = await connectMany(4)
    for (const socket of readers) {
      socket.pause()
      socket.write(headFor(greedy, '/big'))
    }
    await expect.poll(() => world.gateway.sessions.book.get(greedy.id)?.budget.exchanges).toBe(4)
    await delay(300)
    await honestAsks()
    const held = world.gateway.sessions.book.get(greedy.id)?.budget.down.used ?? 0
    // Of 128 MiB: for each of the four what sockets of the kernel take, which is some 10 MiB here, and a little of ours.
    expect(held).toBeLessThan(4 * 16 * 1024 * 1024)
    expect(written).toBe(0)
    for (const socket of readers) socket.destroy()
    await expect.poll(() => world.gateway.sessions.book.get(greedy.id)?.budget.exchanges).toBe(0)
  })
})

/** The first flight of a TLS client for look.test. */
async function recordedHello(): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>()
  const server = net.createServer((socket) => socket.once('data', resolve).on('error', () => undefined))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { connect } = await import('node:tls')
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const secure = connect({ host: '127.0.0.1', port: port ?? 0, servername: 'look.test' })
  secure.on('error', () => undefined)
  const hello = await promise
  secure.destroy()
  server.close()
  return hello
}
