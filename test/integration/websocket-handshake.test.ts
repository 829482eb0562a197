import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { fieldOf } from '../support/raw-client.ts'
import { valuesOf } from '../support/strict-http.ts'
import { acceptFor, agree, frameOf } from '../support/websocket-peer.ts'
import { handshake, key, upgrade, linesOf, type Way, ways, WebSocketWorld } from '../support/websocket-world.ts'
import type { WorldSession } from '../support/world.ts'

const secret = 'sk-live-0123456789abcdef0123456789abcdef'
let sockets: WebSocketWorld
let session: WorldSession
let since: number

beforeAll(async () => {
  sockets = await WebSocketWorld.create({
    credentials: [{ name: 'model', kind: 'bearer', hosts: ['key.test'], secret: { env: 'MODEL_KEY' } }],
    secrets: { MODEL_KEY: secret },
    rules: ({ http, https }) => {
      const local = { ports: [http, https], addresses: ['127.0.0.0/8'], tls: 'intercept' }
      return [
        { host: 'good.test', ...local },
        { host: 'get.test', methods: ['GET'], ...local },
        { host: 'key.test', methods: ['WEBSOCKET'], ...local, ports: [https], credential: 'model' },
      ]
    },
  })
})
afterAll(() => sockets[Symbol.asyncDispose]())
beforeEach(async () => {
  session = await sockets.world.newSession()
  since = sockets.world.records.length
})
afterEach(async () => {
  for (const way of ways) sockets.originOf(way).answer = agree
  await session.revoke()
})

/** What becomes of a handshake that is refused, by us or by the origin; whether anything of it reached an origin. */
async function attempt(way: Way, lines: string, start?: string, host?: string, behind: string = '') {
  const { client, head, outer } = await sockets.reach(way, session, host)
  const asked = sockets.originOf(way).handshakes.length
  await client.send(head(lines, start) + behind)
  const heard = await client.response()
  if (typeof heard === 'string') expect.fail(heard)
  const ended = await client.closed(1000)
  outer.destroy()
  const records = sockets.world.records.slice(since).map(({ outcome, reason }) => `${outcome} ${reason ?? ''}`.trim())
  const reason = fieldOf(heard, 'x-egress-reason')
  return { status: heard.status, reason, ended, records, asked: sockets.originOf(way).handshakes.length - asked, heard }
}

describe.each(ways)('a handshake, %s,', (way) => {
  it('is refused where GET alone is allowed', async () => {
    expect(await attempt(way, handshake, undefined, 'get.test')).toMatchObject({
      status: 403,
      reason: 'method_not_allowed',
      records: ['deny method_not_allowed'],
      asked: 0,
    })
  })

  it.each<readonly [what: string, lines: string, start?: string | undefined, body?: string]>([
    ['without a key', `${upgrade}Sec-WebSocket-Version: 13\r\n`],
    ['with two keys', `${handshake}Sec-WebSocket-Key: ${key}\r\n`],
    ['with a key of 15 bytes', `${upgrade}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n`],
    ['with a key that is none', `${upgrade}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n`],
    ['without a version', `${upgrade}Sec-WebSocket-Key: ${key}\r\n`],
    ['of version 8', `${upgrade}Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 8\r\n`],
    ['of two versions', `${handshake}Sec-WebSocket-Version: 8\r\n`],
    ['with a body', `${handshake}Content-Length: 2\r\n`, undefined, '{}'],
    ['with a chunked body', `${handshake}Transfer-Encoding: chunked\r\n`, undefined, '0\r\n\r\n'],
    ['that expects', `${handshake}Expect: 100-continue\r\n`],
    ['with two Upgrade', `${handshake}Upgrade: h2c\r\n`],
    ['with two Upgrade, in the other order', `Upgrade: h2c\r\n${handshake}`],
    ['with POST', `${handshake}Content-Length: 0\r\n`, 'POST /chat HTTP/1.1'],
    ['of HTTP/1.0', handshake, 'GET /chat HTTP/1.0'],
    ['whose key Connection takes away', `Connection: Sec-WebSocket-Key\r\n${handshake}`],
  ])('%s is refused, nothing behind it is read', async (_what, lines = '', start, body) => {
    const behind = `${body ?? ''}GET /internal HTTP/1.1\r\nHost: good.test\r\n\r\n`
    expect(await attempt(way, lines, start, undefined, behind)).toMatchObject({
      status: 400,
      reason: 'malformed_request',
      ended: true,
      records: ['deny malformed_request'],
      asked: 0,
    })
  })

  it.each([
    ['Upgrade: h2c', 'Connection: Upgrade\r\nUpgrade: h2c\r\n'],
    ['a list of protocols', 'Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n'],
    ['Connection: notupgrade', 'Connection: notupgrade\r\nUpgrade: websocket\r\n'],
  ])('that is none (%s) is a GET without the upgrade', async (_what, lines) => {
    sockets.originOf(way).answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
    expect(await attempt(way, lines)).toMatchObject({ status: 200, ended: false, records: ['allow'], asked: 1 })
    const request = sockets.originOf(way).handshakes.at(-1)
    expect(request === undefined ? [] : valuesOf(request, 'upgrade')).toEqual([])
  })

  it.each([
    [426, 'HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nno'],
    [200, 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno'],
    [401, 'HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n'],
  ])('that the origin answers with %i has that answer, and what was sent ahead is no request', async (status, text) => {
    sockets.originOf(way).answer = () => text
    const behind = 'GET /internal HTTP/1.1\r\nHost: good.test\r\n\r\n'
    const seen = await attempt(way, handshake, undefined, undefined, behind)
    expect(seen).toMatchObject({ status, ended: true, records: ['allow'], asked: 1 })
    expect(seen.heard.body.toString()).toBe('no')
    expect(fieldOf(seen.heard, 'connection')).toBe('close')
  })

  const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n'
  const accept = `Sec-WebSocket-Accept: ${acceptFor(key)}\r\n`
  it.each([
    ['without a proof', `${switching}Upgrade: websocket\r\n`],
    ['with another proof', `${switching}Upgrade: websocket\r\nSec-WebSocket-Accept: ${acceptFor('x')}\r\n`],
    ['with two proofs', `${switching}Upgrade: websocket\r\n${accept}${accept}`],
    ['to another protocol', `${switching}Upgrade: h2c\r\n${accept}`],
    ['to two protocols', `${switching}Upgrade: websocket, h2c\r\n${accept}`],
    ['without an Upgrade', `HTTP/1.1 101 Switching Protocols\r\n${accept}`],
    ['with an extension nobody offered', `${switching}Upgrade: websocket\r\n${accept}Sec-WebSocket-Extensions: x\r\n`],
    ['with a subprotocol nobody offered', `${switching}Upgrade: websocket\r\n${accept}Sec-WebSocket-Protocol: x\r\n`],
  ])('that the origin takes %s fails', async (_what, text) => {
    sockets.originOf(way).answer = () =>
      Buffer.concat([Buffer.from(`${text}\r\n`), frameOf('text', Buffer.from('x'), false)])
    expect(await attempt(way, handshake)).toMatchObject({
      status: 502,
      reason: 'origin_malformed',
      records: ['failed origin_malformed'],
    })
  })

  it('that nobody asked for, and the origin takes, fails', async () => {
    sockets.originOf(way).answer = () => `${switching}Upgrade: websocket\r\n${accept}\r\n`
    expect(await attempt(way, '')).toMatchObject({ status: 502, records: [expect.stringMatching(/^failed origin_/)] })
  })

  it('hides what an origin may not say in a 101', async () => {
    sockets.originOf(way).answer = () =>
      `${switching}Upgrade: websocket\r\n${accept}Content-Length: 5\r\nProxy-Status: x\r\nX-Egress-Reason: x\r\nAlt-Svc: h3\r\nX-Kept: yes\r\n\r\n`
    const { client, head } = await sockets.reach(way, session)
    await client.send(head(handshake))
    const heard = await client.response()
    if (typeof heard === 'string') expect.fail(heard)
    expect(heard.fields.map(([name]) => name).toSorted()).toEqual([
      'connection',
      'sec-websocket-accept',
      'upgrade',
      'x-kept',
    ])
    client.destroy()
  })
})

describe('a handshake with a credential', () => {
  const asked = () => sockets.originOf('tls').handshakes.at(-1)
  const subprotocols = (value: string) => `${handshake}Sec-WebSocket-Protocol: ${value}\r\n`

  it('reaches the origin with the secret on it, and without extensions', async () => {
    const lines = `${subprotocols('chat')}Sec-WebSocket-Extensions: permessage-deflate\r\nCookie: a=b\r\n`
    sockets.originOf('tls').answer = (request, sent) =>
      `${agree(request, sent).toString().trimEnd()}\r\nSec-WebSocket-Protocol: chat\r\nSet-Cookie: won=1\r\n\r\n`
    const { client, origin, answer } = await sockets.open('tls', session, lines, 'key.test')
    expect(linesOf(asked()?.fields ?? [])).toEqual([
      'accept-encoding: identity',
      `authorization: Bearer ${secret}`,
      'connection: upgrade',
      `sec-websocket-key: ${key}`,
      'sec-websocket-protocol: chat',
      'sec-websocket-version: 13',
      'upgrade: websocket',
    ])
    expect(fieldOf(answer, 'sec-websocket-protocol')).toBe('chat')
    expect(fieldOf(answer, 'set-cookie')).toBeNull()
    client.socket.end()
    origin.socket.end()
    await expect
      .poll(() => sockets.world.records.slice(since))
      .toMatchObject([{ outcome: 'allow', status: 101, credentials: ['model'] }])
  })

  it('that the origin takes with an extension it was not offered fails', async () => {
    sockets.originOf('tls').answer = (request, sent) =>
      `${agree(request, sent).toString().trimEnd()}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n`
    const lines = `${handshake}Sec-WebSocket-Extensions: permessage-deflate\r\n`
    expect(await attempt('tls', lines, undefined, 'key.test')).toMatchObject({ status: 502 })
  })

  it.each([
    'realtime, openai-insecure-api-key.sk-mine',
    'v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.bWluZQ',
    'token, 0123456789',
    `chat, ${'x'.repeat(65)}`,
  ])('does not take an account of the client as a subprotocol: %s', async (value) => {
    expect(await attempt('tls', subprotocols(value), undefined, 'key.test')).toMatchObject({
      status: 403,
      reason: 'foreign_credential',
      records: ['deny foreign_credential'],
      asked: 0,
    })
  })

  it('of GET is none where only WEBSOCKET is allowed', async () => {
    expect(await attempt('tls', '', undefined, 'key.test')).toMatchObject({ reason: 'method_not_allowed', asked: 0 })
  })
})
