/** What a hostile client can say in HTTP/2 alone, frame by frame; H2-02 and H2-04 of the classes of attack among it. */

import type http2 from 'node:http2'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Connection } from '../../src/exchange/connection.ts'
import type { ExchangeRecord } from '../../src/exchange/record.ts'
import { frame, FrameClient, H2Client, hpack } from '../support/h2-client.ts'
import { RawClient } from '../support/raw-client.ts'
import { answerOk } from '../support/raw-origin.ts'
import { until } from '../support/real-clients.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'

type Pair = readonly [name: string, value: string]

let world: World
let session: WorldSession
let other: H2Client
let client: FrameClient
beforeAll(async () => {
  world = await createWorld({
    dns: { 'api.test': { a: ['127.0.0.1'] } },
    rules: ({ https }) => [{ host: 'api.test', ports: [https], addresses: ['127.0.0.0/8'], tls: 'intercept' }],
  })
  other = await H2Client.open(world, await world.newSession(), 'api.test')
})
afterAll(async () => {
  other?.close()
  await world[Symbol.asyncDispose]()
})
beforeEach(async () => {
  world.https.answer = answerOk
  session = await world.newSession()
  client = await FrameClient.open(world, session, 'api.test')
})

const records = (): ExchangeRecord[] => world.records.filter((record) => record.session === session.id)

/** Whatever this client did, others are served. */
async function othersAreServed(): Promise<void> {
  expect((await other.get('/')).status).toBe(200)
}

function usual(changes: Readonly<Record<string, string | null>> = {}): Pair[] {
  const pseudo = { ':method': 'GET', ':scheme': 'https', ':authority': `api.test:${world.ports.https}`, ':path': '/' }
  return Object.entries({ ...pseudo, ...changes }).filter((pair): pair is [string, string] => pair[1] !== null)
}

const [endStream, endHeaders] = [1, 4]
const head = (stream: number, fields: readonly Pair[], flags = endStream | endHeaders): Buffer =>
  frame('headers', flags, stream, hpack(fields))

const requestsAtOrigin = (): number =>
  world.https.connections.reduce((sum, connection) => sum + connection.reading().requests.length, 0)

type Heads = Record<string, () => Pair[]>

const connect = (protocol: string, changes: Readonly<Record<string, string | null>> = {}): Pair[] => [
  [':protocol', protocol],
  ...usual({ ':method': 'CONNECT', ...changes }),
]

describe('a head that is refused', () => {
  const heads: Heads = {
    'another authority': () => usual({ ':authority': 'evil.test' }),
    'a Host of another host': () => [...usual(), ['host', 'evil.test']],
    'no authority': () => usual({ ':authority': null }),
    'an authority with a user': () => usual({ ':authority': `u@api.test:${world.ports.https}` }),
    'two paths': () => [...usual(), [':path', '/evil']],
    'two authorities': () => [...usual(), [':authority', 'evil.test']],
    'a path behind a field': () => [...usual({ ':path': null }), ['x', 'y'], [':path', '/']],
    'a path with a line end': () => usual({ ':path': '/ HTTP/1.1\r\nHost: evil.test\r\n\r\nGET /' }),
    'a path with a blank': () => usual({ ':path': '/a b' }),
    'an absolute path': () => usual({ ':path': 'https://evil.test/' }),
    'a method with a line end': () => usual({ ':method': 'GET / HTTP/1.1\r\n\r\nGET' }),
    'a method that is none': () => usual({ ':method': 'TRACE' }),
    CONNECT: () => [
      [':method', 'CONNECT'],
      [':authority', 'evil.test:443'],
    ],
    'extended CONNECT at the end of its stream': () => connect('websocket'),
    'extended CONNECT to what is none': () => connect('connect-udp'),
    'extended CONNECT to nothing': () => connect(''),
    'extended CONNECT twice': () => [[':protocol', 'websocket'], ...connect('websocket')],
    'extended CONNECT without a path': () => connect('websocket').filter(([name]) => name !== ':path'),
    'extended CONNECT to no path': () => connect('websocket', { ':path': 'chat' }),
    'extended CONNECT to another authority': () => connect('websocket', { ':authority': 'evil.test' }),
    ':protocol of a GET': () => [[':protocol', 'websocket'], ...usual()],
    ':protocol behind a field': () => [...usual({ ':method': 'CONNECT' }), ['x', 'y'], [':protocol', 'websocket']],
    'another scheme': () => usual({ ':scheme': 'http' }),
    'an upper-case name': () => [...usual(), ['X-A', 'b']],
    Connection: () => [...usual(), ['connection', 'x']],
    'Transfer-Encoding': () => [...usual(), ['transfer-encoding', 'chunked']],
    Upgrade: () => [...usual(), ['upgrade', 'websocket']],
    'TE of gzip': () => [...usual(), ['te', 'gzip']],
    'two lengths': () => [...usual(), ['content-length', '0'], ['content-length', '0']],
    'a length without a body': () => [...usual(), ['content-length', '5']],
    'two Hosts': () => [...usual(), ['host', `api.test:${world.ports.https}`], ['host', 'evil.test']],
    'too many fields': () => [...usual(), ...Array.from({ length: 300 }, (): Pair => ['x', 'y'])],
  }

  // All at once: what the library refuses by itself is recorded at the next sweep.
  const ends = new Map<string, string[]>()
  let atOrigin = 0
  beforeAll(async () => {
    const before = requestsAtOrigin()
    const told = (id: string): ExchangeRecord[] => world.records.filter((record) => record.session === id)
    const clients = await Promise.all(
      Object.entries(heads).map(async ([name, of]) => {
        const own = await world.newSession()
        const one = await FrameClient.open(world, own, 'api.test')
        one.write(head(1, of()))
        await until(() => told(own.id).length > 0, `the record of ${name}`)
        await until(() => one.of('headers').length + one.of('reset').length > 0, `the end of ${name}`)
        return { name, own, one }
      }),
    )
    atOrigin = requestsAtOrigin() - before
    for (const { name, own, one } of clients) {
      one.write(head(3, usual()))
      await until(() => told(own.id).length > 1, `the record of what follows ${name}`)
      ends.set(
        name,
        told(own.id).map(({ outcome, reason }) => `${outcome} ${reason}`),
      )
      one.end()
    }
  })

  it.each(Object.keys(heads))('%s: one record, and the next request is served', (name) => {
    expect(ends.get(name)).toEqual([
      expect.stringMatching(/^deny (malformed_request|authority_mismatch|method_not_allowed)$/),
      'allow null',
    ])
  })

  it('has reached no origin', () => {
    expect(atOrigin).toBe(0)
  })
})

describe('one tunnel is for one authority, and whoever names another is told so', () => {
  const own = (): string => `api.test:${world.ports.https}`
  const others: Readonly<Record<string, () => http2.OutgoingHttpHeaders>> = {
    'another host': () => ({ ':authority': `evil.test:${world.ports.https}` }),
    'another host without a port': () => ({ ':authority': 'evil.test' }),
    'another port': () => ({ ':authority': 'api.test:1' }),
    'no port where the tunnel has one': () => ({ ':authority': 'api.test' }),
    'a name beneath': () => ({ ':authority': `x.${own()}` }),
    'an address': () => ({ ':authority': `127.0.0.1:${world.ports.https}` }),
    'egress.local': () => ({ ':authority': 'egress.local' }),
    'a Host of another host': () => ({ ':authority': own(), host: `evil.test:${world.ports.https}` }),
    'a Host of another port': () => ({ ':authority': own(), host: 'api.test:1' }),
    'both of another host': () => ({ ':authority': 'evil.test', host: 'evil.test' }),
    'another host, and a Host that is right': () => ({ ':authority': 'evil.test', host: own() }),
  }

  it.each(Object.entries(others))('%s: 421, one record, no connection, no question', async (_name, of) => {
    const told = await H2Client.open(world, session, 'api.test')
    const before = { connections: world.https.connections.length, queries: world.dns.queries.length }
    const answer = await told.get('/', of())
    expect(answer).toMatchObject({ status: 421, code: 0 })
    expect(answer.headers).toMatchObject({
      'x-egress-decision': 'deny',
      'x-egress-reason': 'authority_mismatch',
    })
    expect(records()).toMatchObject([
      { kind: 'request', outcome: 'deny', reason: 'authority_mismatch', status: 421, host: 'api.test', address: null },
    ])
    expect(world.https.connections.length).toBe(before.connections)
    expect(world.dns.queries.length).toBe(before.queries)
    // The tunnel itself is as good as before.
    expect((await told.get('/')).status).toBe(200)
    told.close()
  })

  it.each([
    ['the same', () => ({ host: own() })],
    ['the same in other letters', () => ({ ':authority': own().toUpperCase() })],
  ])('%s is no other', async (_name, of) => {
    const told = await H2Client.open(world, session, 'api.test')
    expect((await told.get('/', of())).status).toBe(200)
    told.close()
  })
})

it('whoever begins with a later number has one record for it, refused or not', async () => {
  client.write(head(13, usual()))
  await until(() => client.of('headers').length > 0, 'its answer')
  const other = await FrameClient.open(world, session, 'api.test')
  other.write(head(7, [...usual(), ['connection', 'x']]))
  await until(() => records().length > 1, 'its record')
  await delay(600)
  expect(records().map(({ outcome }) => outcome)).toEqual(['allow', 'deny'])
  other.end()
})

it('a head that is too large is refused where it can be read', async () => {
  const large = hpack([['x', 'y'.repeat(12_000)]])
  client.write(frame('headers', endStream, 1, hpack(usual())))
  client.write(frame('continuation', 0, 1, large), frame('continuation', 0, 1, large))
  client.write(frame('continuation', endHeaders, 1, large))
  await until(() => client.of('headers').length > 0, 'its answer')
  expect(records()).toMatchObject([{ outcome: 'deny', detail: 'the head is too large', status: 400 }])
})

it('a field that would be two lines elsewhere never gets there', async () => {
  for (const [name, value] of [
    ['x-a', 'b\r\nx-smuggled: 1'],
    ['x-a\r\nx-smuggled', '1'],
    ['x-smuggled: x', '1'],
    ['x-a', 'b\0x-smuggled'],
  ] as const) {
    const one = await FrameClient.open(world, session, 'api.test')
    one.write(head(1, [...usual(), [name, value]]))
    await until(() => one.of('headers').length + one.of('reset').length > 0, 'its end')
    one.end()
  }
  for (const { received } of world.https.connections) expect(received.toString('latin1')).not.toContain('smuggled')
})

describe('a body that is not as long as its head said', () => {
  const post = (stream: number, length: number): Buffer =>
    head(stream, [...usual({ ':method': 'POST' }), ['content-length', String(length)]], endHeaders)

  it('too short: the origin is not told that it ended', async () => {
    const before = requestsAtOrigin()
    client.write(post(1, 10), frame('data', endStream, 1, Buffer.from('abc')))
    await until(() => records().length > 0, 'its record')
    expect(records()).toMatchObject([{ outcome: 'deny', reason: 'malformed_request', status: null }])
    expect(requestsAtOrigin()).toBe(before)
    client.write(head(3, usual()))
    await until(() => records().length > 1, 'the next')
    expect(records()[1]).toMatchObject({ outcome: 'allow' })
  })

  it('too long: what is too much goes nowhere', async () => {
    client.write(post(1, 2), frame('data', 0, 1, Buffer.from('abc')))
    await until(() => records().length > 0, 'its record')
    expect(records()).toMatchObject([{ outcome: 'deny', reason: 'malformed_request', status: null }])
    await othersAreServed()
  })
})

describe('a flood ends its connection, with one record of it, and no other', () => {
  const padding = Buffer.alloc(8)
  const code = Buffer.from([0, 0, 0, 8])
  let next = 1
  const floods: Record<string, () => Buffer> = {
    'streams opened and reset': () => {
      const stream = next
      next += 2
      return Buffer.concat([head(stream, usual()), frame('reset', 0, stream, code)])
    },
    // To the library below us an error of the stream, even of one that nobody here has taken.
    'streams opened and refused': () => {
      const stream = next
      next += 2
      return Buffer.concat([head(stream, usual()), frame('reset', 0, stream, Buffer.from([0, 0, 0, 7]))])
    },
    'streams that we are made to reset': () => {
      const stream = next
      next += 2
      return Buffer.concat([
        head(stream, [...usual({ ':method': 'POST' }), ['content-length', '9']], endHeaders),
        frame('data', endStream, stream, Buffer.from('a')),
      ])
    },
    'heads that are none': () => {
      const stream = next
      next += 2
      return head(stream, [...usual(), ['connection', 'x']])
    },
    pings: () => frame('ping', 0, 0, padding),
    settings: () => frame('settings', 0, 0, Buffer.alloc(0)),
    'updates of windows': () => frame('windowUpdate', 0, 0, Buffer.from([0, 0, 0, 1])),
    priorities: () => frame('priority', 0, 1, Buffer.alloc(5)),
    'frames of no known type': () =>
      Buffer.concat([Buffer.from([0, 0x10, 0, 0x77, 0, 0, 0, 0, 0]), Buffer.alloc(4096)]),
  }

  it.each(Object.entries(floods))('%s', async (_name, one) => {
    next = 1
    client.write(head(1, usual()))
    next = 3
    for (let round = 0; round < 400 && !client.closed; round++) {
      client.write(...Array.from({ length: 500 }, one))
      await delay(5)
    }
    await until(() => client.closed, 'the end of the connection')
    await delay(50)
    const told = records().filter(
      ({ detail }) => detail?.includes('flood') === true || detail?.includes('rules') === true,
    )
    // Where streams were under way, theirs say it; else it has one of its own.
    expect(told.length).toBeGreaterThan(0)
    expect(told.filter(({ path }) => path === null).length).toBeLessThanOrEqual(1)
    for (const one of told)
      expect(one).toMatchObject({ outcome: 'deny', reason: 'malformed_request', host: 'api.test' })
    expect(records().length).toBeLessThan(700)
    await othersAreServed()
  })

  it('a head without an end', async () => {
    client.write(frame('headers', endStream, 1, hpack(usual())))
    for (let round = 0; round < 200 && !client.closed; round++) {
      client.write(frame('continuation', 0, 1, hpack([['x', 'y'.repeat(1000)]])))
      await delay(1)
    }
    await until(() => client.closed, 'the end of the connection')
    await until(() => records().length > 0, 'its record')
    expect(records()).toMatchObject([{ outcome: 'deny', reason: 'malformed_request' }])
    await othersAreServed()
  })

  it('a table that unpacks to much', async () => {
    const big = 'y'.repeat(3800)
    // Put into the table once (RFC 7541 §6.2.1), then named again and again for one byte each.
    const put = Buffer.concat([Buffer.from([0x40]), hpack([['x', big]]).subarray(1)])
    const again = Buffer.alloc(10_000, 0x80 | 62)
    client.write(frame('headers', endStream | endHeaders, 1, Buffer.concat([hpack(usual()), put, again])))
    await until(() => records().length > 0, 'its record')
    expect(records()[0]).toMatchObject({ outcome: 'deny', reason: 'malformed_request' })
    await othersAreServed()
  })
})

it('HTTP/2 without TLS is refused, in a tunnel and outside', async () => {
  const plain = await RawClient.connect(world.ports.proxy)
  await plain.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  expect(await plain.response()).toMatchObject({ status: 400 })
  const tunnel = await RawClient.connect(world.ports.proxy)
  await tunnel.send(
    `CONNECT api.test:${world.ports.https} HTTP/1.1\r\nProxy-Authorization: ${session.authorization}\r\n\r\n`,
  )
  await tunnel.response({ bodiless: true })
  await tunnel.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  expect(await tunnel.response()).toMatchObject({ status: 400 })
})

it('whatever frames come, others are served and every request has its record', async () => {
  // Deterministic noise: a linear congruential generator is all the randomness this needs.
  let state = 7
  const random = (below: number): number => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return Math.floor((state / 2_147_483_648) * below)
  }
  const types = [
    'data',
    'headers',
    'priority',
    'reset',
    'settings',
    'ping',
    'goaway',
    'windowUpdate',
    'continuation',
  ] as const
  const noise = (): Buffer => {
    const type = types[random(types.length)] ?? 'ping'
    const well = type === 'headers' && random(2) === 0
    const payload = well ? hpack(usual()) : Buffer.from(Array.from({ length: random(24) }, () => random(256)))
    return frame(type, random(2) === 0 ? 5 : random(256), random(3) === 0 ? 0 : random(12), payload)
  }
  const clients = await Promise.all(Array.from({ length: 40 }, () => FrameClient.open(world, session, 'api.test')))
  for (const one of clients) {
    one.write(head(1, usual()))
    for (let i = 0; i < 20; i++) one.write(noise())
  }
  await delay(300)
  await othersAreServed()
  for (const one of [...clients, client]) one.outer.destroy()
  const held = world.gateway.sessions.book.list().find(({ id }) => id === session.id)?.open ?? new Set()
  await until(() => [...held].every((one) => !(one instanceof Connection)), 'the end of every connection')
  expect(records().length).toBeGreaterThanOrEqual(clients.length)
})
