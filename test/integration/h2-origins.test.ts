import { once } from 'node:events'
import http2 from 'node:http2'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ExchangeRecord } from '../../src/exchange/record.ts'
import { answerOf, H2Client, tlsThrough } from '../support/h2-client.ts'
import { type H2Origin, startH2Origin } from '../support/h2-origin.ts'
import { RawClient, type RawResponse } from '../support/raw-client.ts'
import { until } from '../support/real-clients.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'

let world: World
let only: H2Origin
let both: H2Origin
let session: WorldSession
beforeAll(async () => {
  only = await startH2Origin({ allowHTTP1: false })
  both = await startH2Origin({ allowHTTP1: true })
  world = await createWorld({
    dns: { 'api.test': { a: ['127.0.0.1'] } },
    rules: () => [{ host: 'api.test', ports: [only.port, both.port], addresses: ['127.0.0.0/8'], tls: 'intercept' }],
    limits: { exchangeIdleMs: 2500, originHeadTimeoutMs: 800 },
  })
  only.ca = world.originCa
  both.ca = world.originCa
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  await only[Symbol.asyncDispose]()
  await both[Symbol.asyncDispose]()
})
beforeEach(async () => {
  session = await world.newSession()
  for (const origin of [only, both]) origin.handler = (_request, response) => void response.end('ok\n')
})

const records = (): ExchangeRecord[] => world.records.filter((record) => record.session === session.id)

async function recorded(count: number): Promise<ExchangeRecord[]> {
  await until(() => records().length >= count, `${count} records, ${records().length} came`)
  await delay(20)
  expect(records()).toHaveLength(count)
  return records()
}

const open = (origin: H2Origin): Promise<H2Client> => H2Client.open(world, session, 'api.test', {}, origin.port)

/** A client of HTTP/1.1, inside a tunnel of its own. */
async function openOld(origin: H2Origin): Promise<RawClient> {
  const { secure, outer } = await tlsThrough(world, session, 'api.test', ['http/1.1'], origin.port)
  return new RawClient(secure, outer)
}

async function ask(client: RawClient, origin: H2Origin, more: string = '', body: string = ''): Promise<RawResponse> {
  const method = body === '' ? 'GET' : 'POST'
  await client.send(`${method} /a?b=c HTTP/1.1\r\nHost: api.test:${origin.port}\r\n${more}\r\n${body}`)
  const heard = await client.response()
  if (typeof heard === 'string') throw new Error(heard)
  return heard
}

const echo = (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse): void => {
  response.setHeader('x-version', request.httpVersion)
  response.setHeader('x-length', request.headers['content-length'] ?? 'none')
  response.setHeader('x-te', request.headers['te'] ?? 'none')
  request.pipe(response)
}

describe('each side speaks what it can', () => {
  it.each([
    ['HTTP/2 alone', 'h2', () => only, '2.0'],
    ['HTTP/2 alone', 'http/1.1', () => only, '2.0'],
    ['both', 'h2', () => both, '2.0'],
    ['both', 'http/1.1', () => both, '1.1'],
  ] as const)('an origin of %s, a client of %s', async (_name, protocol, of, version) => {
    const origin = of()
    origin.handler = echo
    const body = 'abcdefg'.repeat(100_000)
    if (protocol === 'h2') {
      const client = await open(origin)
      const [unknown, known] = [
        await client.send('/a?b=c', body),
        await client.send('/a', body, { 'content-length': body.length }),
      ]
      expect(unknown).toMatchObject({ status: 200, code: 0, headers: { 'x-version': version, 'x-length': 'none' } })
      expect(known.headers).toMatchObject({ 'x-length': String(body.length) })
      expect(unknown.body.toString() === body && known.body.toString() === body).toBe(true)
      client.close()
    } else {
      const client = await openOld(origin)
      for (const answer of [
        await ask(client, origin, `Content-Length: ${body.length}\r\n`, body),
        await ask(client, origin, 'TE: trailers\r\nTransfer-Encoding: chunked\r\n', `aae60\r\n${body}\r\n0\r\n\r\n`),
      ]) {
        expect([answer.status, answer.reason]).toEqual([200, 'OK'])
        expect(Object.fromEntries(answer.fields)).toMatchObject({ 'x-version': version })
        expect(answer.body.toString() === body).toBe(true)
      }
      client.socket.destroy()
    }
    for (const record of await recorded(2)) {
      expect(record).toMatchObject({
        outcome: 'allow',
        status: 200,
        host: 'api.test',
        address: `127.0.0.1:${origin.port}`,
      })
      expect(record.bytesUp).toBeGreaterThan(body.length)
      expect(record.bytesDown).toBeGreaterThan(body.length)
    }
  })
})

describe('behind the body of a request', () => {
  /** What an origin hears there, and what it was told would come. */
  const hear = (origin: H2Origin): Promise<{ readonly announced: string; readonly trailers: object }> =>
    new Promise((resolve) => {
      origin.handler = (request, response) => {
        request.resume().on('end', () => {
          resolve({
            announced: request.headers['trailer'] ?? '',
            trailers: Object.fromEntries(Object.entries(request.trailers)),
          })
          response.end('ok')
        })
      }
    })
  const names = 'X-Sum, x-more, Authorization, X-Api_Key, Host, Content-Length, Cookie, X-Forwarded-For, Connection'
  const sent: Record<string, string> = {
    'x-sum': 'abc',
    'x-more': 'd',
    'x-not-announced': 'e',
    authorization: 'Bearer mine',
    x_api_key: 'mine',
    cookie: 'a=b',
    'x-forwarded-for': '1.1.1.1',
  }

  it('what was announced goes on in HTTP/2, and nothing that would be judged in front', async () => {
    const heard = hear(only)
    const client = await open(only)
    const stream = client.session.request(
      { ':method': 'POST', ':path': '/up', ':authority': client.authority, trailer: names },
      { waitForTrailers: true },
    )
    stream.on('wantTrailers', () => stream.sendTrailers(sent))
    stream.end('body')
    expect(await answerOf(stream)).toMatchObject({ status: 200, code: 0 })
    expect(await heard).toEqual({ announced: 'x-sum, x-more', trailers: { 'x-sum': 'abc', 'x-more': 'd' } })
    await recorded(1)
    client.close()
  })

  it('a client of HTTP/1.1 may say it too', async () => {
    const heard = hear(only)
    const client = await openOld(only)
    const lines = Object.entries(sent).map(([name, value]) => `${name}: ${value}\r\n`)
    const more = `Trailer: ${names.replace(', Content-Length', '').replace(', Host', '')}\r\nTransfer-Encoding: chunked\r\n`
    expect(await ask(client, only, more, `4\r\nbody\r\n0\r\n${lines.join('')}X-Sum: f\r\n\r\n`)).toMatchObject({
      status: 200,
    })
    expect(await heard).toEqual({ announced: 'x-sum, x-more', trailers: { 'x-sum': 'abc, f', 'x-more': 'd' } })
    client.socket.destroy()
  })

  it('what was not announced, or did not come, is nothing', async () => {
    const client = await open(only)
    for (const trailer of [{}, { trailer: 'x-other' }]) {
      const heard = hear(only)
      const stream = client.session.request(
        { ':method': 'POST', ':path': '/up', ':authority': client.authority, ...trailer },
        { waitForTrailers: true },
      )
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'abc' }))
      stream.end('body')
      expect(await answerOf(stream)).toMatchObject({ status: 200, code: 0 })
      expect((await heard).trailers).toEqual({})
    }
    client.close()
  })
})

describe('an origin of HTTP/2', () => {
  it('hears of forty requests on one connection, which is of this session alone', async () => {
    const before = only.connections
    const client = await open(only)
    const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => client.get(`/${i}`)))
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    expect(only.connections - before).toBe(1)
    const stranger = await H2Client.open(world, await world.newSession(), 'api.test', {}, only.port)
    expect((await stranger.get('/')).status).toBe(200)
    expect(only.connections - before).toBe(2)
    stranger.close()
    client.close()
    await recorded(40)
  })

  it('answers with trailers, which go to whoever can take them', async () => {
    only.handler = (_request, response) => {
      response.write('body')
      response.addTrailers({ 'x-sum': 'abc', 'set-cookie': 'a=b', 'x-egress-decision': 'deny' })
      response.end()
    }
    const client = await open(only)
    const { trailers, body } = await client.get('/')
    expect(body.toString()).toBe('body')
    expect(Object.entries(trailers ?? {})).toEqual([['x-sum', 'abc']])
    client.close()
    const old = await openOld(only)
    await old.send(`GET / HTTP/1.1\r\nHost: api.test:${only.port}\r\nTE: trailers\r\n\r\n`)
    await until(() => old.unread.includes('\r\n0\r\n'), 'the end')
    expect(old.unread.toString().endsWith('\r\n0\r\nx-sum: abc\r\n\r\n')).toBe(true)
    expect((await ask(await openOld(only), only)).body.toString()).toBe('body')
    old.socket.destroy()
  })

  it('answers with a head that is its own end', async () => {
    only.handler = (_request, response) => response.stream.respond({ ':status': 200, 'x-a': 'b' }, { endStream: true })
    const client = await open(only)
    const stream = client.stream('/')
    const [, flags] = (await once(stream, 'response')) as unknown[]
    expect(Number(flags) & 1).toBe(1)
    const old = await openOld(only)
    expect(await ask(old, only)).toMatchObject({ status: 200, complete: true })
    old.socket.destroy()
    client.close()
  })

  it('that breaks off leaves nothing that looks whole, and the other streams alone', async () => {
    only.handler = (request, response) => {
      if (request.url !== '/broken') return void response.end('ok\n')
      response.write('begin')
      setTimeout(() => response.stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR), 50)
    }
    const client = await open(only)
    const [broken, whole] = await Promise.all([client.get('/broken'), client.get('/whole')])
    expect(broken.code).toBe(http2.constants.NGHTTP2_INTERNAL_ERROR)
    expect(whole).toMatchObject({ status: 200, code: 0 })
    const old = await openOld(only)
    await old.send(`GET /broken HTTP/1.1\r\nHost: api.test:${only.port}\r\n\r\n`)
    expect(await old.closed()).toBe(true)
    expect(old.unread.includes('0\r\n\r\n')).toBe(false)
    expect((await recorded(3)).map(({ outcome, reason }) => `${outcome} ${reason}`).toSorted()).toEqual([
      'allow null',
      'failed origin_closed',
      'failed origin_closed',
    ])
    client.close()
  })

  it('that goes away is asked again on another connection, and nobody notices', async () => {
    const client = await open(only)
    expect((await client.get('/')).status).toBe(200)
    const seen: string[] = []
    only.handler = (request, response) => {
      seen.push(request.url)
      response.end('ok\n')
    }
    const old = only.sessions.at(-1)
    // Whatever is sent from here on was not looked at.
    old?.goaway(http2.constants.NGHTTP2_NO_ERROR, 1)
    expect(await client.get('/again')).toMatchObject({ status: 200, code: 0 })
    expect(only.sessions.at(-1)).not.toBe(old)
    expect(seen).toEqual(['/again'])
    client.close()
    await recorded(2)
  })

  it('whose connection is lost under a request is asked again where that is harmless', async () => {
    const client = await open(only)
    expect((await client.get('/')).status).toBe(200)
    let asked = 0
    only.handler = (request, response) => {
      asked++
      if (asked === 1 || request.method === 'PUT') request.stream.session?.destroy()
      else response.end('ok\n')
    }
    expect((await client.get('/lost')).status).toBe(200)
    expect(asked).toBe(2)
    expect((await client.send('/lost', 'a', { ':method': 'PUT' })).status).toBe(502)
    expect(asked).toBe(3)
    client.close()
    await recorded(3)
  })

  it('that says nothing is waited for so long, and no request after it goes there', async () => {
    let silent = true
    only.handler = (_request, response) => {
      if (!silent) response.end('ok\n')
    }
    const client = await open(only)
    expect((await client.get('/')).status).toBe(504)
    const old = only.sessions.at(-1)
    silent = false
    expect((await client.get('/')).status).toBe(200)
    expect(only.sessions.at(-1) === old).toBe(false)
    expect((await recorded(2)).map(({ reason }) => reason)).toEqual(['origin_timeout', null])
    client.close()
  })

  it('is held back by who reads slowly, and by that stream alone', async () => {
    let sent = 0
    const piece = Buffer.alloc(65_536, 'a')
    const length = 32 * 1024 * 1024
    only.handler = (request, response) => {
      if (request.url !== '/big') return void response.end('ok\n')
      const write = (): void => {
        for (let goOn = true; goOn && sent < length; ) {
          goOn = response.write(piece)
          sent += piece.length
        }
        if (sent >= length) response.end()
      }
      response.on('drain', write)
      write()
    }
    const client = await open(only)
    const slow = client.stream('/big')
    slow.pause()
    await once(slow, 'response')
    await delay(300)
    const held = sent
    expect(held).toBeLessThan(4 * 1024 * 1024)
    expect(
      (await Promise.all(Array.from({ length: 10 }, (_, i) => client.get(`/${i}`)))).every((one) => one.status === 200),
    ).toBe(true)
    await delay(100)
    expect(sent).toBe(held)
    slow.resume()
    expect((await answerOf(slow)).body.length).toBe(length)
    client.close()
    await recorded(11)
  })

  it('holds back an upload, and answers before its end', async () => {
    let pauseUntil: () => void = () => undefined
    only.handler = (request, response) => {
      request.pause()
      if (request.url === '/early') {
        response.statusCode = 413
        response.end('stop')
      } else pauseUntil = () => request.pipe(response)
    }
    const client = await open(only)
    const early = client.stream('/early', { ':method': 'POST' }, false)
    early.write('begin')
    expect(await answerOf(early)).toMatchObject({ status: 413, code: 0 })

    const slow = client.stream('/slow', { ':method': 'POST' }, false)
    const length = 8 * 1024 * 1024
    let taken = 0
    for (let i = 0; i < length; i += 65_536)
      slow.write(Buffer.alloc(65_536), (error) => (taken += error === undefined || error === null ? 65_536 : 0))
    slow.end()
    await delay(400)
    expect(taken).toBeLessThan(4 * 1024 * 1024)
    pauseUntil()
    expect((await answerOf(slow)).body.length).toBe(length)
    client.close()
    await recorded(2)
  })

  it('hears of a stream that the client gives up, and keeps its connection', async () => {
    const before = only.connections
    const ended = Promise.withResolvers<number>()
    only.handler = (request, response) => {
      if (request.url !== '/given-up') return void response.end('ok\n')
      request.stream.once('close', () => ended.resolve(request.stream.rstCode))
      response.write('begin')
    }
    const client = await open(only)
    const stream = client.stream('/given-up')
    await once(stream, 'data')
    stream.close(http2.constants.NGHTTP2_CANCEL)
    expect(await ended.promise).not.toBe(0)
    expect((await client.get('/')).status).toBe(200)
    expect(only.connections - before).toBe(1)
    client.close()
    expect((await recorded(2)).map(({ outcome }) => outcome)).toEqual(['abandoned', 'allow'])
  })

  it('hears of an upload not one byte more once it is cut off', async () => {
    let heard = 0
    const stalled = Promise.withResolvers<http2.Http2ServerRequest>()
    const ended = Promise.withResolvers<unknown>()
    only.handler = (request) => {
      request.on('aborted', () => ended.resolve('aborted'))
      request.on('end', () => ended.resolve('end'))
      request.once('data', () => {
        request.pause()
        stalled.resolve(request)
      })
    }
    const client = await open(only)
    const stream = client.stream('/up', { ':method': 'POST' }, false)
    stream.write(Buffer.alloc(4 * 1024 * 1024))
    const request = await stalled.promise
    const upstream = only.sessions.at(-1)
    await delay(200)
    await session.revoke()
    request.on('data', (piece: Buffer) => (heard += piece.length))
    await until(() => upstream?.destroyed === true, 'the end of its connection')
    expect(await ended.promise).toBe('aborted')
    // No more than the window of the stream, which was there before.
    expect(heard).toBeLessThan(1024 * 1024)
    expect((await recorded(1))[0]).toMatchObject({ outcome: 'interrupted', detail: 'the session was revoked' })
  })

  it('is cut off with the session', async () => {
    only.handler = (_request, response) => void response.write('begin')
    const client = await open(only)
    const stream = client.stream('/')
    await once(stream, 'data')
    const upstream = only.sessions.at(-1)
    const ended = Promise.withResolvers<Error>()
    upstream?.once('error', (error) => ended.resolve(error))
    await session.revoke()
    // By a reset: not by an end, after which what waited would still be read.
    expect(await ended.promise).toMatchObject({ code: 'ECONNRESET' })
    await until(() => upstream?.destroyed === true, 'the end of its connection')
    expect((await recorded(1))[0]).toMatchObject({ outcome: 'interrupted', detail: 'the session was revoked' })
  })
})
