/** What is asked of an origin that a credential is shown to, and what it may not answer: SEC-08, SEC-09 of the hostile cases. */

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
    credentials: [{ name: 'account', kind: 'bearer', secret: { env: 'KEY' }, hosts: ['api.test', 'store.test'] }],
    secrets: { KEY: secret },
    rules: ({ https }) => [
      { host: 'api.test', ports: [https], addresses: ['127.0.0.0/8'], credential: 'account' },
      { host: 'store.test', ports: [https], addresses: ['127.0.0.0/8'], credential: 'account', ranges: true },
      { host: 'store.test', ports: [https], paths: ['/list'], credential: 'account' },
    ],
    dns: { 'api.test': { a: ['127.0.0.1'] }, 'store.test': { a: ['127.0.0.1'] } },
  })
  session = await world.newSession()
})
beforeEach(() => {
  world.https.answer = answerOk
})
afterAll(() => world[Symbol.asyncDispose]())

function open(name = 'api.test'): Promise<RawClient> {
  return openIntercepted(world, session, name)
}

function request(method = 'GET', more = '', name = 'api.test', path = '/v1'): string {
  return `${method} ${path} HTTP/1.1\r\nHost: ${name}:${world.ports.https}\r\n${more}\r\n`
}

async function exchange(...asked: Parameters<typeof request>): Promise<RawResponse> {
  const client = await open(asked[2])
  const heard = await askOver(client, request(...asked))
  client.destroy()
  return heard
}

describe('what is asked of the origin', () => {
  it('is the whole, uncoded', async () => {
    let sent: readonly string[] = []
    world.https.answer = (asked, socket, connection) => {
      sent = asked.fields.map(([name, value]) => `${name.toLowerCase()}: ${value}`)
      answerOk(asked, socket, connection)
    }
    await exchange('GET', 'Range: bytes=0-9\r\nIf_Range: "a"\r\nAccept-Encoding: gzip, br, zstd\r\n')
    expect(sent).toContain(`authorization: Bearer ${secret}`)
    expect(sent.filter((line) => /range|encoding/.test(line))).toEqual(['accept-encoding: identity'])
  })

  it.each([
    ['of an unknown coding', '200 OK', 'Content-Encoding: dcb\r\n'],
    ['coded twice', '200 OK', 'Content-Encoding: gzip, gzip\r\n'],
    ['coded twice in two fields', '200 OK', 'Content-Encoding: gzip\r\nContent-Encoding: br\r\n'],
    ['of compressed messages', '200 OK', 'grpc-encoding: gzip\r\n'],
    ['that is a part', '206 Partial Content', 'Content-Range: bytes 0-2/10\r\n'],
  ])('an answer %s is refused', async (_, status, fields) => {
    world.https.answer = (_request, socket) =>
      void socket.write(`HTTP/1.1 ${status}\r\nContent-Length: 3\r\n${fields}\r\nabc`)
    const heard = await exchange()
    expect(heard.status).toBe(502)
    expect(fieldOf(heard, 'x-egress-reason')).toBe('origin_unsearchable')
    expect(world.records.at(-1)).toMatchObject({ outcome: 'failed', reason: 'origin_unsearchable', status: 502 })
  })

  it.each(['gzip, chunked', 'gzip', 'chunked, gzip', 'x-own, chunked'])(
    'an answer in the transfer coding %s is malformed',
    async (coding) => {
      world.https.answer = (_request, socket) => {
        socket.end(`HTTP/1.1 200 OK\r\nTransfer-Encoding: ${coding}\r\n\r\n3\r\nabc\r\n0\r\n\r\n`)
      }
      const heard = await exchange()
      expect(heard.status).toBe(502)
      expect(fieldOf(heard, 'x-egress-reason')).toBe('origin_malformed')
    },
  )

  it.each([
    ['broken off', (coded: Buffer) => coded.subarray(0, -9)],
    ['not what it says', () => Buffer.from('this is no gzip at all')],
  ])('an answer whose coding is %s does not end as if it were whole', async (_, spoil) => {
    const coded = spoil(zlib.gzipSync(`${'x'.repeat(100)}${secret}`))
    world.https.answer = (_request, socket) => void socket.write(inChunks([coded], 'Content-Encoding: gzip\r\n'))
    const client = await open()
    await client.send(request())
    const heard = await client.response()
    client.destroy()
    if (typeof heard !== 'string') expect(heard.complete).toBe(false)
    await expect.poll(() => world.records.at(-1)?.reason).toBe('origin_unsearchable')
  })

  it.each<readonly [string, (body: string) => Buffer]>([
    ['gzip', zlib.gzipSync],
    ['deflate', zlib.deflateSync],
    ['br', zlib.brotliCompressSync],
    ['zstd', zlib.zstdCompressSync],
  ])(
    'an answer (%s) with more behind its end does not end as if it were whole, and is not waited for',
    async (coding, encode) => {
      const pieces = [encode(`said: ${secret}\n`), Buffer.from(secret)]
      for (const sent of [pieces, [Buffer.concat(pieces), Buffer.from(secret)]]) {
        world.https.answer = (_request, socket) => void socket.write(inChunks(sent, `Content-Encoding: ${coding}\r\n`))
        const before = world.records.length
        const client = await open()
        await client.send(request())
        const heard = await client.response()
        expect(JSON.stringify(heard)).not.toContain(secret)
        if (typeof heard !== 'string') expect(heard.complete && heard.status === 200).toBe(false)
        client.destroy()
        await expect.poll(() => world.records.length).toBe(before + 1)
        expect(world.records.at(-1)?.reason).toBe('origin_unsearchable')
      }
    },
  )

  it.each([
    ['HEAD', '200 OK', 'Content-Encoding: gzip\r\nContent-Length: 77\r\n'],
    ['GET', '304 Not Modified', 'Content-Encoding: gzip\r\n'],
    ['GET', '204 No Content', 'Content-Encoding: gzip\r\n'],
  ])('a %s that is answered with %s has no body to search', async (method, status, fields) => {
    world.https.answer = (_request, socket) => void socket.write(`HTTP/1.1 ${status}\r\n${fields}\r\n`)
    const client = await open()
    await client.send(request(method))
    const heard = await client.response({ bodiless: true })
    expect(heard).toMatchObject({ status: Number(status.slice(0, 3)) })
    world.https.answer = answerOk
    expect((await askOver(client, request())).body.toString()).toBe('ok\n')
    client.destroy()
  })
})

describe('where a rule says that ranges may be', () => {
  const part = (socket: NodeJS.WritableStream, body: string, more = ''): void => {
    const head = `HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-9/90\r\nContent-Length: ${body.length}\r\n${more}\r\n`
    socket.write(head + body)
  }

  it('they are asked for, and each part is searched', async () => {
    let sent: readonly string[] = []
    world.https.answer = (asked, socket) => {
      sent = asked.fields.map(([name, value]) => `${name.toLowerCase()}: ${value}`)
      part(socket, `<${secret}>`)
    }
    const heard = await exchange('GET', 'Range: bytes=0-9\r\nIf-Range: "a"\r\nAccept-Encoding: br\r\n', 'store.test')
    expect(sent.filter((line) => /range|encoding/.test(line)).sort()).toEqual([
      'accept-encoding: identity',
      'if-range: "a"',
      'range: bytes=0-9',
    ])
    expect(heard).toMatchObject({ status: 206, body: Buffer.from(`<${stars}>`) })
    expect(fieldOf(heard, 'content-range')).toBe('bytes 0-9/90')
  })

  it('a part of something coded is refused all the same', async () => {
    world.https.answer = (_, socket) => part(socket, 'abc', 'Content-Encoding: gzip\r\n')
    const heard = await exchange('GET', 'Range: bytes=0-9\r\n', 'store.test')
    expect(fieldOf(heard, 'x-egress-reason')).toBe('origin_unsearchable')
  })

  it('a stricter rule for the same request holds', async () => {
    world.https.answer = (_, socket) => part(socket, 'abc')
    const heard = await exchange('GET', 'Range: bytes=0-9\r\n', 'store.test', '/list')
    expect(fieldOf(heard, 'x-egress-reason')).toBe('origin_unsearchable')
  })
})
