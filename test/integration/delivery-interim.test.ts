import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RawClient, type RawResponse } from '../support/raw-client.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'

let world: World
let session: WorldSession
let authority: string

beforeEach(async () => {
  world = await createWorld({
    limits: { firstBytesTimeoutMs: 15_000, handshakeTimeoutMs: 15_000, headTimeoutMs: 15_000 },
    rules: ({ http }) => [{ host: 'good.test', ports: [http], addresses: ['127.0.0.0/8'], tls: 'intercept' }],
    dns: { 'good.test': { a: ['127.0.0.1'] } },
  })
  session = await world.newSession()
  authority = `good.test:${world.ports.http}`
})
afterEach(() => world[Symbol.asyncDispose]())

async function send(client: RawClient, method = 'GET', more = '', body = ''): Promise<void> {
  const proof = `Proxy-Authorization: ${session.authorization}\r\n`
  await client.send(`${method} http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\n${proof}${more}\r\n${body}`)
}

async function exchange(method = 'GET', more = '', body = ''): Promise<RawResponse> {
  const client = await RawClient.connect(world.ports.proxy)
  await send(client, method, more, body)
  const heard = await client.response({ bodiless: method === 'HEAD' })
  client.destroy()
  return typeof heard === 'string' ? expect.fail(heard) : heard
}

describe('an answer', () => {
  it('with 1xx before it arrives with them, each at once and without what an origin may not say', async () => {
    const { promise: heard, resolve: goOn } = Promise.withResolvers<void>()
    world.http.answer = (_request, socket) => {
      socket.write(
        'HTTP/1.1 103 Early Hints\r\nLink: <x>\r\nContent-Length: 9\r\nAlt-Svc: h3\r\nX-Egress-Reason: x\r\nConnection: X-Hop\r\nX-Hop: x\r\n\r\n',
      )
      void heard.then(() =>
        socket.write('HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'),
      )
    }
    const client = await RawClient.connect(world.ports.proxy)
    await send(client)
    await expect.poll(() => client.unread.toString('latin1')).toBe('HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n')
    goOn()
    expect(await client.response()).toMatchObject({ status: 200, informational: [103, 102], complete: true })
    client.destroy()
    expect(world.records).toMatchObject([{ outcome: 'allow', status: 200 }])
  })

  it('with 1xx before it arrives without them at a client of HTTP/1.0, which knows none', async () => {
    world.http.answer = (_request, socket) =>
      void socket.write('HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    const client = await RawClient.connect(world.ports.proxy)
    await client.send(
      `GET http://${authority}/ HTTP/1.0\r\nHost: ${authority}\r\nProxy-Authorization: ${session.authorization}\r\n\r\n`,
    )
    expect(await client.response()).toMatchObject({ status: 200, informational: [] })
    client.destroy()
  })

  it('of eleven 1xx is a flood', async () => {
    world.http.answer = (_request, socket) =>
      void socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(11) + 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    expect(await exchange()).toMatchObject({ status: 502 })
    expect(world.records).toMatchObject([{ outcome: 'failed', reason: 'origin_malformed' }])
  })

  it('has one 100 before it where the client expects one: ours', async () => {
    world.http.answer = (_request, socket) =>
      void socket.write('HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    expect(await exchange('POST', 'Content-Length: 2\r\nExpect: 100-continue\r\n', 'ok')).toMatchObject({
      status: 200,
      informational: [100, 103],
    })
  })

  // RFC 9110 §10.1.1: to no one who did not ask. The HTTP client below us gives such a connection up.
  it('behind a 100 that nobody asked for is no answer: 502', async () => {
    world.http.answer = (_request, socket) =>
      void socket.write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    expect(await exchange('POST', 'Content-Length: 2\r\n', 'ok')).toMatchObject({ status: 502 })
  })
})
