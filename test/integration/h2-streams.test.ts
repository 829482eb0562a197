import { once } from 'node:events'
import http2 from 'node:http2'
import type net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import type { ExchangeRecord } from '../../src/exchange/record.ts'
import { answerOf, H2Client, tlsThrough } from '../support/h2-client.ts'
import { answerOk, type Answer } from '../support/raw-origin.ts'
import { until } from '../support/real-clients.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'

let world: World
let session: WorldSession
beforeAll(async () => {
  world = await createWorld({
    dns: { 'api.test': { a: ['127.0.0.1'] }, 'key.test': { a: ['127.0.0.1'] } },
    rules: ({ https }) => [
      {
        host: 'api.test',
        ports: [https],
        addresses: ['127.0.0.0/8'],
        methods: ['GET', 'HEAD', 'POST'],
        paths: ['/ok/**'],
      },
      { host: 'key.test', ports: [https], addresses: ['127.0.0.0/8'], credential: 'key' },
    ],
    credentials: [{ name: 'key', kind: 'bearer', hosts: ['key.test'], secret: { env: 'KEY' } }],
    secrets: { KEY: 'the-real-secret-0123456789' },
    limits: { exchangeIdleMs: 1500 },
  })
})
afterAll(() => world[Symbol.asyncDispose]())
beforeEach(async () => {
  session = await world.newSession()
  world.https.answer = answerOk
})

const records = (): ExchangeRecord[] => world.records.filter((record) => record.session === session.id)

async function recorded(count: number): Promise<ExchangeRecord[]> {
  await until(() => records().length >= count, `${count} records, ${records().length} came`)
  await delay(20)
  expect(records()).toHaveLength(count)
  return records()
}

const opened = async (of: World): Promise<H2Client> => H2Client.open(of, await of.newSession(), 'api.test')

const bytesOf = (length: number): Answer => {
  return (_request, socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`)
    socket.write(Buffer.alloc(length, 0x61))
  }
}

it('the client chooses: h2 before http/1.1 where it offers both, and each where it offers one', async () => {
  for (const [offered, chosen] of [
    [['http/1.1', 'h2'], 'h2'],
    [['h2'], 'h2'],
    [['http/1.1'], 'http/1.1'],
  ] as const) {
    const { secure, outer } = await tlsThrough(world, session, 'api.test', offered)
    expect(secure.alpnProtocol).toBe(chosen)
    outer.destroy()
  }
})

it('a request is judged, forwarded by HTTP/1.1 and recorded once', async () => {
  const client = await H2Client.open(world, session, 'api.test')
  const answer = await client.get('/ok/1?a=b', { 'x-a': 'b', cookie: 'c=d', te: 'trailers' })
  expect(answer).toMatchObject({ status: 200, code: 0 })
  expect(answer.body.toString()).toBe('ok\n')
  const request = world.https.connections.at(-1)?.reading().requests.at(-1)
  expect(request).toMatchObject({ method: 'GET', target: '/ok/1?a=b', framing: 'none' })
  expect(request?.fields.map(([name]) => name)).toEqual(['host', 'connection', 'x-a', 'cookie'])
  expect(await recorded(1)).toMatchObject([
    { kind: 'request', scheme: 'https', host: 'api.test', method: 'GET', path: '/ok/1', outcome: 'allow', status: 200 },
  ])
  client.close()
})

it('a credential is put on a stream as on any request', async () => {
  const client = await H2Client.open(world, session, 'key.test')
  expect((await client.get('/')).status).toBe(200)
  const request = world.https.connections.at(-1)?.reading().requests.at(-1)
  expect(request?.fields).toContainEqual(['authorization', 'Bearer the-real-secret-0123456789'])
  expect((await client.get('/', { authorization: 'Bearer mine' })).headers['x-egress-reason']).toBe(
    'foreign_credential',
  )
  client.close()
})

it('fifty streams at once, some allowed and some not, have a record each', async () => {
  const client = await H2Client.open(world, session, 'api.test')
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) => client.get(i % 2 === 0 ? `/ok/${i}` : `/no/${i}`)),
  )
  expect(answers.map(({ status }) => status)).toEqual(answers.map((_, i) => (i % 2 === 0 ? 200 : 403)))
  expect(answers[1]?.headers).toMatchObject({ 'x-egress-reason': 'path_not_allowed', 'x-egress-decision': 'deny' })
  expect(JSON.parse(answers[1]?.body.toString() ?? '')).toMatchObject({ reason: 'path_not_allowed' })
  const paths = (await recorded(50)).map(({ path, outcome }) => `${outcome} ${path}`)
  expect(new Set(paths).size).toBe(50)
  client.close()
})

it('bodies go through as they are, with a length and without, up and down', async () => {
  const client = await H2Client.open(world, session, 'api.test')
  world.https.answer = (request, socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Framing: ${request.framing}\r\n\r\n`)
    socket.write(`${request.body.length.toString(16)}\r\n`)
    socket.write(request.body)
    socket.write('\r\n0\r\nX-Trailer: told\r\n\r\n')
  }
  const body = Buffer.alloc(1_000_000, 'abcdefg')
  const chunked = await client.send('/ok/up', body)
  expect(chunked.headers).toMatchObject({ 'x-framing': 'chunked' })
  expect(chunked.body.equals(body)).toBe(true)
  expect(chunked.trailers).toMatchObject({ 'x-trailer': 'told' })
  const framed = await client.send('/ok/up', body, { 'content-length': body.length, expect: '100-continue' })
  expect(framed.headers).toMatchObject({ 'x-framing': 'length' })
  expect(framed.body.equals(body)).toBe(true)
  expect(framed.informational).toEqual([100])
  const [first] = await recorded(2)
  expect(first?.bytesUp).toBeGreaterThan(1_000_000)
  expect(first?.bytesDown).toBeGreaterThan(1_000_000)
  client.close()
})

it('an answer without a body has none', async () => {
  const client = await H2Client.open(world, session, 'api.test')
  world.https.answer = (request, socket) => {
    const status = request.target.slice('/ok/'.length)
    socket.write(
      `HTTP/1.1 ${status} X\r\n${request.method === 'HEAD' ? 'Content-Length: 5\r\n' : ''}Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n`,
    )
  }
  for (const [path, method] of [
    ['/ok/204', 'GET'],
    ['/ok/304', 'GET'],
    ['/ok/200', 'HEAD'],
  ] as const) {
    const answer = await client.get(path, { ':method': method })
    expect(answer).toMatchObject({ status: Number(path.slice(4)), body: Buffer.alloc(0), code: 0 })
    expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2'])
  }
  expect((await client.get('/no', { ':method': 'HEAD' })).status).toBe(403)
  client.close()
})

it('who reads one stream slowly does not stall the others, and is not read ahead for', async () => {
  const client = await H2Client.open(world, session, 'api.test')
  const length = 64 * 1024 * 1024
  const sockets: net.Socket[] = []
  world.https.answer = (request, socket, connection) => {
    if (request.target === '/ok/big') sockets.push(socket)
    bytesOf(request.target === '/ok/big' ? length : 100_000)(request, socket, connection)
  }
  const slow = client.stream('/ok/big')
  slow.pause()
  await once(slow, 'response')
  await delay(300)
  const quick = await Promise.all(Array.from({ length: 10 }, (_, i) => client.get(`/ok/${i}`)))
  expect(quick.every(({ body }) => body.length === 100_000)).toBe(true)
  const held = sockets[0]?.writableLength ?? 0
  expect(held).toBeGreaterThan(length / 2)
  slow.resume()
  const { body } = await answerOf(slow)
  expect(body.length).toBe(length)
  expect((await recorded(11)).every(({ outcome }) => outcome === 'allow')).toBe(true)
  client.close()
})

/** An origin that speaks TLS and nothing more, until it is told. */
function silentOrigin(): Promise<TLSSocket> {
  return new Promise((resolve) => {
    world.https.onConnection = (socket) => {
      world.https.onConnection = null
      const secure = new TLSSocket(socket, { isServer: true, secureContext: world.originCa.contextFor('api.test') })
      secure.on('error', () => undefined)
      secure.once('secure', () => resolve(secure))
    }
  })
}

it('an origin that takes its time is waited for by the upload, and by no other stream', async () => {
  const client = await H2Client.open(world, session, 'api.test')
  const origin = silentOrigin()
  const slow = client.stream('/ok/up', { ':method': 'POST' }, false)
  const piece = Buffer.alloc(65_536)
  let [offered, taken] = [0, 0]
  const write = (): void => {
    for (let goOn = true; goOn && offered < 32 * 1024 * 1024; offered += piece.length)
      goOn = slow.write(piece, (error) => (taken += error === undefined || error === null ? piece.length : 0))
  }
  slow.on('drain', write)
  write()
  const secure = await origin
  await delay(500)
  const held = taken
  expect(held).toBeLessThan(8 * 1024 * 1024)
  expect((await client.get('/ok/other')).status).toBe(200)
  let tail: Buffer = Buffer.alloc(0)
  secure.on('data', (bytes: Buffer) => (tail = bytes.subarray(-7)))
  await until(() => taken > held + 8 * 1024 * 1024, 'more of the upload')
  slow.close(http2.constants.NGHTTP2_CANCEL)
  await until(() => secure.readableEnded || secure.destroyed, 'the end of its request')
  // Not as if all of it had come.
  expect(tail.toString('latin1')).not.toContain('0\r\n\r\n')
  expect((await recorded(2)).map(({ outcome }) => outcome).toSorted()).toEqual(['abandoned', 'allow'])
  client.close()
})

it('a stream that the client resets ends its request to the origin, and nothing else', async () => {
  const client = await H2Client.open(world, session, 'api.test')
  const origin = silentOrigin()
  const doomed = client.stream('/ok/never')
  const secure = await origin
  secure.resume()
  const other = client.get('/ok/other')
  doomed.close(http2.constants.NGHTTP2_CANCEL)
  await until(() => secure.destroyed, 'the end of its request')
  expect((await other).status).toBe(200)
  const seen = await recorded(2)
  expect(seen.find(({ path }) => path === '/ok/never')).toMatchObject({ outcome: 'abandoned', status: null })
  client.close()
})

it('an origin that answers before the upload ends is heard, and the client told to stop', async () => {
  const client = await H2Client.open(world, session, 'api.test')
  const origin = silentOrigin()
  const stream = client.stream('/ok/up', { ':method': 'POST' }, false)
  stream.write('begin')
  const secure = await origin
  secure.once('data', () => secure.write('HTTP/1.1 413 Too Much\r\nContent-Length: 4\r\nConnection: close\r\n\r\nstop'))
  const answer = await answerOf(stream)
  expect(answer).toMatchObject({ status: 413, code: 0 })
  expect(answer.body.toString()).toBe('stop')
  expect((await client.get('/ok/other')).status).toBe(200)
  client.close()
})

it('an answer that breaks off ends its stream with an error, and no other', async () => {
  const client = await H2Client.open(world, session, 'api.test')
  world.https.answer = (request, socket, connection) => {
    if (request.target !== '/ok/short') return answerOk(request, socket, connection)
    socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n')
  }
  const [broken, whole] = await Promise.all([client.get('/ok/short'), client.get('/ok/whole')])
  expect(broken).toMatchObject({ status: 200, code: http2.constants.NGHTTP2_INTERNAL_ERROR })
  expect(whole).toMatchObject({ status: 200, code: 0 })
  expect((await recorded(2)).map(({ outcome }) => outcome).toSorted()).toEqual(['allow', 'failed'])
  client.close()
})

it('a stream in which nothing moves is ended alone, however lively the connection', async () => {
  const client = await H2Client.open(world, session, 'api.test')
  void silentOrigin().then((secure) => secure.resume())
  const stuck = client.stream('/ok/up', { ':method': 'POST' }, false)
  stuck.write('begin')
  const pings = setInterval(() => void client.session.ping(() => undefined), 100)
  const { code } = await answerOf(stuck)
  clearInterval(pings)
  expect(code).toBe(http2.constants.NGHTTP2_INTERNAL_ERROR)
  expect((await client.get('/ok/other')).status).toBe(200)
  const seen = await recorded(2)
  expect(seen.find(({ path }) => path === '/ok/up')).toMatchObject({ outcome: 'interrupted', status: null })
  client.close()
})

it('a session that is revoked ends every stream by a reset of its connection', async () => {
  const client = await H2Client.open(world, session, 'api.test')
  world.https.answer = (_request, socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na')
  const streams = [client.stream('/ok/1'), client.stream('/ok/2'), client.stream('/ok/3')]
  const ends = streams.map((stream) => answerOf(stream))
  await Promise.all(streams.map((stream) => once(stream, 'data')))
  const ended = Promise.withResolvers<unknown>()
  client.session.once('error', (error) => ended.resolve(error))
  client.session.once('close', () => ended.resolve('closed'))
  await session.revoke()
  expect(await ended.promise).toMatchObject({ code: 'ECONNRESET' })
  await Promise.all(ends)
  const seen = await recorded(3)
  expect(seen.map(({ outcome, detail }) => `${outcome} ${detail}`)).toEqual(
    Array.from({ length: 3 }, () => 'interrupted the session was revoked'),
  )
})

it('a client that leaves leaves with all its streams', async () => {
  const client = await H2Client.open(world, session, 'api.test')
  world.https.answer = (_request, socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na')
  const streams = [client.stream('/ok/1'), client.stream('/ok/2')]
  await Promise.all(streams.map((stream) => once(stream, 'data')))
  client.outer.destroy()
  expect((await recorded(2)).map(({ outcome }) => outcome)).toEqual(['abandoned', 'abandoned'])
})

it('what is between two requests for too long is told to go', async () => {
  await using quiet = await createWorld({
    dns: { 'api.test': { a: ['127.0.0.1'] } },
    rules: ({ https }) => [{ host: 'api.test', ports: [https], addresses: ['127.0.0.0/8'], tls: 'intercept' }],
    limits: { keepAliveMs: 700 },
  })
  const client = await H2Client.open(quiet, await quiet.newSession(), 'api.test')
  expect((await client.get('/')).status).toBe(200)
  await once(client.session, 'close')
  expect(client.goaway).toBe(http2.constants.NGHTTP2_NO_ERROR)
})

it('whoever is there when the gateway stops is told to go: what ends soon ends well, the rest is cut', async () => {
  await using ending = await createWorld({
    dns: { 'api.test': { a: ['127.0.0.1'] } },
    rules: ({ https }) => [{ host: 'api.test', ports: [https], addresses: ['127.0.0.0/8'], tls: 'intercept' }],
  })
  const [idle, brief, endless] = [await opened(ending), await opened(ending), await opened(ending)]
  expect((await idle.get('/')).status).toBe(200)
  const answers: net.Socket[] = []
  ending.https.answer = (_request, socket) => {
    answers.push(socket)
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbe')
  }
  const [soon, never] = [brief.stream('/brief'), endless.stream('/endless')]
  const [soonEnds, neverEnds] = [answerOf(soon), answerOf(never)]
  await once(soon, 'data')
  await once(never, 'data')
  const stopped = ending.gateway.stop()
  await until(() => [idle, brief, endless].every(({ goaway }) => goaway === 0), 'the word to go')
  answers[0]?.write('gun')
  expect((await soonEnds).body.toString()).toBe('begun')
  expect((await brief.get('/more')).status).toBe(0)
  await until(() => idle.session.destroyed && brief.session.destroyed, 'the end of what was through')
  expect(endless.session.destroyed).toBe(false)
  expect((await neverEnds).body.toString()).toBe('be')
  await stopped
  expect(idle.errors).toEqual([])
  expect(ending.records.map(({ path, outcome, detail }) => [path, outcome, detail])).toEqual([
    ['/', 'allow', null],
    ['/brief', 'allow', null],
    ['/endless', 'interrupted', 'the gateway stops'],
  ])
})
