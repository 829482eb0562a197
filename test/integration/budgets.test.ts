import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SessionLimits } from '../../src/sessions/session-store.ts'
import { H2Client } from '../support/h2-client.ts'
import { fieldOf, RawClient } from '../support/raw-client.ts'
import { socksConnect, socksCredentials, socksGreeting } from '../support/socks-client.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'

const KiB = 1024

let world: World
beforeEach(async () => {
  const patient = { firstBytesTimeoutMs: 15_000, handshakeTimeoutMs: 15_000, headTimeoutMs: 15_000 }
  world = await createWorld({
    // No deadline is what this is about, and the machine may be busy.
    limits: { ...patient, exchangeIdleMs: 30_000, originHeadTimeoutMs: 30_000 },
    rules: ({ http, https }) => [
      { host: '**.look.test', ports: [http, https], methods: ['GET', 'PUT'], addresses: ['127.0.0.0/8'] },
      { host: 'tunnel.test', ports: [https], addresses: ['127.0.0.0/8'] },
    ],
    dns: Object.fromEntries(['look.test', 'b.look.test', 'tunnel.test'].map((name) => [name, { a: ['127.0.0.1'] }])),
  })
})
afterEach(() => world[Symbol.asyncDispose]())

type Through = 'interception' | 'plain' | 'socks' | 'tunnel'
type Reached = {
  readonly client: RawClient
  readonly outer: RawClient
  readonly head: (method: string, path: string, fields?: string) => string
}

async function reach(session: WorldSession, through: Through, host = 'look.test'): Promise<Reached> {
  const outer = await RawClient.connect(world.ports.proxy)
  const proof = `Proxy-Authorization: ${session.authorization}\r\n`
  if (through === 'plain') {
    const authority = `${host}:${world.ports.http}`
    const head: Reached['head'] = (method, path, fields = '') =>
      `${method} http://${authority}${path} HTTP/1.1\r\nHost: ${authority}\r\n${proof}${fields}\r\n`
    return { outer, client: outer, head }
  }
  const name = through === 'interception' ? host : 'tunnel.test'
  const authority = `${name}:${world.ports.https}`
  if (through === 'socks') {
    const [user = '', password = ''] = Buffer.from(session.authorization.slice(6), 'base64').toString().split(':')
    await outer.send(socksGreeting(2), socksCredentials(user, password), socksConnect(name, world.ports.https))
    expect(await outer.bytes(14)).toMatch(/^0502010005000001/)
  } else {
    await outer.send(`CONNECT ${authority} HTTP/1.1\r\n${proof}\r\n`)
    expect(await outer.response({ bodiless: true })).toMatchObject({ status: 200 })
  }
  const ca = through === 'interception' ? world.caCertificate : world.originCa.certificate
  const client = await outer.startTls({ servername: name, ca })
  return {
    outer,
    client,
    head: (method, path, fields = '') => `${method} ${path} HTTP/1.1\r\nHost: ${authority}\r\n${fields}\r\n`,
  }
}

/** Bytes that crossed to origins beneath TLS, and of the bodies within it. */
function atOrigins(): { readonly raw: number; readonly body: number } {
  const connections = [...world.http.connections, ...world.https.connections]
  const bodies = connections.map(({ received }) => received.toString('latin1').match(/x/g)?.length ?? 0)
  return {
    raw: connections.reduce((sum, { socket }) => sum + socket.bytesRead, 0),
    body: bodies.reduce((sum, one) => sum + one, 0),
  }
}

function usageOf(session: WorldSession) {
  const found = world.gateway.sessions.book.get(session.id)
  if (found === undefined) throw new Error('no session')
  return found.budget.usage(performance.now())
}

async function pour(client: RawClient, bytes: number, framed: boolean): Promise<void> {
  const piece = Buffer.alloc(16 * KiB, 'x')
  for (let sent = 0; sent < bytes && client.end === null; sent += piece.length) {
    const bytesOnWire = framed ? Buffer.concat([Buffer.from('4000\r\n'), piece, Buffer.from('\r\n')]) : piece
    if (client.socket.write(bytesOnWire)) continue
    const over = new AbortController()
    const first = ['close', 'drain'].map((event) => once(client.socket, event, over).catch(() => null))
    await Promise.race(first)
    over.abort()
  }
}

const upload: SessionLimits = { uploadBytes: 300 * KiB }
const download: SessionLimits = { downloadBytes: 300 * KiB }

describe('an upload', () => {
  it.for(['plain', 'interception'] as const)(
    'that says how long it is is refused before a byte of it goes out: %s',
    async (through) => {
      const session = await world.newSession(upload)
      const { client, head } = await reach(session, through)
      await client.send(head('PUT', '/', `Content-Length: ${301 * KiB}\r\n`))
      const answer = await client.response()
      expect(answer).toMatchObject({ status: 403 })
      expect(typeof answer === 'string' ? answer : fieldOf(answer, 'x-egress-reason')).toBe('upload_limit')
      expect([...world.http.connections, ...world.https.connections]).toEqual([])
      expect(world.dns.queries).toEqual([])
    },
  )

  it.for(['plain', 'interception'] as const)(
    'in chunks is refused when the budget is spent, and the origin never sees a whole one: %s',
    async (through) => {
      const session = await world.newSession(upload)
      const { client, head } = await reach(session, through)
      await client.send(head('PUT', '/', 'Transfer-Encoding: chunked\r\n'))
      void pour(client, 1000 * KiB, true)
      const answer = await client.response()
      expect(answer).toMatchObject({ status: 403 })
      expect(typeof answer === 'string' ? answer : fieldOf(answer, 'x-egress-reason')).toBe('upload_limit')
      const { connections } = through === 'plain' ? world.http : world.https
      await expect.poll(() => connections.map(({ end }) => end)).not.toContain('open')
      expect(connections.flatMap(({ reading }) => reading().requests)).toEqual([])
      expect(atOrigins().body).toBeLessThanOrEqual(300 * KiB)
      expect(atOrigins().body).toBeGreaterThan(100 * KiB)
      expect(world.records.at(-1)).toMatchObject({ outcome: 'deny', reason: 'upload_limit', status: 403 })
      // Nothing is left for a head either.
      const next = await reach(session, through)
      await next.client.send(next.head('PUT', '/', 'Content-Length: 299000\r\n'))
      expect(await next.client.response()).toMatchObject({ status: 403 })
    },
  )

  it('of many small ones, whole bodies in one packet each, ends where the budget does', async () => {
    const session = await world.newSession({ uploadBytes: 20 * KiB })
    const { client, head } = await reach(session, 'plain')
    const statuses: unknown[] = []
    const body = 'x'.repeat(4 * KiB)
    const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
    for (let i = 0; i < 6; i++) {
      const framed = i % 2 === 0
      const fields = framed ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${body.length}\r\n`
      await client.send(head('PUT', '/', fields) + (framed ? chunked : body))
      const answer = await client.response()
      statuses.push(typeof answer === 'string' ? answer : answer.status)
    }
    expect(statuses).toEqual([200, 200, 200, 200, 403, 403])
    expect(atOrigins().body).toBe(16 * KiB)
    const sent = world.records.filter(({ outcome }) => outcome === 'allow').reduce((sum, one) => sum + one.bytesUp, 0)
    expect(usageOf(session).uploadBytes.used - sent).toBeLessThan(KiB)
  })

  it('over HTTP/2 is refused on its own stream, and the other streams go on', async () => {
    const session = await world.newSession(upload)
    world.https.answer = (request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
      const timer = setInterval(() => socket.write('1\r\ny\r\n'), 20)
      socket.once('close', () => clearInterval(timer))
      expect(request.method).toBe('GET')
    }
    const client = await H2Client.open(world, session, 'look.test')
    const other = client.session.request({ ':path': '/drip', ':authority': client.authority })
    other.on('error', () => undefined)
    let bytes = 0
    other.on('data', (piece: Buffer) => (bytes += piece.length))
    await once(other, 'response')
    const doomed = client.session.request({ ':path': '/up', ':method': 'PUT', ':authority': client.authority })
    doomed.on('error', () => undefined)
    const answered = once(doomed, 'response') as Promise<[Record<string, unknown>]>
    for (let i = 0; i < 40; i++) doomed.write(Buffer.alloc(16 * KiB, 'x'))
    const [headers] = await answered
    expect([headers[':status'], headers['x-egress-reason']]).toEqual([403, 'upload_limit'])
    const before = bytes
    await expect.poll(() => bytes).toBeGreaterThan(before)
    expect(atOrigins().body).toBeLessThanOrEqual(300 * KiB)
    client.session.destroy()
  })

  it.for(['tunnel', 'socks'] as const)(
    'through a %s is cut, and not a byte more than the budget has crossed',
    async (through) => {
      const session = await world.newSession(upload)
      const { client, outer } = await reach(session, through)
      void pour(client, 1000 * KiB, false)
      expect(await outer.closed()).toBe(true)
      await expect
        .poll(() => world.records.at(-1))
        .toMatchObject({
          kind: 'tunnel',
          outcome: 'interrupted',
          reason: 'upload_limit',
          detail: 'the upload budget was spent on the way',
          nearLimits: ['uploadBytes'],
        })
      const { raw } = atOrigins()
      expect(raw).toBeLessThanOrEqual(300 * KiB)
      expect(usageOf(session).uploadBytes.used).toBe(world.records.at(-1)?.bytesUp)
      expect(await world.decisions()).toContainEqual(['interrupted upload_limit', 1])
    },
  )

  it.for(['interception', 'tunnel'] as const)('in 64 at once does not overspend: %s', async (through) => {
    const session = await world.newSession({ uploadBytes: 2000 * KiB })
    const all = await Promise.all(Array.from({ length: 64 }, () => reach(session, through)))
    await Promise.all(
      all.map(async ({ client, head }) => {
        if (through === 'interception') await client.send(head('PUT', '/', 'Transfer-Encoding: chunked\r\n'))
        await pour(client, 100 * KiB, through === 'interception')
      }),
    )
    await expect.poll(() => world.records.length, { timeout: 20_000 }).toBeGreaterThan(0)
    await expect.poll(() => usageOf(session).uploadBytes.used).toBeGreaterThan(1900 * KiB)
    expect(usageOf(session).uploadBytes.used).toBeLessThanOrEqual(2000 * KiB)
    expect(atOrigins()[through === 'tunnel' ? 'raw' : 'body']).toBeLessThanOrEqual(2000 * KiB)
    for (const { outer } of all) outer.reset()
  })
})

describe('a download', () => {
  const big = (bytes: number): void => {
    const answer: World['http']['answer'] = (_request, socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`)
      socket.write(Buffer.alloc(bytes, 'y'))
    }
    world.http.answer = answer
    world.https.answer = answer
  }

  it.for(['plain', 'interception', 'tunnel', 'socks'] as const)('is cut where the budget ends: %s', async (through) => {
    big(2000 * KiB)
    const session = await world.newSession(download)
    const { client, outer, head } = await reach(session, through)
    await client.send(head('GET', '/'))
    expect(await outer.closed()).toBe(true)
    expect(client.unread.length).toBeLessThanOrEqual(300 * KiB)
    await expect.poll(() => world.records.at(-1)).toMatchObject({ outcome: 'interrupted', reason: 'download_limit' })
    expect(usageOf(session).downloadBytes.used).toBe(world.records.at(-1)?.bytesDown)
    const next = await RawClient.connect(world.ports.proxy)
    const authority = `look.test:${world.ports.http}`
    const proof = `Proxy-Authorization: ${session.authorization}\r\n`
    big(290 * KiB)
    // What is left is less than the next answer, and is told so only when it is nothing.
    await next.send(`GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\n${proof}\r\n`)
    expect(await next.response()).not.toMatchObject({ status: 200, complete: true })
  })

  it('of one host leaves the other hosts what they have', async () => {
    big(100 * KiB)
    const session = await world.newSession({ perHost: { downloadBytes: 150 * KiB } })
    const outcomes: unknown[] = []
    for (const host of ['look.test', 'look.test', 'b.look.test']) {
      const { client, head } = await reach(session, 'plain', host)
      await client.send(head('GET', '/'))
      const answer = await client.response()
      outcomes.push(typeof answer === 'string' ? answer : answer.complete)
    }
    expect(outcomes).toEqual([true, expect.not.stringMatching('true'), true])
  })
})

describe('requests', () => {
  it('above the rate are refused with 429 and when to come again', async () => {
    const session = await world.newSession({ requestsPerMinute: 2 })
    const { client, head } = await reach(session, 'plain')
    const answers: unknown[] = []
    for (let i = 0; i < 3; i++) {
      await client.send(head('GET', '/'))
      const answer = await client.response()
      if (typeof answer === 'string') throw new Error(answer)
      answers.push([answer.status, fieldOf(answer, 'x-egress-reason')])
      if (i === 2) expect(Number(fieldOf(answer, 'retry-after'))).toBeGreaterThan(30)
    }
    expect(answers).toEqual([
      [200, null],
      [200, null],
      [429, 'rate_limited'],
    ])
    expect(world.records.map(({ nearLimits }) => nearLimits)).toEqual([[], ['requestsPerMinute'], []])
  })

  it('that are refused by the policy count for no rate', async () => {
    const session = await world.newSession({ requestsPerMinute: 1 })
    const { client, head } = await reach(session, 'plain')
    for (let i = 0; i < 3; i++) {
      await client.send(head('DELETE', '/'))
      expect(await client.response()).toMatchObject({ status: 403 })
    }
    await client.send(head('GET', '/'))
    expect(await client.response()).toMatchObject({ status: 200 })
  })

  it('to one host too many are refused for good', async () => {
    const session = await world.newSession({ distinctHosts: 1 })
    for (const [host, status] of [
      ['look.test', 200],
      ['b.look.test', 403],
      ['look.test', 200],
    ] as const) {
      const { client, head } = await reach(session, 'plain', host)
      await client.send(head('GET', '/'))
      expect(await client.response()).toMatchObject({ status })
    }
    expect(world.records[1]).toMatchObject({ outcome: 'deny', reason: 'host_limit' })
  })
})

describe('connections', () => {
  it('beyond the limit are told so and closed; those that stand go on, and one that ends makes room', async () => {
    const session = await world.newSession({ concurrentConnections: 3 })
    const [first, second] = [await reach(session, 'plain'), await reach(session, 'tunnel')]
    await first.client.send(first.head('GET', '/'))
    expect(await first.client.response()).toMatchObject({ status: 200 })
    const third = await reach(session, 'interception')
    await third.client.send(third.head('GET', '/'))
    expect(await third.client.response()).toMatchObject({ status: 200 })

    const refused = await reach(session, 'plain')
    await refused.client.send(refused.head('GET', '/'))
    const answer = await refused.client.response()
    if (typeof answer === 'string') throw new Error(answer)
    expect([answer.status, fieldOf(answer, 'x-egress-reason'), fieldOf(answer, 'retry-after')]).toEqual([
      429,
      'connection_limit',
      '5',
    ])
    expect(await refused.client.closed()).toBe(true)
    await first.client.send(first.head('GET', '/'))
    expect(await first.client.response()).toMatchObject({ status: 200 })

    for (const { outer } of [first, second, third]) outer.reset()
    await expect.poll(() => usageOf(session).concurrentConnections.used).toBe(0)
    const last = await reach(session, 'plain')
    await last.client.send(last.head('GET', '/'))
    expect(await last.client.response()).toMatchObject({ status: 200 })
  })
})

describe('time', () => {
  it('of a tunnel ends, however much flows in it', async () => {
    const session = await world.newSession({ tunnelDuration: '500ms' })
    const { client, outer } = await reach(session, 'tunnel')
    const timer = setInterval(() => client.socket.write('x'), 50)
    expect(await outer.closed()).toBe(true)
    clearInterval(timer)
    await expect
      .poll(() => world.records.at(-1))
      .toMatchObject({
        outcome: 'interrupted',
        reason: null,
        detail: 'it was open for as long as it may be',
      })
  })

  it.for(['tunnel', 'plain', 'interception'] as const)(
    'in which nothing moves ends sooner where the session says so: %s',
    async (through) => {
      world.http.answer = () => undefined
      world.https.answer = () => undefined
      const session = await world.newSession({ idleTimeout: '300ms' })
      const { client, outer, head } = await reach(session, through)
      await client.send(head('GET', '/'))
      expect(await outer.closed()).toBe(true)
      await expect
        .poll(() => world.records.at(-1))
        .toMatchObject({
          outcome: 'interrupted',
          detail: 'no byte moved for too long',
        })
    },
  )
})

it('a limit that is changed holds for what is open, at once', async () => {
  const session = await world.newSession(upload)
  const { client, outer } = await reach(session, 'tunnel')
  await world.gateway.sessions.book.patch(session.id, { limits: { uploadBytes: 10 * KiB } })
  void pour(client, 100 * KiB, false)
  expect(await outer.closed()).toBe(true)
  expect(usageOf(session).uploadBytes.used).toBeLessThanOrEqual(10 * KiB)
  await world.gateway.sessions.book.patch(session.id, { limits: { uploadBytes: 1000 * KiB } })
  const next = await reach(session, 'plain')
  await next.client.send(next.head('GET', '/'))
  expect(await next.client.response()).toMatchObject({ status: 200 })
})
