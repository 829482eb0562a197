/**
 * Runs hostile cases on raw sockets and checks, for every one and all at once: what the client was told, what origins
 * and resolver saw, that there is exactly one record for each decision and one count for each record, and that an honest
 * request on a new connection still passes.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RawClient, type RawResponse } from '../../support/raw-client.ts'
import type { OriginConnection } from '../../support/raw-origin.ts'
import { createWorld, type World, type WorldOptions, type WorldSession } from '../../support/world.ts'
import type { HostileCase, Place, RecordText, Spot } from './case.ts'

export type Hostility = {
  readonly world?: Partial<WorldOptions>
  readonly cases: readonly HostileCase[]
  /** Names that may be asked of DNS; good.test always may. */
  readonly names?: readonly string[]
}

/** The policy of every run unless it says otherwise: good.test, at the two origins. */
export function goodRule(host: string): WorldOptions['rules'] {
  return ({ http, https }) => [{ host, ports: [http, https], addresses: ['127.0.0.0/8'], tls: 'intercept' }]
}

export const everyNameIsLoopback = {
  'good.test': { a: ['127.0.0.1'] },
  '*.good.test': { a: ['127.0.0.1'] },
  'evil.test': { a: ['127.0.0.1'] },
}

export function runHostile(title: string, { world: options = {}, cases, names = [] }: Hostility): void {
  describe(title, () => {
    let world: World
    beforeAll(async () => {
      world = await createWorld({ rules: goodRule('good.test'), dns: everyNameIsLoopback, ...options })
    })
    afterAll(() => world[Symbol.asyncDispose]())

    const runs = cases.flatMap((one) =>
      (one.only === undefined ? (['proxy', 'tunnel'] as const) : [one.only]).map((place) => ({ one, place })),
    )
    test.each(runs.map(({ one, place }) => [`${one.id} ${where[place]}: ${one.what}`, one, place] as const))(
      '%s',
      async (_name, one, place) => {
        await runCase(world, one, place, new Set(['good.test', ...names]))
      },
    )
  })
}

const where: Readonly<Record<Place, string>> = { proxy: 'on the proxy port', tunnel: 'in a tunnel' }

export async function runCase(world: World, one: HostileCase, place: Place, names: ReadonlySet<string>): Promise<void> {
  const session = await world.newSession()
  const before = await snapshot(world)
  const spot = spotOf(world, session, place)
  const responses = await converse(world, session, spot, one)
  const { expect: expected } = one

  await until(() => world.records.filter(isFinal).length >= before.records + expected.records.length)
  const seen = world.http.connections.slice(before.http).concat(world.https.connections.slice(before.https))
  if (expected.requests === 0 && expected.broken !== true) expect(seen, 'connections at origins').toHaveLength(0)
  await until(() => wholeRequests(seen).length >= expected.requests)
  const requests = wholeRequests(seen)
  expect(requests, 'whole requests at origins').toHaveLength(expected.requests)
  for (const connection of seen) checkConnection(connection, world)
  expect(
    world.dns.queries.slice(before.queries).filter(({ name }) => !names.has(name.toLowerCase())),
    'questions to DNS',
  ).toEqual([])

  expect(await honestRequest(world, session, place), 'an honest request afterwards').toBe(200)
  await until(() => world.records.filter(isFinal).length >= before.records + expected.records.length + 1)
  const records = world.records.filter(isFinal).slice(before.records)
  expect(records.map(textOf), 'records').toEqual([...expected.records, 'allow'])
  expect(await counted(world, before.decisions), 'counters').toEqual(tally(records.map(textOf)))
  expected.check?.({ requests, responses, spot })
  await session.revoke()
}

type Snapshot = {
  readonly records: number
  readonly http: number
  readonly https: number
  readonly queries: number
  readonly decisions: ReadonlyMap<string, number>
}

async function snapshot(world: World): Promise<Snapshot> {
  return {
    records: world.records.filter(isFinal).length,
    http: world.http.connections.length,
    https: world.https.connections.length,
    queries: world.dns.queries.length,
    decisions: await world.decisions(),
  }
}

function isFinal(record: World['records'][number]): boolean {
  return record.event === 'final'
}

export function textOf({ outcome, reason, repeated }: World['records'][number]): RecordText {
  return `${outcome}${reason === null ? '' : ` ${reason}`}${repeated === 1 ? '' : ` ×${repeated}`}`
}

function tally(texts: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const text of texts) counts[text] = (counts[text] ?? 0) + 1
  return counts
}

async function counted(world: World, before: ReadonlyMap<string, number>): Promise<Record<string, number>> {
  const grown: Record<string, number> = {}
  for (const [key, value] of await world.decisions()) {
    const by = value - (before.get(key) ?? 0)
    if (by > 0) grown[key.replace(/ none$/, '')] = by
  }
  return grown
}

export function spotOf({ ports }: World, session: WorldSession, place: Place): Spot {
  const authority = `good.test:${place === 'proxy' ? ports.http : ports.https}`
  const proof = place === 'proxy' ? `Proxy-Authorization: ${session.authorization}\r\n` : ''
  return {
    place,
    authority,
    target: (path) => (place === 'proxy' ? `http://${authority}${path}` : path),
    lines: `Host: ${authority}\r\n${proof}`,
    proof,
    ports,
  }
}

/** A client in the place: on the proxy's port, or inside TLS in a tunnel to good.test. */
export async function enter(world: World, session: WorldSession, place: Place): Promise<RawClient> {
  const client = await RawClient.connect(world.ports.proxy)
  return place === 'proxy' ? client : tunnelThrough(world, session, client, 'good.test')
}

export async function tunnelThrough(
  world: World,
  session: WorldSession,
  client: RawClient,
  name: string,
): Promise<RawClient> {
  const authority = `${name}:${world.ports.https}`
  await client.send(
    `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\nProxy-Authorization: ${session.authorization}\r\n\r\n`,
  )
  const opened = await client.response({ bodiless: true })
  expect(opened).toMatchObject({ status: 200 })
  return client.startTls({ servername: name, ca: world.caCertificate })
}

async function converse(world: World, session: WorldSession, spot: Spot, one: HostileCase): Promise<RawResponse[]> {
  const client = await enter(world, session, spot.place)
  const { expect: expected } = one
  const responses: RawResponse[] = []
  try {
    const sent = one.send(spot)
    await client.send(...(typeof sent === 'string' ? [sent] : sent))
    if (one.ending === 'fin') client.halfClose()
    if (one.ending === 'reset') client.reset()
    for (const status of expected.statuses) {
      const heard = await client.response({ bodiless: one.bodiless === true })
      if (typeof heard === 'string') throw new Error(`expected ${status.toString()}, the connection: ${heard}`)
      responses.push(heard)
      expect(typeof status === 'number' ? [status] : status, heard.reason).toContain(heard.status)
      expect(heard.complete).toBe(true)
    }
    if (expected.after === 'closed') {
      expect(await client.closed(), 'the connection is closed').toBe(true)
      expect(client.unread.toString('latin1'), 'nothing more is said').toBe('')
    }
    if (expected.after === 'open') expect(client.end, 'the connection stays open').toBeNull()
  } finally {
    client.destroy()
  }
  return responses
}

function wholeRequests(connections: readonly OriginConnection[]) {
  return connections.flatMap((connection) => connection.reading().requests)
}

/** Whatever a client sent: what reached the origin is well-formed, for good.test, and carries nothing of the hop before. */
function checkConnection(connection: OriginConnection, { ports }: World): void {
  const { requests, rest } = connection.reading()
  expect(typeof rest === 'string' ? null : rest.malformed, 'bytes at the origin').toBeNull()
  for (const request of requests) {
    expect(request.host).toMatch(new RegExp(`good\\.test:${connection.encrypted ? ports.https : ports.http}$`))
    if (connection.encrypted) expect(request.host).toBe(`${connection.serverName}:${ports.https}`)
    for (const [name] of request.fields) expect(hopFields).not.toContain(name)
  }
}

const hopFields: readonly string[] = [
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
  'x-http-method-override',
  'x-method-override',
  'x-http-method',
]

async function honestRequest(world: World, session: WorldSession, place: Place): Promise<number | string> {
  const client = await enter(world, session, place)
  const spot = spotOf(world, session, place)
  await client.send(`GET ${spot.target('/honest')} HTTP/1.1\r\n${spot.lines}\r\n`)
  const heard = await client.response()
  client.destroy()
  return typeof heard === 'string' ? heard : heard.status
}

/** Waits a little for what must come; whether it came is checked by the caller. */
export async function until(condition: () => boolean, timeoutMs: number = 2000): Promise<void> {
  const end = performance.now() + timeoutMs
  while (!condition() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 2))
}
