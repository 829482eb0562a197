import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Connection } from '../../src/exchange/connection.ts'
import { listenForProxy } from '../../src/listeners/proxy-listener.ts'
import { RawClient } from '../support/raw-client.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'

let world: World
let session: WorldSession
const warnings: string[] = []
const onWarning = (warning: Error): void => void warnings.push(warning.message)

beforeAll(async () => {
  process.on('warning', onWarning)
  world = await createWorld({
    rules: ({ http, https }) => [
      { host: 'good.test', ports: [http, https], addresses: ['127.0.0.0/8'], tls: 'intercept' },
    ],
    dns: { 'good.test': { a: ['127.0.0.1'] } },
  })
  session = await world.newSession()
})
afterAll(async () => {
  process.removeListener('warning', onWarning)
  await world[Symbol.asyncDispose]()
})
afterEach(() => expect(warnings).toEqual([]))

function connectTo(authority: string, proof = `Proxy-Authorization: ${session.authorization}\r\n`): string {
  return `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${proof}\r\n`
}

function openOf({ id }: WorldSession): number {
  return world.gateway.sessions.book.get(id)?.open.size ?? 0
}

async function statusOf(client: RawClient, bodiless = false): Promise<number | string> {
  const heard = await client.response({ bodiless })
  return typeof heard === 'string' ? heard : heard.status
}

describe('one connection, used again and again', () => {
  it('answers 900 requests, refused and allowed, with and without a body, and nothing piles up on it', async () => {
    const client = await RawClient.connect(world.ports.proxy)
    const before = world.records.length
    for (let i = 0; i < 900; i++) {
      const host = i % 3 === 0 ? 'evil.test' : `good.test:${world.ports.http}`
      const body = i % 3 === 1 ? 'hi' : ''
      await client.send(
        `${body === '' ? 'GET' : 'POST'} http://${host}/${i} HTTP/1.1\r\nHost: ${host}\r\nProxy-Authorization: ${session.authorization}\r\n${body === '' ? '' : 'Content-Length: 2\r\n'}\r\n${body}`,
      )
      expect(await statusOf(client)).toBe(i % 3 === 0 ? 403 : 200)
    }
    expect(world.records.length - before).toBe(900)
    // The connection, and the pools to origins.
    expect(openOf(session)).toBe(2)
    client.destroy()
    await expect.poll(() => openOf(session)).toBe(1)
  })

  it('answers 500 CONNECTs without credentials and then opens a tunnel', async () => {
    const client = await RawClient.connect(world.ports.proxy)
    const authority = `good.test:${world.ports.https}`
    for (let i = 0; i < 500; i++) {
      await client.send(connectTo(authority, ''))
      expect(await statusOf(client)).toBe(407)
    }
    await client.send(connectTo(authority))
    expect(await statusOf(client, true)).toBe(200)
    const inside = await client.startTls({ servername: 'good.test', ca: world.caCertificate })
    await inside.send(`GET / HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
    expect(await statusOf(inside)).toBe(200)
    inside.destroy()
  })
})

describe('a CONNECT', () => {
  it('behind a request that still waits is refused after its answer, and both are recorded', async () => {
    const client = await RawClient.connect(world.ports.proxy)
    const authority = `good.test:${world.ports.http}`
    const before = world.records.length
    await client.send(
      `GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\nProxy-Authorization: ${session.authorization}\r\n\r\n${connectTo(authority)}`,
    )
    expect([await statusOf(client), await statusOf(client)]).toEqual([200, 400])
    expect(await client.closed()).toBe(true)
    expect(world.records.slice(before).map(({ outcome, reason }) => [outcome, reason])).toEqual([
      ['allow', null],
      ['deny', 'malformed_request'],
    ])
  })

  it('inside TLS is refused inside, not in plain text below it, and is the one record', async () => {
    const client = await RawClient.connect(world.ports.proxy)
    const authority = `good.test:${world.ports.https}`
    const before = world.records.length
    await client.send(connectTo(authority))
    await client.response({ bodiless: true })
    const inside = await client.startTls({ servername: 'good.test', ca: world.caCertificate })
    await inside.send(connectTo(authority, ''))
    expect(await statusOf(inside)).toBe(400)
    expect(await inside.closed()).toBe(true)
    await expect.poll(() => world.records.length).toBe(before + 1)
    expect(world.records.at(-1)).toMatchObject({ outcome: 'deny', reason: 'malformed_request', status: 400 })
  })

  it('may carry plain HTTP: the same walk, bound to the session that opened it', async () => {
    const client = await RawClient.connect(world.ports.proxy)
    const authority = `good.test:${world.ports.http}`
    const own = await world.newSession()
    await client.send(connectTo(authority, `Proxy-Authorization: ${own.authorization}\r\n`))
    expect(await statusOf(client, true)).toBe(200)
    for (let i = 0; i < 3; i++) {
      await client.send(`GET /inside HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
      expect(await statusOf(client)).toBe(200)
    }
    expect(world.records.at(-1)).toMatchObject({ scheme: 'http', session: own.id, path: '/inside' })
    await client.send(`GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n`)
    expect(await statusOf(client)).toBe(421)
    client.destroy()
    // The pools to origins are left.
    await expect.poll(() => openOf(own)).toBe(1)
  })

  it('may carry http://egress.local, answered by the proxy itself', async () => {
    const client = await RawClient.connect(world.ports.proxy)
    await client.send(connectTo('egress.local:80'))
    expect(await statusOf(client, true)).toBe(200)
    await client.send('GET / HTTP/1.1\r\nHost: egress.local\r\n\r\n')
    expect(await client.response()).toMatchObject({ status: 200, complete: true })
    client.destroy()
  })

  it('with plain HTTP that never ends its head is told so within the head deadline', async () => {
    const client = await RawClient.connect(world.ports.proxy)
    await client.send(connectTo(`good.test:${world.ports.http}`))
    await client.response({ bodiless: true })
    await client.send('GET / HTTP/1.1\r\nHost: go')
    expect(await statusOf(client)).toBe(400)
    expect(await client.closed()).toBe(true)
  })
})

describe('a Unix socket', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sallyport-unix-'))
  })
  afterAll(() => rm(directory, { recursive: true, force: true }))

  const limits = { headMs: 1000, keepAliveMs: 1000, exchangeIdleMs: 1000 }

  it('is cut without an exception, although it knows no reset', async () => {
    const path = join(directory, 'one.sock')
    const accepted: Connection[] = []
    const listener = await listenForProxy({
      address: `unix:${path}`,
      session: null,
      limits,
      serve: (connection) => void accepted.push(connection),
      refuse: (connection) => connection.cut(),
      connections: { open: 0, unproven: new Map<net.Socket, number>(), evicted: 0 },
      unprovenMax: 100,
      connectionsMax: 10,
    })
    const clients = [net.connect({ path }), net.connect({ path })]
    const closed = clients.map((client) => new Promise((resolve) => client.on('error', resolve).once('close', resolve)))
    for (const client of clients) client.resume()
    await expect.poll(() => accepted.length).toBe(2)
    accepted[0]?.cut()
    accepted[0]?.cut()
    await closed[0]
    await listener.close()
    await closed[1]
  })

  it('takes the place of a socket that a killed process left, and of nothing else', async () => {
    const file = join(directory, 'precious.txt')
    await writeFile(file, 'keep me')
    const options = {
      session: null,
      limits,
      serve: () => undefined,
      refuse: () => undefined,
      connections: { open: 0, unproven: new Map<net.Socket, number>(), evicted: 0 },
      unprovenMax: 100,
      connectionsMax: 1,
    }
    await expect(listenForProxy({ address: `unix:${file}`, ...options })).rejects.toThrow('EADDRINUSE')
    expect((await stat(file)).size).toBe(7)
    const inUse = join(directory, 'two.sock')
    const first = await listenForProxy({ address: `unix:${inUse}`, ...options })
    await expect(listenForProxy({ address: `unix:${inUse}`, ...options })).rejects.toThrow('EADDRINUSE')
    await first.close()
  })
})

describe('a request whose body nobody took', () => {
  it.each([
    ['has come whole', 'hello', ''],
    ['comes to its end later', 'he', 'llo'],
  ])('leaves the connection good for a CONNECT, where it %s', async (_, early, late) => {
    const client = await RawClient.connect(world.ports.proxy)
    const proof = `Proxy-Authorization: ${session.authorization}\r\n`
    await client.send(`POST http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n${proof}Content-Length: 5\r\n\r\n${early}`)
    expect(await statusOf(client)).toBe(403)
    await client.send(`${late}${connectTo(`good.test:${world.ports.https}`)}`)
    expect(await statusOf(client, true)).toBe(200)
    client.destroy()
  })

  it('turns out to be none while the answer streams: the answer is cut, and nothing is written into it', async () => {
    const client = await RawClient.connect(world.ports.proxy)
    const authority = `good.test:${world.ports.http}`
    const { authorization } = await world.newSession()
    const lines = `Host: ${authority}\r\nProxy-Authorization: ${authorization}\r\n`
    world.http.onConnection = (socket) => {
      world.http.onConnection = null
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello'))
    }
    const before = world.records.length
    await client.send(`POST http://${authority}/ HTTP/1.1\r\n${lines}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`)
    await expect.poll(() => client.unread.toString()).toContain('hello')
    await client.send('x\r\n')
    expect(await client.closed()).toBe(true)
    expect(client.unread.toString()).toBe('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello')
    await expect.poll(() => world.records.length).toBe(before + 1)
    expect(world.records.at(-1)).toMatchObject({ outcome: 'deny', reason: 'malformed_request', status: 200 })
  })

  it('because the origin answered first leaves the next one whole', async () => {
    const client = await RawClient.connect(world.ports.proxy)
    const authority = `good.test:${world.ports.http}`
    // A session of its own has no connection to the origin yet.
    const { authorization } = await world.newSession()
    const lines = `Host: ${authority}\r\nProxy-Authorization: ${authorization}\r\n`
    world.http.onConnection = (socket) => {
      world.http.onConnection = null
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    }
    await client.send(
      `POST http://${authority}/first HTTP/1.1\r\n${lines}Content-Length: 300000\r\n\r\n${'x'.repeat(1000)}`,
    )
    // The rest of the first, and all of the second, in the moment in which the first is answered.
    const chunk = 'y'.repeat(1000)
    const second = `POST http://${authority}/second HTTP/1.1\r\n${lines}Transfer-Encoding: chunked\r\n\r\n`
    await client.send(
      'x'.repeat(299_000) + second + `${chunk.length.toString(16)}\r\n${chunk}\r\n`.repeat(100) + '0\r\n\r\n',
    )
    expect(await client.response()).toMatchObject({ status: 200, complete: true })
    expect(await client.response()).toMatchObject({ status: 200, complete: true })
    const seen = world.http.connections.flatMap((connection) => connection.reading().requests)
    expect(seen.find(({ target }) => target === '/second')?.body.toString() === chunk.repeat(100)).toBe(true)
    client.destroy()
  })
})
