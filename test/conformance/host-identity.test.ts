/**
 * Invariant: one canonical host. Whatever a client writes, the host that was decided is the host asked of DNS, dialled,
 * named in SNI, checked in the certificate and told to the origin; or the request is refused.
 */

import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseHost } from '../../src/net/host.ts'
import { RawClient } from '../support/raw-client.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'
import { noHosts } from './hostile/host-spelling.ts'
import { until } from './hostile/runner.ts'

let world: World
let session: WorldSession
beforeAll(async () => {
  world = await createWorld({
    rules: ({ http, https }) =>
      ['**.good.test', '127.0.0.1'].map((host) => ({
        host,
        ports: [http, https],
        addresses: ['127.0.0.0/8'],
        tls: 'intercept',
      })),
    dns: { 'good.test': { a: ['127.0.0.1'] }, '*.good.test': { a: ['127.0.0.1'] }, '*.test': { a: ['127.0.0.1'] } },
  })
})
afterAll(() => world[Symbol.asyncDispose]())

/** What one spelling led to, seen from every side. */
type Sides = {
  readonly status: number | string
  /** The host of the record. */
  readonly decided: string | null
  readonly asked: readonly string[]
  /** Host field, port cut off, and server name at the origin. */
  readonly told: readonly string[]
  readonly serverNames: readonly (string | null)[]
  /** Names of the certificate that the client was shown. */
  readonly certificate: string | null
}

async function look(send: () => Promise<Pick<Sides, 'certificate' | 'status'>>): Promise<Sides> {
  const from = {
    records: world.records.length,
    queries: world.dns.queries.length,
    http: world.http.connections.length,
    https: world.https.connections.length,
  }
  // A session that repeats itself is slowed and its records joined, which is another matter.
  session = await world.newSession()
  const { status, certificate } = await send()
  await until(() => world.records.length > from.records)
  const connections = [...world.http.connections.slice(from.http), ...world.https.connections.slice(from.https)]
  await session.revoke()
  const last = [...world.http.connections, ...world.https.connections].flatMap((one) =>
    one
      .reading()
      .requests.filter(({ target }) => target === `/${from.records}`)
      .map((request) => ({ one, request })),
  )
  return {
    status,
    certificate,
    decided: world.records[from.records]?.host ?? null,
    asked: world.dns.queries.slice(from.queries).map(({ name }) => name),
    told: last.map(({ request }) => request.host.replace(/:\d+$/, '')),
    serverNames: [
      ...connections.filter(({ encrypted }) => encrypted),
      ...last.flatMap(({ one }) => (one.encrypted ? [one] : [])),
    ].map(({ serverName }) => serverName),
  }
}

async function plainly(spelling: string): Promise<Sides> {
  return look(async () => {
    const authority = `${spelling}:${world.ports.http}`
    const client = await RawClient.connect(world.ports.proxy)
    await client.send(
      `GET http://${authority}/${world.records.length} HTTP/1.1\r\nHost: ${authority}\r\nProxy-Authorization: ${session.authorization}\r\n\r\n`,
    )
    const heard = await client.response()
    client.destroy()
    return { status: typeof heard === 'string' ? heard : heard.status, certificate: null }
  })
}

async function inTunnel(spelling: string): Promise<Sides> {
  return look(async () => {
    const authority = `${spelling}:${world.ports.https}`
    const path = `/${world.records.length}`
    const client = await RawClient.connect(world.ports.proxy)
    await client.send(`CONNECT ${authority} HTTP/1.1\r\nProxy-Authorization: ${session.authorization}\r\n\r\n`)
    const opened = await client.response()
    if (typeof opened === 'string' || opened.status !== 200) {
      client.destroy()
      return { status: typeof opened === 'string' ? opened : opened.status, certificate: null }
    }
    // What a client makes of the spelling for its server name: its own reading, not ours.
    const name = spelling.toLowerCase().replace(/\.$/, '')
    const isAddress = /^[\d.]+$|^\[/.test(name)
    let certificate: string | null = null
    const secure = await client.startTls({
      ...(isAddress ? {} : { servername: name }),
      ca: world.caCertificate,
      checkServerIdentity: (_asked, { subjectaltname = '' }) => {
        certificate = subjectaltname
        return undefined
      },
    })
    await secure.send(`GET ${path} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
    const heard = await secure.response()
    secure.destroy()
    return { status: typeof heard === 'string' ? heard : heard.status, certificate }
  })
}

function expectOneHost(spelling: string, sides: Sides): void {
  const { status, decided, asked, told, serverNames, certificate } = sides
  if (status !== 200) {
    expect([400, 403, 421], `${spelling}: ${status}`).toContain(status)
    expect(told).toEqual([])
    expect(serverNames).toEqual([])
    expect(asked).toEqual([])
    return
  }
  // The model of a canonical host, without the product's parser: case and one final dot are all that may differ.
  const mapped = /^\[::ffff:(\d+\.\d+\.\d+\.\d+)\]$/i.exec(spelling)?.[1]
  const canonical = mapped ?? spelling.replace(/[A-Z]/g, (letter) => letter.toLowerCase()).replace(/\.$/, '')
  const isAddress = /^[\d.]+$/.test(canonical)
  expect(canonical).toMatch(/^(?:(?:[a-z0-9_-]+\.)*good\.test|127\.0\.0\.1)$/)
  expect(decided).toBe(canonical)
  expect(told).toEqual([canonical])
  for (const name of asked) expect(name).toBe(canonical)
  for (const name of serverNames) expect(name).toBe(isAddress ? null : canonical)
  if (certificate !== null) expect(certificate).toBe(isAddress ? `IP Address:${canonical}` : `DNS:${canonical}`)
}

const label = fc.stringMatching(/^[a-z0-9_]([a-z0-9_-]{0,8}[a-z0-9_])?$/)
const goodName = fc.array(label, { maxLength: 3 }).map((labels) => [...labels, 'good', 'test'].join('.'))
const anyCase = (name: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.tuple(name, fc.array(fc.boolean(), { minLength: 60, maxLength: 60 })).map(([text, upper]) =>
    text
      .split('')
      .map((letter, index) => (upper[index % 60] === true ? letter.toUpperCase() : letter))
      .join(''),
  )
/** Pieces that URL parsers, resolvers and lists have each read in their own way. */
const oddPiece = fc.constantFrom(
  '.',
  '..',
  '%2e',
  '%00',
  '\0',
  '@',
  '#',
  '?',
  '/',
  '\\',
  ':',
  '[',
  ']',
  '%25',
  ' ',
  '\t',
  'xn--',
  'evil.test',
  'good.test',
  '127.0.0.1',
  '0x7f.1',
  '127.1',
  '::1',
  '[::ffff:127.0.0.1]',
  '\u212a',
  '\u3002',
  '\uff0e',
  '\u00ad',
  '\u200b',
  '\u0130',
  '①',
  '_',
  '-',
  '*',
  ',',
  ';',
  '%',
  '0',
  '1',
  '.test',
  'EVIL',
  '\r',
  '\n',
) // prettier-ignore
const oddName = fc
  .array(fc.oneof({ weight: 2, arbitrary: label }, { weight: 3, arbitrary: oddPiece }), { minLength: 1, maxLength: 5 })
  .map((pieces) => Buffer.from(pieces.join('')).toString('latin1'))
const spellings = fc.oneof(
  { weight: 3, arbitrary: anyCase(goodName) },
  { weight: 1, arbitrary: anyCase(goodName).map((name) => `${name}.`) },
  { weight: 4, arbitrary: oddName },
  { weight: 2, arbitrary: fc.tuple(oddName, goodName).map(([odd, good]) => `${odd}${good}`) },
  { weight: 2, arbitrary: fc.tuple(goodName, oddName).map(([good, odd]) => `${good}${odd}`) },
  { weight: 1, arbitrary: fc.constantFrom(...noHosts.map(([, text]) => text)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '127.0.0.1',
      '127.0.0.77',
      '[::ffff:127.0.0.1]',
      '[::FFFF:127.0.0.1]',
      '127.0.0.1.',
      '[::1]',
    ),
  },
)
/** What would end the line: then it is not the host that is spelled oddly. */
const onOneLine = spellings.filter((text) => !/[\r\n ]/.test(text) && text !== '')

/** The same inputs on every machine; another number looks elsewhere. */
const seed = 1121

describe('decided host == asked == dialled == SNI == certificate == Host at the origin, or refused', () => {
  it('on the proxy port', async () => {
    await fc.assert(
      fc.asyncProperty(onOneLine, async (spelling) => {
        // A path or a query behind the host is no spelling of it.
        fc.pre(!/[/?]/.test(spelling))
        expectOneHost(spelling, await plainly(spelling))
      }),
      { numRuns: 400, seed, endOnFailure: true },
    )
  })

  it('in a tunnel', async () => {
    await fc.assert(
      fc.asyncProperty(onOneLine, async (spelling) => expectOneHost(spelling, await inTunnel(spelling))),
      { numRuns: 300, seed, endOnFailure: true },
    )
  })

  it('and a host that was parsed prints back to itself', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          spellings,
          fc.string(),
          fc.ipV4(),
          fc.ipV6().map((text) => `[${text}]`),
          fc.domain(),
        ),
        (text) => {
          const host = parseHost(text)
          if (host === null) return
          expect(parseHost(host.text)).toEqual(host)
          expect(host.text).toMatch(/^(?:[a-z0-9_.-]+|\[[0-9a-f:]+\])$/)
        },
      ),
      { numRuns: 3000, seed },
    )
  })
})
