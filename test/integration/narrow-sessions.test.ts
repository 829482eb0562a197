/** What is open when a session changes: exactly what it may no longer do is cut, and all the rest goes on. */

import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { SessionChanges } from '../../src/sessions/session-book.ts'
import { H2Client } from '../support/h2-client.ts'
import { openIntercepted } from '../support/intercepted-client.ts'
import { RawClient } from '../support/raw-client.ts'
import { until } from '../support/real-clients.ts'
import { createWorld, type World } from '../support/world.ts'

let world: World
let loopback: { ports: readonly number[]; addresses: readonly string[] }
const dripping = new Set<NodeJS.Timeout>()
const opened: { close: () => void }[] = []

beforeAll(async () => {
  world = await createWorld({
    dns: Object.fromEntries(['look.test', 'tunnel.test', 'api.test'].map((name) => [name, { a: ['127.0.0.1'] }])),
    rules: () => [],
    credentials: [
      { name: 'one', kind: 'bearer', secret: { env: 'ONE' }, hosts: ['api.test'] },
      { name: 'two', kind: 'bearer', secret: { env: 'TWO' }, hosts: ['api.test'] },
    ],
    secrets: { ONE: 'sk-one-0123456789abcdef', TWO: 'sk-two-0123456789abcdef' },
    limits: { firstBytesTimeoutMs: 15_000, handshakeTimeoutMs: 15_000, headTimeoutMs: 15_000 },
  })
  loopback = { ports: [world.ports.https], addresses: ['127.0.0.0/8'] }
})
afterAll(() => world[Symbol.asyncDispose]())
beforeEach(() => {
  // An answer without an end.
  world.https.answer = (_request, socket) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    const timer = setInterval(() => void (socket.writable && socket.write('5\r\ndrop\n\r\n')), 10)
    dripping.add(timer)
    socket.once('close', () => clearInterval(timer))
  }
})
afterEach(() => {
  for (const timer of dripping) clearInterval(timer)
  dripping.clear()
  for (const one of opened.splice(0)) one.close()
})

type Rules = readonly object[]
type Opened = { readonly bytes: () => number; readonly isOver: () => boolean }
type Made = { readonly id: string; readonly authorization: string }

async function make(rules: Rules, changes: Partial<SessionChanges> = {}): Promise<Made> {
  const created = await world.gateway.sessions.book.create({
    policy: { inline: { rules } },
    mode: null,
    labels: {},
    credentials: {},
    refusal: 'auto',
    sources: null,
    idempotencyKey: null,
    owner: 'test',
    ttlMs: 3_600_000,
    ...changes,
  })
  if (created.kind === 'refused') throw new Error(created.reason)
  const { id } = created.session
  return { id, authorization: `Basic ${Buffer.from(`${id}:${created.token}`).toString('base64')}` }
}

async function patch({ id }: Made, changes: SessionChanges): Promise<void> {
  expect(await world.gateway.sessions.book.patch(id, changes)).toMatchObject({ id })
}

async function flowing(one: Opened): Promise<void> {
  const before = one.bytes()
  await until(() => one.bytes() > before || one.isOver(), 'more bytes')
  expect(one.isOver()).toBe(false)
}

function watched(client: RawClient): Opened {
  opened.push({ close: () => client.socket.destroy() })
  return { bytes: () => client.unread.length, isOver: () => client.end !== null }
}

type Ask = { readonly path?: string; readonly method?: string; readonly body?: string; readonly fields?: string }

async function request(made: Made, host: string, ask: Ask = {}): Promise<Opened> {
  const client = await openIntercepted(world, made, host)
  const one = watched(client)
  const { path = '/a', method = 'GET', body, fields = '' } = ask
  const length = body === undefined ? '' : `Content-Length: ${body.length}\r\n`
  const head = `${method} ${path} HTTP/1.1\r\nHost: ${host}:${world.ports.https}\r\n${fields}${length}\r\n`
  await client.send(`${head}${body ?? ''}`)
  await flowing(one)
  return one
}

async function tunnel(made: Made): Promise<Opened> {
  const outer = await RawClient.connect(world.ports.proxy)
  const target = `tunnel.test:${world.ports.https}`
  await outer.send(`CONNECT ${target} HTTP/1.1\r\nProxy-Authorization: ${made.authorization}\r\n\r\n`)
  await outer.response({ bodiless: true })
  const client = await outer.startTls({ servername: 'tunnel.test', ca: world.originCa.certificate })
  const one = watched(client)
  await client.send(`GET / HTTP/1.1\r\nHost: ${target}\r\n\r\n`)
  await flowing(one)
  return one
}

const json = 'Content-Type: application/json\r\n'
const look = (rule: object): Rules => [{ host: 'look.test', ...loopback, ...rule }]
const api = (rule: object): Rules => [{ host: 'api.test', ...loopback, ...rule }]
const bodyOf = (model: string): Ask => ({ method: 'POST', body: JSON.stringify({ model }), fields: json })

type Case = {
  readonly what: string
  readonly open: (made: Made) => Promise<Opened>
  readonly before: () => Rules
  readonly after: () => Rules
  readonly kept: boolean
}
const cases: readonly Case[] = [
  {
    what: 'an answer from an address that is no longer allowed',
    open: (made) => request(made, 'look.test'),
    before: () => look({ methods: ['GET'] }),
    after: () => look({ methods: ['GET'], addresses: ['127.0.0.2/32'] }),
    kept: false,
  },
  {
    what: 'an answer from an address that is still allowed',
    open: (made) => request(made, 'look.test'),
    before: () => look({ methods: ['GET'] }),
    after: () => look({ methods: ['GET'], addresses: ['127.0.0.1/32'] }),
    kept: true,
  },
  {
    what: 'a tunnel to an address that is no longer allowed',
    open: tunnel,
    before: () => [{ host: 'tunnel.test', ...loopback }],
    after: () => [{ host: 'tunnel.test', ...loopback, addresses: ['10.0.0.0/8'] }],
    kept: false,
  },
  {
    what: 'a tunnel to an address that is still allowed',
    open: tunnel,
    before: () => [{ host: 'tunnel.test', ...loopback }],
    after: () => [{ host: 'tunnel.test', ...loopback, addresses: ['127.0.0.1/32'] }, ...look({ methods: ['GET'] })],
    kept: true,
  },
  {
    what: 'an answer to a body that is no longer allowed',
    open: (made) => request(made, 'look.test', bodyOf('large')),
    before: () => look({ body: { model: ['small', 'large'] } }),
    after: () => look({ body: { model: ['small'] } }),
    kept: false,
  },
  {
    what: 'an answer to a body that is still allowed',
    open: (made) => request(made, 'look.test', bodyOf('small')),
    before: () => look({ body: { model: ['small', 'large'] } }),
    after: () => look({ body: { model: ['small'] } }),
    kept: true,
  },
  {
    what: 'an answer to a body that nobody looked at, and that is asked about now',
    open: (made) => request(made, 'look.test', bodyOf('small')),
    before: () => look({ methods: ['POST'] }),
    after: () => look({ body: { model: ['small'] } }),
    kept: false,
  },
  {
    what: 'an answer to a field that is no longer allowed',
    open: (made) => request(made, 'look.test', { fields: 'X-Zone: b\r\n' }),
    before: () => look({ headers: { 'x-zone': ['a', 'b'] } }),
    after: () => look({ headers: { 'x-zone': ['a'] } }),
    kept: false,
  },
  {
    what: 'an answer to a request with a credential that the policy no longer puts on',
    open: (made) => request(made, 'api.test'),
    before: () => api({ credential: 'one' }),
    after: () => api({ methods: ['GET'] }),
    kept: false,
  },
  {
    what: 'an answer to a request with a credential, where the policy allows more now',
    open: (made) => request(made, 'api.test'),
    before: () => api({ credential: 'one', methods: ['GET'] }),
    after: () => [...api({ credential: 'one', methods: ['GET', 'POST'] }), ...look({})],
    kept: true,
  },
]

describe('another policy', () => {
  it.each(cases)('and $what: goes on: $kept', async ({ open, before, after, kept }) => {
    const made = await make(before(), { credentials: { one: 'one' } })
    const one = await open(made)
    await patch(made, { policy: { inline: { rules: after() } } })
    if (kept) {
      await flowing(one)
      await delay(50)
      await flowing(one)
    } else await until(() => one.isOver(), 'the cut', 1000)
  })

  it('that an inline one extends, near or far, is in force for it at once', async () => {
    const { shelf, book } = world.gateway.sessions
    const put = (name: string, document: object) => shelf.put(name, document, () => true)
    expect(await put('far', { rules: look({ methods: ['GET'] }) })).toEqual([])
    expect(await put('near', { extends: ['far'], rules: [] })).toEqual([])
    const made = await make([])
    await patch(made, { policy: { inline: { extends: ['near'], rules: api({}) } } })
    const one = await request(made, 'look.test')
    const before = book.get(made.id)?.current
    expect(await put('spare', { rules: api({}) })).toEqual([])
    expect(book.get(made.id)?.current).toBe(before)
    expect(await put('far', { rules: look({ methods: ['POST'] }) })).toEqual([])
    await until(() => one.isOver(), 'the cut', 1000)
  })

  it('ends one stream of HTTP/2, and the others of its connection go on', async () => {
    const both = look({ paths: ['/a', '/b'] })
    const made = await make(both)
    const client = await H2Client.open(world, { ...made, revoke: () => Promise.resolve() }, 'look.test')
    opened.push(client)
    const streams = ['/a', '/b'].map((path) => {
      const stream = client.stream(path)
      let bytes = 0
      stream.on('data', (piece: Buffer) => (bytes += piece.length))
      return { bytes: () => bytes, isOver: () => stream.closed, code: () => stream.rstCode }
    })
    const [doomed, kept] = streams
    if (doomed === undefined || kept === undefined) throw new Error('two were opened')
    for (const one of streams) await flowing(one)
    await patch(made, { policy: { inline: { rules: look({ paths: ['/b', '/c'] }) } } })
    await until(() => doomed.isOver(), 'the end of the stream', 1000)
    expect(doomed.code()).not.toBe(0)
    await flowing(kept)
    expect([client.goaway, client.session.destroyed]).toEqual([null, false])
    await until(() => world.records.some(({ session }) => session === made.id), 'the record')
    expect(world.records.filter(({ session }) => session === made.id)).toMatchObject([
      { path: '/a', outcome: 'interrupted', detail: 'the policy no longer allows it' },
    ])
    await patch(made, { policy: { inline: { rules: [] } } })
    await until(() => client.session.destroyed || client.session.closed, 'the end of the connection', 1000)
  })

  it('is the one that judges a body which was still coming', async () => {
    const made = await make(look({ body: { model: ['small', 'large'] } }))
    const client = await openIntercepted(world, made, 'look.test')
    opened.push({ close: () => client.socket.destroy() })
    const { body = '' } = bodyOf('large')
    const before = world.https.connections.length
    await client.send(
      `POST / HTTP/1.1\r\nHost: look.test:${world.ports.https}\r\n${json}Content-Length: ${body.length}\r\n\r\n${body.slice(0, 5)}`,
    )
    await delay(50)
    await patch(made, { policy: { inline: { rules: look({ body: { model: ['small'] } }) } } })
    await client.send(body.slice(5))
    expect(await client.response()).toMatchObject({ status: 403 })
    expect(world.https.connections.length).toBe(before)
  })
})

describe('another credential', () => {
  const changed: readonly (readonly [what: string, changes: SessionChanges, kept: boolean])[] = [
    ['of another account', { credentials: { one: 'two' } }, false],
    ['none', { credentials: {} }, false],
    ['the same', { credentials: { one: 'one' } }, true],
    ['a value of its own for the same', { credentials: { one: 'one' }, secrets: { one: 'sealed' } }, true],
  ]
  it.each(changed)('%s', async (_what, changes, kept) => {
    const made = await make(api({ credential: 'one' }), { credentials: { one: 'one' } })
    const one = await request(made, 'api.test')
    await patch(made, changes)
    if (kept) {
      await delay(50)
      await flowing(one)
    } else await until(() => one.isOver(), 'the cut', 1000)
  })
})

describe('mode, limits and end', () => {
  it('another mode, or other limits, cut nothing that the policy allows', async () => {
    const made = await make(look({ methods: ['GET'] }), { mode: 'audit' })
    const one = await request(made, 'look.test')
    for (const changes of [{ mode: 'enforce' }, { mode: 'audit' }, { limits: { uploadBytes: '1GiB' } }] as const) {
      await patch(made, changes)
      await flowing(one)
    }
  })

  it('a longer end cuts nothing, and a sooner one everything within a second', async () => {
    const made = await make(look({ methods: ['GET'] }))
    const one = await request(made, 'look.test')
    await patch(made, { ttlMs: 7_200_000 })
    await flowing(one)
    const began = performance.now()
    await patch(made, { ttlMs: 1 })
    await until(() => one.isOver(), 'the cut', 3000)
    expect(performance.now() - began).toBeLessThan(1000)
  })
})
