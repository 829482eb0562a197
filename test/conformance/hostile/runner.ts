/**
 * Runs hostile cases on raw sockets and checks, for every one and all at once: what the client was told, what origins
 * and resolver saw, that there is exactly one record for each decision and one count for each record, and that an honest
 * request on a new connection gets what it should.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RawClient, type RawResponse } from '../../support/raw-client.ts'
import { answerOk, type OriginConnection } from '../../support/raw-origin.ts'
import { valuesOf } from '../../support/strict-http.ts'
import { createWorld, type World, type WorldOptions, type WorldSession } from '../../support/world.ts'
import { everywhere, type HostileCase, type Place, type RecordText, type Spot } from './case.ts'

export type Hostility = {
  readonly world?: Partial<WorldOptions>
  readonly cases: readonly HostileCase[]
  /** Record of the honest request that follows each case; `allow` where it is absent. */
  readonly honest?: RecordText
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

export function runHostile(title: string, { world: options = {}, cases, honest = 'allow' }: Hostility): void {
  describe(title, () => {
    let world: World
    beforeAll(async () => {
      world = await createWorld({ rules: goodRule('good.test'), dns: everyNameIsLoopback, ...options })
    })
    afterAll(async () => {
      // The audit file is one line for each record, whatever was sent (LOG-01).
      const lines = (await world.auditText()).trimEnd().split('\n')
      const finals = lines.filter((line) => (JSON.parse(line) as { event: string }).event === 'final')
      expect(finals).toHaveLength(world.records.length)
      await world[Symbol.asyncDispose]()
    })

    const runs = cases.flatMap((one) => (one.places ?? everywhere).map((place) => ({ one, place })))
    test.each(runs.map(({ one, place }) => [`${one.id} ${where[place]}: ${one.what}`, one, place] as const))(
      '%s',
      async (_name, one, place) => runCase(world, one, place, honest),
    )
  })
}

const where: Readonly<Record<Place, string>> = {
  clear: 'in CONNECT without TLS',
  proxy: 'on the proxy port',
  tunnel: 'in a tunnel',
}

async function runCase(world: World, one: HostileCase, place: Place, honest: RecordText): Promise<void> {
  const session = await world.newSession()
  const before = await snapshot(world)
  const spot = spotOf(world, session, place, one.host)
  const answer = one.answer ?? answerOk
  world.http.answer = answer
  world.https.answer = answer
  const responses = await converse(world, session, spot, one)
  const { expect: expected } = one

  await until(() => world.records.length >= before.records + expected.records.length)
  const seen = world.http.connections.slice(before.http).concat(world.https.connections.slice(before.https))
  if (expected.requests === 0 && expected.broken !== true) expect(seen, 'connections at origins').toHaveLength(0)
  await until(() => wholeRequests(seen).length >= expected.requests)
  const requests = wholeRequests(seen)
  expect(requests, 'whole requests at origins').toHaveLength(expected.requests)
  for (const connection of seen) checkConnection(connection, world, one.sees ?? one.host ?? 'good.test')
  const asked = world.dns.queries.slice(before.queries).map(({ name }) => name)
  const mayAsk = mayResolve(expected) ? (one.sees ?? one.host ?? 'good.test') : null
  expect(
    asked.filter((name) => name !== mayAsk),
    'questions to DNS',
  ).toEqual([])

  world.http.answer = answerOk
  world.https.answer = answerOk
  await honestRequest(world, session, place)
  await until(() => world.records.length >= before.records + expected.records.length + 1)
  const records = world.records.slice(before.records).map(textOf)
  const wanted = expected.records.map((texts, index) => {
    const found = records[index] ?? ''
    return typeof texts === 'string' ? texts : texts.includes(found) ? found : texts
  })
  expect(records, 'records, and the one of an honest request afterwards').toEqual([...wanted, honest])
  expect(await counted(world, before.decisions), 'counters').toEqual(tally(records))
  expected.check?.({ requests, responses, spot })
  await session.revoke()
}

/** What is denied by name or form is never asked for; what is judged by its address must be. */
function mayResolve({ requests, broken, records }: HostileCase['expect']): boolean {
  return requests > 0 || broken === true || records.some((text) => /address/.test(text.toString()))
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
    records: world.records.length,
    http: world.http.connections.length,
    https: world.https.connections.length,
    queries: world.dns.queries.length,
    decisions: await world.decisions(),
  }
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

export function spotOf({ ports }: World, session: WorldSession, place: Place, host: string = 'good.test'): Spot {
  const port = place === 'tunnel' ? ports.https : ports.http
  const authority = `${host}:${port}`
  const proof = place === 'proxy' ? `Proxy-Authorization: ${session.authorization}\r\n` : ''
  return {
    place,
    authority,
    port,
    target: (path) => (place === 'proxy' ? `http://${authority}${path}` : path),
    lines: `Host: ${authority}\r\n${proof}`,
    proof,
    ports,
  }
}

/** A client in the place: on the proxy's port, or inside a CONNECT to the host. */
export async function enter(
  world: World,
  session: WorldSession,
  place: Place,
  host: string = 'good.test',
): Promise<RawClient> {
  const client = await RawClient.connect(world.ports.proxy)
  if (place === 'proxy') return client
  const { authority } = spotOf(world, session, place, host)
  await client.send(
    `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\nProxy-Authorization: ${session.authorization}\r\n\r\n`,
  )
  const opened = await client.response()
  expect(opened).toMatchObject({ status: 200 })
  if (place === 'clear') return client
  // No name where the host is an address (RFC 6066 §3).
  const name = /^\[|^[\d.]+$/.test(host) ? {} : { servername: host }
  return client.startTls({ ...name, ca: world.caCertificate, checkServerIdentity: () => undefined })
}

async function converse(world: World, session: WorldSession, spot: Spot, one: HostileCase): Promise<RawResponse[]> {
  const client = await enter(world, session, spot.place, one.host)
  const { expect: expected } = one
  const responses: RawResponse[] = []
  try {
    const sent = one.send(spot)
    await client.send(...(typeof sent === 'string' ? [sent] : sent))
    if (one.ending === 'fin') client.halfClose()
    if (one.ending === 'reset') client.reset()
    for (const [index, status] of expected.statuses.entries()) {
      const heard = await client.response({ bodiless: one.bodiless === true })
      if (typeof heard === 'string') throw new Error(`expected ${status.toString()}, the connection: ${heard}`)
      responses.push(heard)
      // Nobody is told to go on who did not ask.
      if (!/expect:/i.test(sent.toString())) expect(heard.informational).not.toContain(100)
      expect(typeof status === 'number' ? [status] : status, heard.reason).toContain(heard.status)
      const whole = expected.truncated !== true || index + 1 < expected.statuses.length
      expect(heard.complete, 'the response is whole').toBe(whole)
    }
    if (expected.after === 'closed' || expected.after === 'cut')
      expect(await client.closed(), 'the connection is closed').toBe(true)
    if (expected.after === 'closed') expect(client.unread.toString('latin1'), 'nothing more is said').toBe('')
    if (expected.after === 'open') expect(client.end, 'the connection stays open').toBeNull()
  } finally {
    client.destroy()
  }
  return responses
}

function wholeRequests(connections: readonly OriginConnection[]) {
  return connections.flatMap((connection) => connection.reading().requests)
}

/** Whatever a client sent: what reached the origin is well-formed, for its host, and carries nothing of the hop before. */
function checkConnection(connection: OriginConnection, { ports }: World, host: string): void {
  const { requests, rest } = connection.reading()
  expect(typeof rest === 'string' ? null : rest.malformed, 'bytes at the origin').toBeNull()
  for (const request of requests) {
    expect(request.host).toBe(`${host}:${connection.encrypted ? ports.https : ports.http}`)
    if (connection.serverName !== null) expect(connection.serverName).toBe(host)
    // Our own connection to the origin may say how it goes on; what the client said of its own must be gone.
    const upgrades = valuesOf(request, 'upgrade').length > 0
    const ours = upgrades
      ? ['connection: upgrade', 'upgrade: websocket']
      : ['connection: close', 'connection: keep-alive']
    if (upgrades) expect(request.fields.filter(([name]) => name.startsWith('sec-websocket-'))).toHaveLength(2)
    for (const [name, value] of request.fields)
      if (!ours.includes(`${name}: ${value}`)) expect(hopFields).not.toContain(name)
  }
}

const hopFields: readonly string[] = [
  'connection',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
]

async function honestRequest(world: World, session: WorldSession, place: Place): Promise<void> {
  // A tunnel to a host that is not allowed does not open; the proxy's own port answers for any policy.
  const client = await enter(world, session, place)
  const spot = spotOf(world, session, place)
  await client.send(`GET ${spot.target('/honest')} HTTP/1.1\r\n${spot.lines}\r\n`)
  const heard = await client.response()
  client.destroy()
  if (typeof heard === 'string') throw new Error(`an honest request: ${heard}`)
}

/** Waits a little for what must come; whether it came is checked by the caller. */
export async function until(condition: () => boolean, timeoutMs: number = 2000): Promise<void> {
  const end = performance.now() + timeoutMs
  while (!condition() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 2))
}
