/** Invariant: secrets do not come back, whatever protocols the two sides speak and however the origin says them. */

import { setTimeout as delay } from 'node:timers/promises'
import zlib from 'node:zlib'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { parseSecret } from '../../src/credentials/secret.ts'
import { answerOf, H2Client, tlsThrough } from '../support/h2-client.ts'
import { type H2Origin, startH2Origin } from '../support/h2-origin.ts'
import { inChunks } from '../support/intercepted-client.ts'
import { RawClient } from '../support/raw-client.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'
import { renderings } from '../unit/credentials/masker-model.ts'

/** The same on every machine; another number looks elsewhere. */
const seed = 1121
const secrets = fc.sample(
  fc
    .string({ unit: 'grapheme-ascii', minLength: 16, maxLength: 90 })
    .filter((text) => typeof parseSecret(text, { unsafeShortSecret: false }) !== 'string'),
  { seed, numRuns: 8 },
)
const codings: Readonly<Record<string, (body: Buffer) => Buffer>> = {
  identity: (body) => body,
  gzip: zlib.gzipSync,
  deflate: zlib.deflateSync,
  br: (body) => zlib.brotliCompressSync(body, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } }),
  zstd: zlib.zstdCompressSync,
}

/** What an origin says: in a 103, in its head, in these pieces of a body, and behind it. */
type Saying = { readonly echo: string; readonly coding: string; readonly pieces: readonly Buffer[] }

type Heard = { readonly everything: string; readonly body: Buffer }

let world: World
let modern: H2Origin
let session: WorldSession
let said: Saying
const clients = new Map<string, Promise<(host: string, port: number) => Promise<Heard>>>()

beforeAll(async () => {
  modern = await startH2Origin({ allowHTTP1: false })
  const hosts = secrets.map((_, i) => `k${i}.test`)
  world = await createWorld({
    credentials: hosts.map((host, i) => ({ name: `k${i}`, kind: 'bearer', hosts: [host], secret: { env: `KEY${i}` } })),
    secrets: Object.fromEntries(secrets.map((secret, i) => [`KEY${i}`, secret])),
    rules: ({ https }) =>
      hosts.map((host, i) => ({
        host,
        ports: [https, modern.port],
        addresses: ['127.0.0.0/8'],
        credential: `k${i}`,
      })),
    dns: Object.fromEntries(hosts.map((host) => [host, { a: ['127.0.0.1'] }])),
    limits: { redactionsPerSessionMax: 1_000_000, exchangeIdleMs: 20_000, handshakeTimeoutMs: 15_000 },
  })
  session = await world.newSession()
  modern.ca = world.originCa
  modern.handler = (_request, response) => {
    const { echo, coding, pieces } = said
    response.stream.additionalHeaders({ ':status': 103, link: echo })
    response.writeHead(200, { 'content-encoding': coding, 'x-echo': echo })
    for (const piece of pieces) response.write(piece)
    response.addTrailers({ 'x-behind': echo })
    response.end()
  }
  world.https.answer = (_request, socket) => {
    const { echo, coding, pieces } = said
    const early = Buffer.from(`HTTP/1.1 103 Early Hints\r\nLink: ${echo}\r\n\r\n`, 'latin1')
    const fields = `Content-Encoding: ${coding}\r\nX-Echo: ${echo}\r\n`
    socket.write(Buffer.concat([early, inChunks(pieces, fields, `X-Behind: ${echo}\r\n`)]))
  }
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
  await modern?.[Symbol.asyncDispose]()
})

/** Clients stay, as they do: one for each protocol, host and origin. */
function heardBy(protocol: 'h2' | 'http/1.1', host: string, port: number): Promise<Heard> {
  const key = `${protocol} ${host} ${port}`
  const known = clients.get(key) ?? (protocol === 'h2' ? modernClient(host, port) : oldClient(host, port))
  clients.set(key, known)
  return known.then((ask) => ask(host, port))
}

async function modernClient(host: string, port: number): Promise<() => Promise<Heard>> {
  const client = await H2Client.open(world, session, host, {}, port)
  return async () => {
    const stream = client.stream('/')
    let early = ''
    stream.on('headers', (fields) => (early += JSON.stringify(fields)))
    const { status, headers, body, code, trailers } = await answerOf(stream)
    expect([status, code]).toEqual([200, 0])
    expect(trailers).not.toBeNull()
    const everything = [early, ...Object.values(headers), ...Object.values(trailers ?? {})].map(String).join('\n')
    return { everything: `${everything}\n${body.toString('latin1')}`, body }
  }
}

async function oldClient(host: string, port: number): Promise<() => Promise<Heard>> {
  const { secure, outer } = await tlsThrough(world, session, host, ['http/1.1'], port)
  const client = new RawClient(secure, outer)
  let everything = ''
  secure.on('data', (bytes: Buffer) => (everything += bytes.toString('latin1')))
  return async () => {
    everything = ''
    await client.send(`GET / HTTP/1.1\r\nHost: ${host}:${port}\r\nTE: trailers\r\n\r\n`)
    const heard = await client.response({ timeoutMs: 15_000 })
    if (typeof heard === 'string') expect.fail(heard)
    expect(heard.status).toBe(200)
    return { everything, body: heard.body }
  }
}

it.each([
  ['http/1.1', 'HTTP/1.1'],
  ['http/1.1', 'HTTP/2'],
  ['h2', 'HTTP/1.1'],
  ['h2', 'HTTP/2'],
] as const)(
  'a client of %s, an origin of %s: whatever the secret, its rendering, the coding and the pieces',
  async (protocol, origin) => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: secrets.length - 1 }),
        fc.nat({ max: renderings.length - 1 }),
        fc.nat(),
        fc.constantFrom(...Object.keys(codings)),
        fc.integer({ min: 1, max: 60 }),
        fc.string({ maxLength: 40 }),
        async (which, way, choice, coding, step, around) => {
          const secret = secrets[which] ?? ''
          const rendered = renderings[way]?.(secret, choice) ?? ''
          const body = Buffer.from(`${Buffer.from(around).toString('hex')}["${rendered}"]`, 'latin1')
          const coded = codings[coding]?.(body) ?? body
          const pieces = Array.from({ length: Math.ceil(coded.length / step) }, (_, i) =>
            coded.subarray(i * step, (i + 1) * step),
          )
          said = { echo: `<${rendered}>`, coding, pieces }
          const port = origin === 'HTTP/2' ? modern.port : world.ports.https
          const heard = await heardBy(protocol, `k${which}.test`, port)
          // All of it came, and in its place.
          expect(heard.body).toHaveLength(body.length)
          expect(heard.everything).toContain('*')
          for (const render of renderings) expect(heard.everything).not.toContain(render(secret, choice))
        },
      ),
      { numRuns: 60, seed, endOnFailure: true },
    )
    await delay(50)
    for (const record of world.records) expect(record).toMatchObject({ outcome: 'allow', status: 200 })
  },
  60_000,
)
