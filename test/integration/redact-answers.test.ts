/**
 * An origin that echoes what it was sent, in every way it may: the sandbox never sees the secret.
 *
 * SEC-05 to SEC-08 of the hostile cases; SEC-11 is in `unit/credentials/masker`.
 */

import { setTimeout as delay } from 'node:timers/promises'
import zlib from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { askOver, inChunks, openIntercepted } from '../support/intercepted-client.ts'
import { fieldOf, type RawClient, type RawResponse } from '../support/raw-client.ts'
import { answerOk } from '../support/raw-origin.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'

const secret = 'sk-live/7+Zq"9&x=_-4f1c0d2e'
const stars = '*'.repeat(secret.length)

let world: World
let session: WorldSession

beforeAll(async () => {
  world = await createWorld({
    limits: { firstBytesTimeoutMs: 15_000, handshakeTimeoutMs: 15_000, headTimeoutMs: 15_000 },
    credentials: [{ name: 'account', kind: 'bearer', secret: { env: 'KEY' }, hosts: ['api.test'] }],
    secrets: { KEY: secret },
    rules: ({ https }) => [
      { host: 'api.test', ports: [https], addresses: ['127.0.0.0/8'], credential: 'account' },
      { host: 'other.test', ports: [https], addresses: ['127.0.0.0/8'], tls: 'intercept' },
    ],
    dns: { 'api.test': { a: ['127.0.0.1'] }, 'other.test': { a: ['127.0.0.1'] } },
  })
  session = await world.newSession()
})
beforeEach(() => {
  world.https.answer = answerOk
})
afterAll(() => world[Symbol.asyncDispose]())

function open(name = 'api.test', as = session): Promise<RawClient> {
  return openIntercepted(world, as, name)
}

function request(method = 'GET', more = '', name = 'api.test'): string {
  return `${method} /v1 HTTP/1.1\r\nHost: ${name}:${world.ports.https}\r\n${more}\r\n`
}

function ask(client: RawClient, method = 'GET', more = ''): Promise<RawResponse> {
  return askOver(client, request(method, more))
}

async function exchange(method = 'GET', more = ''): Promise<RawResponse> {
  const client = await open()
  const heard = await ask(client, method, more)
  client.destroy()
  return heard
}

/** The origin answers with these pieces of a body, each in a chunk of its own. */
function answersInChunks(pieces: readonly Buffer[], fields = ''): void {
  world.https.answer = (_, socket) => void socket.write(inChunks(pieces, fields))
}

const crlf = Buffer.from('\r\n')

function bytesOf(whole: Buffer): Buffer[] {
  return Array.from(whole, (_, i) => whole.subarray(i, i + 1))
}

const hexOf = (character: string): string => character.charCodeAt(0).toString(16).padStart(2, '0')

const renderings: readonly (readonly [string, string])[] = [
  ['as it was sent', secret],
  ['percent-encoded', encodeURIComponent(secret)],
  ['percent-encoded in part', secret.replace(/[a-k]/g, (c) => `%${hexOf(c).toUpperCase()}`)],
  ['in hex', Buffer.from(secret).toString('hex')],
  ['in JSON', JSON.stringify(secret).slice(1, -1)],
  ['in JSON, in numbers', Array.from(secret, (c) => `\\u00${hexOf(c)}`).join('')],
  ['in HTML', secret.replaceAll('&', '&amp;').replaceAll('"', '&#34;')],
  ['in base64', Buffer.from(secret).toString('base64').replace(/=+$/, '')],
  ['in base64url', Buffer.from(secret).toString('base64url')],
]

describe('in a body', () => {
  it.each(renderings)('%s, whole and byte by byte', async (_, rendered) => {
    const body = Buffer.from(`{"said":"${rendered}","more":"${rendered}"}`)
    const masked = `{"said":"${'*'.repeat(rendered.length)}","more":"${'*'.repeat(rendered.length)}"}`
    const client = await open()
    world.https.answer = (_request, socket) =>
      void socket.write(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`), body]))
    const whole = await ask(client)
    expect(whole.body.toString()).toBe(masked)
    expect(fieldOf(whole, 'content-length')).toBe(String(body.length))
    answersInChunks(bytesOf(body))
    const pieces = await ask(client)
    expect(pieces.body.toString()).toBe(masked)
    expect(pieces.complete).toBe(true)
    client.destroy()
    expect(world.records.at(-1)).toMatchObject({ outcome: 'allow', redactions: 2, credentials: ['account'] })
  })

  it('that falls into two at any byte', async () => {
    const body = Buffer.from(`<${secret}>`)
    const client = await open()
    for (let at = 1; at < body.length; at++) {
      answersInChunks([body.subarray(0, at), body.subarray(at)])
      expect((await ask(client)).body.toString()).toBe(`<${stars}>`)
    }
    client.destroy()
  })

  it.each<readonly [string, (body: Buffer) => Buffer]>([
    ['gzip', zlib.gzipSync],
    ['x-gzip', zlib.gzipSync],
    ['deflate', zlib.deflateSync],
    ['Deflate', zlib.deflateRawSync],
    ['br', zlib.brotliCompressSync],
    ['zstd', zlib.zstdCompressSync],
  ])('coded as %s though we asked for none: decoded, masked, passed decoded', async (coding, encode) => {
    const body = Buffer.from(`${'some text '.repeat(1000)}${secret}${' more text'.repeat(1000)}`)
    const coded = encode(body)
    const client = await open()
    for (const pieces of [[coded], bytesOf(coded)]) {
      answersInChunks(pieces, `Content-Encoding: ${coding}\r\nETag: "a"\r\nContent-MD5: b\r\n`)
      const heard = await ask(client, 'GET', 'Accept-Encoding: gzip, br\r\n')
      expect(heard.body.toString()).toBe(body.toString().replace(secret, stars))
      expect(heard.complete).toBe(true)
      expect([...heard.fields].map(([name]) => name.toLowerCase())).not.toContain('content-encoding')
      expect(fieldOf(heard, 'etag')).toBe('W/"a"')
    }
    // The connection goes on behind it.
    world.https.answer = answerOk
    expect((await ask(client)).body.toString()).toBe('ok\n')
    client.destroy()
  })

  it('is left alone where no credential was put on', async () => {
    const body = zlib.gzipSync(secret)
    answersInChunks([body], 'Content-Encoding: gzip\r\n')
    const client = await open('other.test')
    await client.send(request('GET', 'Range: bytes=0-1\r\nAccept-Encoding: gzip\r\n', 'other.test'))
    const heard = await client.response()
    client.destroy()
    expect(heard).toMatchObject({ status: 200, body })
    const sent = world.https.connections.at(-1)?.received.toString() ?? ''
    expect(sent).toContain('Range: bytes=0-1')
    expect(sent).toContain('Accept-Encoding: gzip')
  })
})

it('in a head: fields, redirects, challenges and the reason phrase', async () => {
  world.https.answer = (asked, socket) => {
    const sent = asked.fields.find(([name]) => name.toLowerCase() === 'authorization')?.[1] ?? ''
    const lines = [
      `HTTP/1.1 302 ${secret}`,
      `X-Echo: ${sent}`,
      `Location: https://evil.test/?token=${encodeURIComponent(secret)}`,
      `WWW-Authenticate: Basic realm="${Buffer.from(`me:${secret}`).toString('base64')}"`,
      'Content-Length: 0',
    ]
    socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  }
  const heard = await exchange()
  expect(heard.reason).toBe(stars)
  expect(fieldOf(heard, 'x-echo')).toBe(`Bearer ${stars}`)
  expect(fieldOf(heard, 'location')).toMatch(/^https:\/\/evil\.test\/\?token=\*+$/)
  expect(fieldOf(heard, 'www-authenticate')).toMatch(/^Basic realm="b[^*]{2,3}\*+=*"$/)
  expect(world.records.at(-1)).toMatchObject({ redactions: 4 })
  const { text } = await world.gateway.telemetry.metricsText()
  expect(text).toMatch(/^sallyport_redactions_total\{credential="account"\} [1-9]/m)
})

it.each(['identity', 'gzip'])('events (%s) come as they are sent, each before the next', async (coding) => {
  const gzip = zlib.createGzip({ flush: zlib.constants.Z_SYNC_FLUSH })
  let write: (text: string) => void = () => undefined
  world.https.answer = (_, socket) => {
    const field = coding === 'gzip' ? 'Content-Encoding: gzip\r\n' : ''
    const send = (bytes: Buffer): void => {
      socket.write(Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, crlf]))
    }
    socket.write(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n${field}\r\n`)
    gzip.on('data', send)
    write = (text) => (coding === 'gzip' ? void gzip.write(text) : send(Buffer.from(text)))
    write('data: 0\n\n')
  }
  const client = await open()
  await client.send(request())
  for (let i = 0; i < 20; i++) {
    await expect.poll(() => client.unread.toString(), { interval: 2, timeout: 4000 }).toContain(`data: ${i}`)
    write(`data: ${secret}\n\ndata: ${i + 1}\n\n`)
  }
  expect(client.unread.toString()).not.toContain(secret)
  client.destroy()
})

it.each(['identity', 'gzip'])(
  '20 MB (%s) to a client that stalls come whole, and are not gathered here',
  async (coding) => {
    const line = Buffer.from(`${'0123456789abcdef'.repeat(63)}${'-'.repeat(14)}\r\n`)
    const body = Buffer.concat(Array.from({ length: 20 * 1024 }, () => line))
    const sent = coding === 'gzip' ? zlib.gzipSync(body, { level: 0 }) : body
    const field = coding === 'gzip' ? 'Content-Encoding: gzip\r\n' : ''
    let waiting = 0
    world.https.answer = (_, socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${sent.length}\r\n${field}\r\n`)
      socket.write(sent)
      void delay(500).then(() => {
        waiting = socket.writableLength
      })
    }
    const client = await open()
    client.socket.removeAllListeners('data')
    client.socket.pause()
    await client.send(request('GET', 'Connection: close\r\n'))
    await expect.poll(() => waiting, { timeout: 4000 }).toBeGreaterThan(0)
    let length = 0
    client.socket.on('data', (chunk: Buffer) => {
      length += chunk.length
    })
    client.socket.resume()
    expect(await client.closed(20_000)).toBe(true)
    expect(length).toBeGreaterThan(body.length)
  },
)

it('a session that ends while its packed answer waits for the client leaves nothing behind', async () => {
  const other = await world.newSession()
  const packed = zlib.gzipSync(Buffer.alloc(20 * 1024 * 1024, 'line\n'))
  world.https.answer = (_, socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${packed.length}\r\nContent-Encoding: gzip\r\n\r\n`)
    socket.write(packed)
  }
  const client = await open('api.test', other)
  client.socket.removeAllListeners('data')
  client.socket.pause()
  await client.send(request())
  await delay(200)
  await other.revoke()
  await expect.poll(() => world.records.find(({ session: id }) => id === other.id)?.outcome).toBe('interrupted')
  client.destroy()
  world.https.answer = answerOk
  expect((await exchange()).body.toString()).toBe('ok\n')
})

it('nothing that was logged or recorded holds it', async () => {
  expect(world.logged.join('\n')).not.toContain(secret)
  expect(await world.auditText()).not.toContain(secret)
})
