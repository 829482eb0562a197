/**
 * Invariant: whatever a parent proxy does, the client gets a generic answer in time, nothing of a request left before the
 * parent had let it through, none of the parent's words or credentials comes back, and one record says what happened.
 */

import type net from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  letThrough,
  letThroughSaying,
  parentConfig,
  type ParentDeed,
  type ParentStandIn,
  secretIn,
  startParent,
} from '../support/parent-stand-in.ts'
import { fieldOf, RawClient, type RawResponse } from '../support/raw-client.ts'
import { createWorld, type World } from '../support/world.ts'

const password = 'parent-password-0123'
const words = 'Squid-Corp-7 blocked by category GAMBLING'
const far = '93.184.216.34'

let world: World
let parent: ParentStandIn
beforeAll(async () => {
  parent = await startParent()
  world = await createWorld({
    rules: ({ http, https }) => [
      { host: 'far.test', ports: [https] },
      { host: 'plain.test', ports: [http] },
      { host: 'i-far.test', ports: [https], methods: ['GET', 'POST'], paths: ['/**'] },
    ],
    dns: { 'far.test': { a: [far, '93.184.216.35'] }, 'i-far.test': { a: [far] }, 'plain.test': { a: [far] } },
    limits: { connectTimeoutMs: 900, connectAttemptMs: 600 },
    parent: parentConfig(`127.0.0.1:${parent.port}`, {
      login: { user: 'corp-user-9', secret: secretIn('PARENT_PASSWORD') },
    }),
    secrets: { PARENT_PASSWORD: password },
  })
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  await parent[Symbol.asyncDispose]()
})
let before = 0
beforeEach(() => {
  before = world.records.length
  parent.heads.splice(0)
})
afterEach(() => {
  parent.deed = letThrough
})

async function ask(host: string): Promise<RawResponse> {
  const client = await RawClient.connect(world.ports.proxy)
  const proof = `Proxy-Authorization: ${(await world.newSession()).authorization}\r\n`
  const port = host === 'plain.test' ? world.ports.http : world.ports.https
  const target = `${host}:${port}`
  if (host === 'plain.test') await client.send(`GET http://${target}/ HTTP/1.1\r\nHost: ${target}\r\n${proof}\r\n`)
  else await client.send(`CONNECT ${target} HTTP/1.1\r\n${proof}\r\n`)
  const heard = await client.response()
  if (typeof heard === 'string') return expect.fail(heard)
  if (host === 'plain.test' || heard.status !== 200) {
    client.destroy()
    return heard
  }
  const ca = host === 'far.test' ? world.originCa.certificate : world.caCertificate
  const secure = await client.startTls({ servername: host, ca })
  await secure.send(`GET / HTTP/1.1\r\nHost: ${target}\r\n\r\n`)
  const inside = await secure.response()
  secure.destroy()
  return typeof inside === 'string' ? expect.fail(inside) : inside
}

const says =
  (text: string): ParentDeed =>
  (client) =>
    void client.end(text)

const page = `Content-Type: text/html\r\nContent-Length: ${words.length}\r\n\r\n${words}`

/** Writes for ever. */
function pour(client: net.Socket, piece: string): void {
  const go = (): void => {
    while (!client.destroyed && client.write(piece));
    client.once('drain', go)
  }
  go()
}

const deeds: readonly (readonly [name: string, deed: ParentDeed, status: 502 | 504, reason: string])[] = [
  [
    'asks for other credentials',
    says(`HTTP/1.1 407 ${words}\r\nProxy-Authenticate: Basic realm="${words}"\r\n${page}`),
    502,
    'parent_failed',
  ],
  ['refuses', says(`HTTP/1.1 403 ${words}\r\nX-Squid-Error: ${words}\r\n${page}`), 502, 'parent_refused'],
  ['cannot connect', says(`HTTP/1.1 502 ${words}\r\n${page}`), 502, 'connect_failed'],
  ['waited too long itself', says(`HTTP/1.1 504 ${words}\r\n${page}`), 504, 'connect_timeout'],
  ['sends elsewhere', says(`HTTP/1.1 302 Found\r\nLocation: http://evil.test/\r\n\r\n`), 502, 'parent_failed'],
  ['says 100 and nothing more', says('HTTP/1.1 100 Continue\r\n\r\n'), 502, 'parent_failed'],
  ['answers with a head of no end', (client) => pour(client, `X-More: ${'a'.repeat(4000)}\r\n`), 502, 'parent_failed'],
  ['answers with a line of no end', (client) => pour(client, `HTTP/1.1 200 ${'a'.repeat(4000)}`), 502, 'parent_failed'],
  ['speaks something else', says(`SSH-2.0-${words}\r\n\r\n`), 502, 'parent_failed'],
  ['says a status of four digits', says('HTTP/1.1 2000 OK\r\n\r\n'), 502, 'parent_failed'],
  ['ends its lines with LF alone', says('HTTP/1.1 200 OK\n\n'), 502, 'parent_failed'],
  ['speaks for the origin', says(`HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 ${words}\r\n${page}`), 502, 'parent_failed'],
  ['closes at once', (client) => void client.end(), 502, 'parent_failed'],
  ['resets at once', (client) => void client.resetAndDestroy(), 502, 'parent_failed'],
  ['closes within its head', says('HTTP/1.1 200 OK\r\nVia:'), 502, 'parent_failed'],
  ['says nothing', () => undefined, 504, 'parent_timeout'],
  [
    'says a byte at a time',
    (client) => {
      const drip = setInterval(() => void client.write('H'), 100)
      client.once('close', () => clearInterval(drip))
    },
    504,
    'parent_timeout',
  ],
]

describe.each(['far.test', 'i-far.test', 'plain.test'])('to %s', (host) => {
  it.each(deeds)('a parent that %s', async (_name, deed, status, reason) => {
    parent.deed = deed
    const origins = world.http.connections.length + world.https.connections.length
    const heard = await ask(host)
    const told = JSON.stringify([heard.reason, heard.fields, heard.body.toString('latin1')])
    expect(heard.status).toBe(status)
    for (const never of ['Squid', 'GAMBLING', password, 'corp-user-9', far, '127.0.0.1:', `:${parent.port}`])
      expect(told).not.toContain(never)
    await expect
      .poll(() => world.records.slice(before).map((one) => [one.outcome, one.reason]))
      .toEqual([['failed', reason]])
    expect(JSON.stringify(world.records.slice(before))).not.toContain('GAMBLING')
    await expect.poll(() => parent.open.size).toBe(0)
    expect(world.http.connections.length + world.https.connections.length).toBe(origins)
  })
})

describe('a parent', () => {
  it('that lets through and resets is an origin that went away', async () => {
    parent.deed = (client) =>
      client.write('HTTP/1.1 200 OK\r\n\r\n', () => setTimeout(() => client.resetAndDestroy(), 30))
    expect((await ask('i-far.test')).status).toBe(502)
    await expect.poll(() => world.records.slice(before)).toMatchObject([{ outcome: 'failed' }])
  })

  it('that refuses one address is not asked for the next, and one that cannot connect is', async () => {
    parent.deed = says('HTTP/1.1 403 No\r\n\r\n')
    await ask('far.test')
    expect(parent.heads).toHaveLength(1)
    parent.deed = says('HTTP/1.1 503 No\r\n\r\n')
    await ask('far.test')
    expect(parent.heads).toHaveLength(3)
  })

  it('in pieces, with framing that means nothing in such an answer, lets through', async () => {
    const framing = '0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n'
    parent.deed = letThroughSaying('HTTP/1.0 20', framing, '\r', '\n')
    for (const host of ['far.test', 'i-far.test', 'plain.test']) expect((await ask(host)).status).toBe(200)
  })

  it('is left in peace by a tunnel whose session ends: what runs through it is reset', async () => {
    const others = new Set(parent.open)
    const client = await RawClient.connect(world.ports.proxy)
    const session = await world.newSession()
    const target = `far.test:${world.ports.https}`
    await client.send(`CONNECT ${target} HTTP/1.1\r\nProxy-Authorization: ${session.authorization}\r\n\r\n`)
    expect(await client.response()).toMatchObject({ status: 200 })
    const secure = await client.startTls({ servername: 'far.test', ca: world.originCa.certificate })
    const [through] = [...parent.open].filter((socket) => !others.has(socket))
    if (through === undefined) expect.fail('not through the parent')
    await session.revoke()
    expect(await secure.closed()).toBe(true)
    await expect.poll(() => parent.open.has(through)).toBe(false)
  })

  it('lets the client know why, in words of ours', async () => {
    parent.deed = says('HTTP/1.1 403 No\r\n\r\n')
    const heard = await ask('plain.test')
    expect(fieldOf(heard, 'proxy-status')).toContain('connection_refused')
    expect(heard.body.toString()).toContain('parent_refused')
  })
})

it('a parent that is a door of our own is never dialled', async () => {
  const { port } = await startParent().then(async (other) => {
    await other[Symbol.asyncDispose]()
    return other
  })
  await using own = await createWorld({
    rules: ({ https }) => [{ host: 'far.test', ports: [https] }],
    dns: { 'far.test': { a: [far] } },
    listeners: [{ address: `127.0.0.1:${port}`, session: null }],
    parent: parentConfig(`127.0.0.1:${port}`),
  })
  const client = await RawClient.connect(port)
  const { authorization } = await own.newSession()
  await client.send(`CONNECT far.test:${own.ports.https} HTTP/1.1\r\nProxy-Authorization: ${authorization}\r\n\r\n`)
  expect(await client.response()).toMatchObject({ status: 502 })
  client.destroy()
  await expect.poll(() => own.records.map(({ reason }) => reason)).toEqual(['parent_failed'])
  expect(own.records[0]?.detail).toContain('own_address')
})
