/** WebSockets on streams of HTTP/2 (RFC 8441), beside whatever else is on their connection. */

import { once } from 'node:events'
import http2 from 'node:http2'
import { addAbortSignal } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { answerOf, H2Client } from '../support/h2-client.ts'
import { fieldOf } from '../support/raw-client.ts'
import { acceptFor, agree, closeOf, frameOf, WebSocketPeer } from '../support/websocket-peer.ts'
import { askFor, handshake, linesOf, WebSocketWorld } from '../support/websocket-world.ts'
import type { WorldSession } from '../support/world.ts'

const secret = 'sk-live-0123456789abcdef0123456789abcdef'
let sockets: WebSocketWorld
let session: WorldSession
let client: H2Client
let since: number
let asked: number
beforeAll(async () => {
  sockets = await WebSocketWorld.create({
    limits: { exchangeIdleMs: 30_000 },
    credentials: [{ name: 'model', kind: 'bearer', hosts: ['key.test'], secret: { env: 'MODEL_KEY' } }],
    secrets: { MODEL_KEY: secret },
    rules: ({ https }) => {
      const local = { ports: [https], addresses: ['127.0.0.0/8'], tls: 'intercept' }
      return [
        { host: 'good.test', ...local },
        { host: 'get.test', methods: ['GET'], ...local },
        { host: 'key.test', methods: ['WEBSOCKET'], ...local, credential: 'model' },
      ]
    },
  })
})
afterAll(() => sockets[Symbol.asyncDispose]())
beforeEach(async () => {
  session = await sockets.world.newSession()
  client = await H2Client.open(sockets.world, session, 'good.test')
  since = sockets.world.records.length
  asked = origin().handshakes.length
})
afterEach(async () => {
  origin().answer = agree
  client.close()
  await session.revoke()
})

const origin = () => sockets.originOf('tls')
const recorded = () => sockets.world.records.slice(since)
const version = { 'sec-websocket-version': '13' }

const extended = (more: http2.OutgoingHttpHeaders = version): http2.OutgoingHttpHeaders => ({
  ':method': 'CONNECT',
  ':protocol': 'websocket',
  ':scheme': 'https',
  ...more,
})

/** One that stands, and its two ends. */
async function stand(on: H2Client = client) {
  const stood = origin().peers.length
  const { stream, answer } = await askFor(on, handshake)
  const theirs = origin().peers[stood]
  if (theirs === undefined) expect.fail(`no WebSocket: ${answer.status}`)
  return { stream, ours: new WebSocketPeer(stream, { masks: true }), theirs }
}

describe('a handshake on a stream', () => {
  type How = { readonly body?: Buffer; readonly ends?: true }
  it.each<[what: string, more: http2.OutgoingHttpHeaders, how: How]>([
    ['without a version', {}, {}],
    ['of version 8', { 'sec-websocket-version': '8' }, {}],
    ['of two versions', { 'sec-websocket-version': '13, 8' }, {}],
    ['with a body', { ...version, 'content-length': '2' }, { body: Buffer.from('{}') }],
    ['that expects', { ...version, expect: '100-continue' }, {}],
    ['that is the end of its stream', version, { ends: true }],
    ['to what is none', { ...version, ':protocol': 'connect-udp' }, {}],
    ['to WebSocket in other letters', { ...version, ':protocol': 'WebSocket' }, {}],
    ['to another authority', { ...version, ':authority': 'evil.test' }, {}],
    ['to another scheme', { ...version, ':scheme': 'http' }, {}],
  ])('%s is refused: one record, no connection, and the next request is served', async (_what, more, how) => {
    const stream = client.stream('/chat', extended(more), how.ends ?? false)
    if (how.body !== undefined) stream.write(how.body)
    const answer = await answerOf(stream)
    expect([400, 421]).toContain(answer.status)
    expect(recorded()).toMatchObject([{ outcome: 'deny', status: answer.status }])
    expect(origin().handshakes.length).toBe(asked)
    expect((await stand()).ours.end).toBe('open')
  })

  it('says in words that nothing but WebSocket is spoken', async () => {
    const answer = await answerOf(client.stream('/chat', extended({ ':protocol': 'connect-ip' }), false))
    expect(answer.headers).toMatchObject({ ':status': 400, 'x-egress-reason': 'malformed_request' })
    expect(recorded()[0]?.detail).toBe('extended CONNECT to something else than a WebSocket')
  })

  it('is refused where GET alone is allowed', async () => {
    const other = await H2Client.open(sockets.world, session, 'get.test')
    const answer = await answerOf(other.stream('/chat', extended(), false))
    expect(answer).toMatchObject({ status: 403, code: 0, headers: { 'x-egress-reason': 'method_not_allowed' } })
    expect(recorded()).toMatchObject([{ outcome: 'deny', method: 'WEBSOCKET', path: '/chat', status: 403 }])
    other.close()
  })

  it.each([
    [426, 'HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nno'],
    [401, 'HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n'],
    [302, 'HTTP/1.1 302 Found\r\nLocation: https://evil.test/\r\nContent-Length: 2\r\n\r\nno'],
  ])('that the origin answers with %i has that answer, and what was sent ahead goes nowhere', async (status, text) => {
    origin().answer = () => text
    const stream = client.stream('/chat', extended(), false)
    stream.write(frameOf('text', Buffer.from('GET /internal HTTP/1.1\r\n\r\n'), true))
    const answer = await answerOf(stream)
    expect(answer).toMatchObject({ status, code: 0 })
    expect(answer.body.toString()).toBe('no')
    expect(recorded()).toMatchObject([{ outcome: 'allow', status }])
    expect(origin().handshakes.length).toBe(asked + 1)
    for (const { received } of sockets.world.https.connections)
      expect(received.toString('latin1')).not.toContain('internal')
  })

  const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n'
  it.each([
    ['200', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno'],
    ['204', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['299', 'HTTP/1.1 299 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n'],
    ['101 without a proof', `${switching}Upgrade: websocket\r\n\r\n`],
    ['101 of another key', `${switching}Upgrade: websocket\r\nSec-WebSocket-Accept: ${acceptFor('x')}\r\n\r\n`],
  ])('that the origin answers with %s fails: no 2xx, since that would be a yes', async (_what, text) => {
    origin().answer = () => text
    const answer = await answerOf(client.stream('/chat', extended(), false))
    expect(answer).toMatchObject({ status: 502, headers: { 'x-egress-reason': 'origin_malformed' } })
    expect(recorded()).toMatchObject([{ outcome: 'failed', reason: 'origin_malformed', status: 502 }])
  })

  it('has a key of ours, another one each time, whatever the client sends', async () => {
    const keys = new Set<string>()
    for (const more of [version, version, { ...version, 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' }]) {
      const stream = client.stream('/chat', extended(more), false)
      await once(stream, 'response')
      for (const [name, value] of origin().handshakes.at(-1)?.fields ?? [])
        if (name === 'sec-websocket-key') keys.add(value)
      stream.close()
    }
    expect(keys.size).toBe(3)
    expect(keys).not.toContain('dGhlIHNhbXBsZSBub25jZQ==')
  })

  it('with a credential reaches the origin with the secret on it, and without extensions and cookies', async () => {
    origin().answer = (request, sent) =>
      `${agree(request, sent).toString().trimEnd()}\r\nSec-WebSocket-Protocol: chat\r\nSet-Cookie: won=1\r\n\r\n`
    const lines = `${handshake}Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\nCookie: a=b\r\n`
    const opened = await sockets.open('h2', session, lines, 'key.test')
    expect(linesOf(origin().handshakes.at(-1)?.fields ?? [])).toEqual([
      'accept-encoding: identity',
      `authorization: Bearer ${secret}`,
      'connection: upgrade',
      expect.stringMatching(/^sec-websocket-key: /),
      'sec-websocket-protocol: chat',
      'sec-websocket-version: 13',
      'upgrade: websocket',
    ])
    expect(fieldOf(opened.answer, 'sec-websocket-protocol')).toBe('chat')
    expect(fieldOf(opened.answer, 'set-cookie')).toBeNull()
    opened.client.socket.end()
    opened.origin.socket.end()
    await expect.poll(recorded).toMatchObject([{ outcome: 'allow', status: 200, credentials: ['model'] }])
  })

  it('does not take an account of the client as a subprotocol', async () => {
    const other = await H2Client.open(sockets.world, session, 'key.test')
    const more = { ...version, 'sec-websocket-protocol': 'realtime, openai-insecure-api-key.sk-mine' }
    const answer = await answerOf(other.stream('/chat', extended(more), false))
    expect(answer.headers).toMatchObject({ ':status': 403, 'x-egress-reason': 'foreign_credential' })
    other.close()
  })
})

describe('a WebSocket on a stream', () => {
  it('takes what the client sends ahead of the answer for frames', async () => {
    const stood = origin().peers.length
    const stream = client.stream('/chat', extended(), false)
    stream.write(frameOf('text', Buffer.from('early'), true))
    await once(stream, 'response')
    expect(await origin().peers[stood]?.next()).toMatchObject({ opcode: 'text', payload: Buffer.from('early') })
    stream.close()
  })

  it('stands beside others, and beside requests, and each ends alone', async () => {
    const all = await Promise.all(Array.from({ length: 5 }, async () => askFor(client, handshake)))
    const ours = all.map(({ stream }) => new WebSocketPeer(stream, { masks: true }))
    const theirs = origin().peers.slice(-5)
    for (const [i, one] of ours.entries()) one.send('text', `to ${i}`)
    const heard = await Promise.all(theirs.map((one) => one.next()))
    expect(heard.map((one) => (typeof one === 'string' ? one : one.payload.toString())).toSorted()).toEqual(
      ours.map((_, i) => `to ${i}`),
    )
    // By CANCEL alone; `close` would end it first.
    if (all[0] !== undefined) addAbortSignal(AbortSignal.abort(), all[0].stream)
    await expect.poll(() => theirs.map(({ end }) => end).toSorted()).toEqual(['open', 'open', 'open', 'open', 'reset'])
    const gone = theirs.find(({ end }) => end === 'open')
    gone?.socket.destroy()
    await expect.poll(() => ours.filter(({ end }) => end !== 'open').length).toBe(2)
    for (const one of theirs) if (one.end === 'open') one.send('text', 'still')
    const living = ours.filter(({ end }) => end === 'open')
    expect(living.length).toBe(3)
    for (const one of living) expect(await one.next()).toMatchObject({ opcode: 'text' })
    for (const one of ours) if (one.end === 'fin') one.socket.end()
    await expect.poll(() => recorded().length).toBe(2)
    for (const one of recorded()) expect(one).toMatchObject({ outcome: 'allow', status: 200 })
  })

  it('of an origin that breaks off is reset, not ended', async () => {
    const { stream, ours, theirs } = await stand()
    theirs.send('text', 'x')
    await ours.next()
    const raw = sockets.world.https.connections.at(-1)?.socket
    raw?.resetAndDestroy()
    expect(await ours.next()).toBe('reset')
    expect(stream.rstCode).toBe(http2.constants.NGHTTP2_CANCEL)
  })

  it('ends in halves: who has said its last word may still hear', async () => {
    const { ours, theirs } = await stand()
    theirs.socket.end()
    expect(await ours.next()).toBe('fin')
    ours.send('text', 'late')
    expect(await theirs.next()).toMatchObject({ payload: Buffer.from('late') })
    ours.socket.end()
    expect(await theirs.next()).toBe('fin')
    await expect.poll(recorded).toMatchObject([{ outcome: 'allow', status: 200, reason: null }])
  })

  it('of a session that ends hears why, with every other on its connection', async () => {
    const [one, two] = [await stand(), await stand()]
    await session.revoke()
    for (const { ours } of [one, two]) {
      expect(closeOf(await ours.next())).toBe('1008 the session was revoked')
      expect(await ours.next()).toBe('reset')
    }
    await expect.poll(recorded).toMatchObject([{ outcome: 'interrupted' }, { outcome: 'interrupted' }])
  })

  it('that a client chatters on is no flood', async () => {
    const { ours, theirs } = await stand()
    let bytes = 0
    theirs.socket.on('data', (piece: Buffer) => (bytes += piece.length))
    const frame = frameOf('text', Buffer.from('x'), true)
    const count = 30_000
    for (let i = 0; i < count; i++) {
      if (!ours.sendRaw(frame)) await once(ours.socket, 'drain')
    }
    await expect.poll(() => bytes, { timeout: 15_000 }).toBe(count * frame.length)
    // Longer than the sweep that looks for floods.
    await delay(1200)
    expect(ours.end).toBe('open')
    expect(client.goaway).toBeNull()
  })

  it('that stalls holds nothing else back', async () => {
    const [slow, quick] = [await stand(), await stand()]
    slow.ours.socket.pause()
    const message = Buffer.alloc(1_000_000)
    for (let i = 0; i < 40; i++) slow.theirs.send('binary', message)
    await delay(500)
    const waits = slow.theirs.socket.writableLength
    expect(waits).toBeGreaterThan(20_000_000)
    for (let i = 0; i < 20; i++) {
      quick.ours.send('text', 'ask')
      expect(await quick.theirs.next()).toMatchObject({ payload: Buffer.from('ask') })
      quick.theirs.send('text', 'answer')
      expect(await quick.ours.next()).toMatchObject({ payload: Buffer.from('answer') })
    }
    expect(slow.theirs.socket.writableLength).toBe(waits)
    slow.ours.socket.resume()
    await expect.poll(() => slow.ours.bytesIn, { timeout: 15_000 }).toBeGreaterThan(40_000_000)
  })
})

it('a gateway that stops says so on each', async () => {
  await using ending = await WebSocketWorld.create({
    rules: ({ https }) => [{ host: 'good.test', ports: [https], addresses: ['127.0.0.0/8'], tls: 'intercept' }],
  })
  const opened = await ending.open('h2', await ending.world.newSession())
  const stopped = ending.world.gateway.stop()
  expect(closeOf(await opened.client.next())).toBe('1001 the proxy ends')
  expect(await opened.client.next()).toBe('reset')
  await stopped
  expect(ending.world.records).toMatchObject([{ outcome: 'interrupted', detail: 'the gateway stops', status: 200 }])
})
