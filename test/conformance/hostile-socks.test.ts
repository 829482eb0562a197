/** SOCKS5 is one more door to the one walk: what is no CONNECT to an allowed host opens nothing, and has one record. */

import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RawClient } from '../support/raw-client.ts'
import {
  credentialsOf,
  openSocks,
  socksAnswer,
  socksConnect,
  socksCredentials,
  socksGreeting,
  socksRequest,
} from '../support/socks-client.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'
import { shown } from './hostile/case.ts'
import { noHosts } from './hostile/host-spelling.ts'
import { everyNameIsLoopback, textOf, until } from './hostile/runner.ts'

let world: World
beforeAll(async () => {
  world = await createWorld({
    rules: ({ http, https, control }) => {
      const common = { ports: [http, https], addresses: ['127.0.0.0/8'] }
      return [
        { ...common, host: 'good.test', tls: 'intercept' },
        { ...common, host: 'tun.test', tls: 'tunnel' },
        { ...common, host: 'private.test', addresses: ['10.0.0.0/8'] },
        { host: 'closed.test', ports: [1], addresses: ['127.0.0.0/8'] },
        { host: 'nowhere.test' },
        { host: 'self.test', ports: [control], addresses: ['127.0.0.0/8'] },
        { host: '127.0.0.3', ports: [https], addresses: ['127.0.0.0/8'] },
      ]
    },
    dns: {
      ...everyNameIsLoopback,
      'tun.test': { a: ['127.0.0.1'] },
      'self.test': { a: ['127.0.0.1'] },
      'private.test': { a: ['127.0.0.1'] },
      'closed.test': { a: ['127.0.0.1'] },
    },
    limits: { headTimeoutMs: 300, firstBytesTimeoutMs: 300 },
  })
})
afterAll(async () => {
  const finals = (await world.auditText()).split('\n').filter((line) => line.includes('"event":"final"'))
  expect(finals).toHaveLength(world.records.length)
  await world[Symbol.asyncDispose]()
})

type Refused = {
  readonly what: string
  readonly send: (session: WorldSession) => readonly Buffer[]
  /** All that is said until the end, as hex. */
  readonly hears: string
  readonly record: string
  /** The session of the record is that of the case. */
  readonly known?: boolean
  /** The only name that may be asked of DNS. */
  readonly asks?: string
  readonly ending?: 'fin'
}

/** After a proof that holds. */
function asking(request: Buffer): Pick<Refused, 'known' | 'send'> {
  return { known: true, send: (session) => [socksGreeting(0, 2), credentialsOf(session), request] }
}

const proven = '05020100'
const hex = (text: string): Buffer => Buffer.from(text, 'hex')
const malformed = 'deny malformed_request'
const notAllowed = { hears: proven + socksAnswer(2), record: 'deny host_not_allowed' }
const noRequest = { hears: proven + socksAnswer(1), record: malformed }
const named = { type: 3, address: Buffer.from('\x09good.test', 'latin1'), port: 443 }
const literal = (text: string): Buffer => {
  const address = hex(text)
  return socksRequest({ type: address.length === 4 ? 1 : 4, address, port: 443 })
}
const literals = [
  '7f000001',
  '00000000',
  'a9fea9fe',
  '08080808',
  '00000000000000000000000000000001',
  '00000000000000000000ffff7f000001',
  '00000000000000000000ffffa9fea9fe',
  '0000000000000000000000007f000001',
  'fe800000000000000000000000000001',
] // prettier-ignore
const strangers = [
  'evil.test',
  'EVIL.test.',
  'x.good.test',
  'good.test.evil.test',
  'localhost',
  '127.0.0.1',
  '[::1]',
  'metadata.google.internal',
  `${'a.'.repeat(126)}b`,
] // prettier-ignore

const refused: readonly Refused[] = [
  {
    what: 'SOCKS4',
    send: () => [hex('040101bb7f00000100')],
    hears: '005b000000000000',
    record: malformed,
  },
  {
    what: 'SOCKS4a',
    send: () => [hex('040101bb0000000173006576696c2e7465737400')],
    hears: '005b000000000000',
    record: malformed,
  },
  { what: 'a greeting without a method', send: () => [hex('0500')], hears: '05ff', record: malformed },
  { what: 'GSSAPI alone', send: () => [socksGreeting(1)], hears: '05ff', record: malformed },
  {
    what: 'methods that nobody knows',
    send: () => [socksGreeting(3, 0x80, 0xfe, 0xff)],
    hears: '05ff',
    record: malformed,
  },
  { what: 'no credentials', send: () => [socksGreeting(0)], hears: '05ff', record: 'challenge session_unknown' },
  {
    what: 'GSSAPI or no credentials',
    send: () => [socksGreeting(1, 0)],
    hears: '05ff',
    record: 'challenge session_unknown',
  },
  {
    what: 'no credentials, and a request all the same',
    send: () => [socksGreeting(0), socksConnect('good.test', 443)],
    hears: '05ff',
    record: 'challenge session_unknown',
  },
  {
    what: 'credentials of a client that has none',
    send: () => [socksGreeting(0, 2), socksCredentials('root', '')],
    hears: '05020101',
    record: 'challenge session_unknown',
  },
  ...[
    ['a wrong token', 's-1', 'x'.repeat(43)],
    ['an empty name', '', 'token'],
    ['the longest credentials', 'a'.repeat(255), 'b'.repeat(255)],
    ['NULs', '\0\0', '\0'],
    ['a colon in the name', 's-1:token', 'x'],
    ['a line end', 's-1\r\nX: y', 'x'],
  ].map(([what = '', user = '', password = '']) => ({
    what,
    send: () => [socksGreeting(2), socksCredentials(user, password), socksConnect('good.test', 443)],
    hears: '05020101',
    record: 'deny session_unknown',
  })),
  {
    what: 'a token with a NUL behind it',
    send: (session) => {
      const [id = '', token = ''] = Buffer.from(session.authorization.slice(6), 'base64').toString().split(':')
      return [socksGreeting(2), socksCredentials(id, `${token}\0`)]
    },
    hears: '05020101',
    record: 'deny session_unknown',
  },
  {
    what: 'id and token both in the name',
    send: (session) => [
      socksGreeting(2),
      socksCredentials(Buffer.from(session.authorization.slice(6), 'base64').toString(), 'x'),
    ],
    hears: '05020101',
    record: 'deny session_unknown',
  },
  ...['05', '00', '02'].map((version) => ({
    what: `credentials of version ${version}`,
    send: () => [socksGreeting(2), hex(`${version}0173017870`)],
    hears: '05020101',
    record: malformed,
  })),
  {
    what: 'BIND',
    ...asking(socksRequest({ ...named, command: 2 })),
    hears: proven + socksAnswer(7),
    record: malformed,
  },
  {
    what: 'UDP ASSOCIATE',
    ...asking(socksRequest({ type: 1, address: Buffer.alloc(4), port: 0, command: 3 })),
    hears: proven + socksAnswer(7),
    record: malformed,
  },
  {
    what: 'a name to resolve',
    ...asking(socksRequest({ ...named, command: 0xf0 })),
    hears: proven + socksAnswer(7),
    record: malformed,
  },
  { what: 'a request of version 4', ...asking(socksRequest({ ...named, version: 4 })), ...noRequest },
  { what: 'a reserved byte that is not zero', ...asking(socksRequest({ ...named, reserved: 1 })), ...noRequest },
  {
    what: 'an address type that is none',
    ...asking(socksRequest({ ...named, type: 2 })),
    hears: proven + socksAnswer(8),
    record: malformed,
  },
  { what: 'port zero', ...asking(socksConnect('good.test', 0)), ...noRequest },
  { what: 'an empty name', ...asking(socksConnect('', 443)), ...noRequest },
  { what: 'a name of 255 bytes', ...asking(socksConnect(`${'a.'.repeat(127)}b`, 443)), ...noRequest },
  { what: 'a label of 255 bytes', ...asking(socksConnect('a'.repeat(255), 443)), ...noRequest },
  ...noHosts
    .filter(([, text]) => text.length < 256)
    .map(([id, text]) => ({ what: `${id} ${shown(text)}`, ...asking(socksConnect(text, 443)), ...noRequest })),
  ...strangers.map((text) => ({ what: shown(text), ...asking(socksConnect(text, 443)), ...notAllowed })),
  ...literals.map((text) => ({ what: `the address ${text}`, ...asking(literal(text)), ...notAllowed })),
  {
    what: 'a port that no rule allows',
    ...asking(socksConnect('good.test', 22)),
    hears: proven + socksAnswer(2),
    record: 'deny port_not_allowed',
  },
  {
    what: 'an address that its rule does not list',
    known: true,
    send: (session) => [socksGreeting(2), credentialsOf(session), socksConnect('private.test', world.ports.https)],
    asks: 'private.test',
    hears: proven + socksAnswer(2),
    record: 'deny address_not_allowed',
  },
  {
    what: 'the control port',
    known: true,
    send: (session) => [socksGreeting(2), credentialsOf(session), socksConnect('self.test', world.ports.control)],
    asks: 'self.test',
    hears: proven + socksAnswer(2),
    record: 'deny own_address',
  },
  {
    what: 'a port on which nobody listens',
    ...asking(socksConnect('closed.test', 1)),
    asks: 'closed.test',
    hears: proven + socksAnswer(5),
    record: 'failed connect_failed',
  },
  {
    what: 'a name that is not there',
    ...asking(socksConnect('nowhere.test', 443)),
    asks: 'nowhere.test',
    hears: proven + socksAnswer(4),
    record: 'failed dns_failed',
  },
  { what: 'half a greeting, and no more', send: () => [hex('0502')], hears: '05ff', record: malformed },
  {
    what: 'half of the credentials, and no more',
    send: () => [socksGreeting(2), hex('0105')],
    hears: '05020101',
    record: malformed,
  },
  { what: 'half a request, and no more', ...asking(hex('050100')), ...noRequest },
  {
    what: 'a greeting, then the end',
    send: () => [socksGreeting(2)],
    ending: 'fin',
    hears: '05020101',
    record: malformed,
  },
  { what: 'half a request, then the end', ...asking(hex('05010003ff61')), ending: 'fin', ...noRequest },
]

type Cut = (messages: readonly Buffer[]) => readonly Buffer[]
const cuts: readonly (readonly [name: string, cut: Cut])[] = [
  ['in one piece', (messages) => [Buffer.concat(messages)]],
  ['byte by byte', (messages) => Array.from(Buffer.concat(messages), (byte) => Buffer.from([byte]))],
]

async function refuse(one: Refused, cut: Cut): Promise<void> {
  const session = await world.newSession()
  const before = {
    records: world.records.length,
    connections: world.http.connections.length + world.https.connections.length,
    queries: world.dns.queries.length,
    decisions: await world.decisions(),
  }
  const client = await RawClient.connect(world.ports.proxy)
  await client.send(...cut(one.send(session)))
  if (one.ending === 'fin') client.halfClose()
  expect(await client.bytes(1000)).toBe(one.hears)
  expect(client.end).toBe('ended')
  client.destroy()
  await until(() => world.records.length > before.records)
  const records = world.records.slice(before.records)
  expect(records.map(textOf)).toEqual([one.record])
  expect(records[0]).toMatchObject({ kind: 'connect', session: one.known === true ? session.id : null })
  // Whoever has left is not waited for.
  if (one.ending === 'fin') expect(records[0]).toMatchObject({ detail: 'the SOCKS handshake did not end' })
  expect(world.http.connections.length + world.https.connections.length).toBe(before.connections)
  expect(world.dns.queries.slice(before.queries).filter(({ name }) => name !== one.asks)).toEqual([])
  const counted = [...(await world.decisions())].filter(([key, value]) => value !== (before.decisions.get(key) ?? 0))
  expect(counted).toEqual([[one.record, (before.decisions.get(one.record) ?? 0) + 1]])
  await session.revoke()
}

describe.each(cuts)('SOCKS %s', (_name, cut) => {
  it.each(refused.map((one) => [one.what, one] as const))('refuses %s', (_what, one) => refuse(one, cut))

  it.each([
    ['good.test', 'good.test'],
    ['tun.test', 'tun.test'],
    ['GOOD.test.', 'good.test'],
  ])('opens %s, and what stands behind the request is said in the tunnel', async (written, host) => {
    const session = await world.newSession()
    const before = world.records.length
    const { http } = world.ports
    const get = Buffer.from(`GET /first HTTP/1.1\r\nHost: ${host}:${http}\r\n\r\n`)
    const client = await RawClient.connect(world.ports.proxy)
    await client.send(...cut([socksGreeting(0, 1, 2), credentialsOf(session), socksConnect(written, http), get]))
    expect(await client.bytes(14)).toBe(proven + socksAnswer(0))
    expect(await client.response()).toMatchObject({ status: 200 })
    client.destroy()
    await until(() => world.records.length > before)
    expect(world.records.slice(before)).toMatchObject([
      { kind: 'request', outcome: 'allow', session: session.id, host, port: http, path: '/first', scheme: 'http' },
    ])
  })
})

describe('what is said first in a tunnel that SOCKS opened', () => {
  it.each([
    ['good.test', 'SSH-2.0-x\r\n', 'deny opaque_tunnel'],
    ['tun.test', 'SSH-2.0-x\r\n', 'deny opaque_tunnel'],
    ['good.test', '', 'deny opaque_tunnel'],
    ['good.test', socksGreeting(0).toString('latin1'), 'deny opaque_tunnel'],
    ['good.test', 'CONNECT evil.test:443 HTTP/1.1\r\n\r\n', malformed],
    ['good.test', 'GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n', 'deny authority_mismatch'],
  ])('to %s as %j is judged like any', async (host, text, record) => {
    const session = await world.newSession()
    const before = world.records.length
    const client = await openSocks(world.ports.proxy, session, socksConnect(host, world.ports.https))
    await client.send(text)
    await until(() => world.records.length > before)
    client.destroy()
    expect(world.records.slice(before).map(textOf)).toEqual([record])
  })

  it('may not be SOCKS where HTTP was spoken before', async () => {
    const client = await RawClient.connect(world.ports.proxy)
    await client.send(`CONNECT good.test:${world.ports.https} HTTP/1.1\r\n\r\n`)
    expect(await client.response()).toMatchObject({ status: 407 })
    await client.send(socksGreeting(2))
    expect(await client.response()).toMatchObject({ status: 400 })
    client.destroy()
  })
})

it('an address that a rule lists as one is dialled, however it is written', async () => {
  for (const request of [
    socksRequest({ type: 1, address: hex('7f000003'), port: world.ports.https }),
    socksRequest({ type: 4, address: hex('00000000000000000000ffff7f000003'), port: world.ports.https }),
    socksConnect('127.0.0.3', world.ports.https),
  ]) {
    const session = await world.newSession()
    const queries = world.dns.queries.length
    const before = world.records.length
    const client = await RawClient.connect(world.ports.proxy)
    await client.send(Buffer.concat([socksGreeting(2), credentialsOf(session), request]))
    // Nobody listens there, and that is what is told.
    expect(await client.bytes(14)).toBe(proven + socksAnswer(5))
    client.destroy()
    await until(() => world.records.length > before)
    expect(world.records[before]).toMatchObject({ host: '127.0.0.3', outcome: 'failed', reason: 'connect_failed' })
    expect(world.dns.queries).toHaveLength(queries)
  }
})

/** The same inputs on every machine; another number looks elsewhere. */
const seed = 1121

it('any bytes: a handshake that is disturbed opens nothing but good.test, has a record, and ends', async () => {
  const disturbance = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    deed: fc.constantFrom('flip', 'insert', 'remove'),
    value: fc.nat(255),
  })
  const disturb = (
    bytes: readonly number[],
    { at, deed, value }: typeof disturbance extends fc.Arbitrary<infer D> ? D : never,
  ) => {
    const index = Math.min(Math.floor(at * bytes.length), Math.max(0, bytes.length - 1))
    const kept =
      deed === 'insert' ? [value, bytes[index] ?? 0] : deed === 'flip' ? [(bytes[index] ?? 0) ^ (1 << (value & 7))] : []
    return [...bytes.slice(0, index), ...kept, ...bytes.slice(index + 1)]
  }
  const origins = (): number => world.https.connections.length
  const before = { origins: origins(), queries: world.dns.queries.length }
  await fc.assert(
    fc.asyncProperty(fc.array(disturbance, { minLength: 1, maxLength: 3 }), async (deeds) => {
      const session = await world.newSession()
      const whole = Buffer.concat([
        socksGreeting(0, 2),
        credentialsOf(session),
        socksConnect('good.test', world.ports.https),
      ])
      const records = world.records.length
      const client = await RawClient.connect(world.ports.proxy)
      await client.send(Buffer.from(deeds.reduce<readonly number[]>(disturb, [...whole])))
      client.halfClose()
      expect(await client.closed()).toBe(true)
      client.destroy()
      await until(() => world.records.length > records)
      const [record, ...more] = world.records.slice(records)
      expect(more).toEqual([])
      expect(['abandoned', 'challenge', 'deny']).toContain(record?.outcome)
      await session.revoke()
    }),
    { numRuns: 200, seed, endOnFailure: true },
  )
  expect(origins()).toBe(before.origins)
  expect(world.dns.queries).toHaveLength(before.queries)
})
