/** Doors of single sessions, opened and closed over the API while the gateway runs. */

import { once } from 'node:events'
import { access, mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fieldOf, RawClient, type RawResponse } from '../support/raw-client.ts'
import { createWorld, type World } from '../support/world.ts'

const secret = 'control-token-of-the-test-0123456789abcdef'
const pins = ['127.0.0.0/8']

let folder: string
let world: World
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'doors-'))
  world = await createWorld({
    rules: ({ https }) => [{ host: 'tunnel.test', ports: [https], addresses: pins }],
    dns: { 'tunnel.test': { a: ['127.0.0.1'] } },
    tokens: [
      { name: 'platform', scopes: ['admin'], secret: { env: 'CONTROL' } },
      { name: 'team-a', scopes: ['sessions'], secret: { env: 'TEAM' }, labels: { team: 'a' } },
    ],
    secrets: { CONTROL: secret, TEAM: `${secret}-a` },
    sessionDoors: { directory: folder, address: '127.0.0.1' },
  })
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

type Answer = { readonly status: number; readonly body: { readonly address: string; readonly proxyUrl: string | null } }

async function call(method: string, id: string, body?: object, token = secret): Promise<Answer> {
  const answer = await fetch(`http://127.0.0.1:${world.ports.control}/v1/sessions/${id}/listener`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  return { status: answer.status, body: JSON.parse(text === '' ? '{}' : text) as Answer['body'] }
}

async function enter(address: string): Promise<RawClient> {
  if (!address.startsWith('unix:')) return RawClient.connect(Number(address.split(':').at(-1)))
  const socket = net.connect({ path: address.slice(5), allowHalfOpen: true })
  await once(socket, 'connect')
  return new RawClient(socket)
}

async function about(client: RawClient): Promise<RawResponse> {
  await client.send('GET http://egress.local/ HTTP/1.1\r\nHost: egress.local\r\n\r\n')
  const heard = await client.response()
  return typeof heard === 'string' ? expect.fail(heard) : heard
}

describe.each(['port', 'unix'] as const)('a session with a %s of its own', (kind) => {
  it('is everyone who comes there, without a password, until it is closed; what came in is cut then', async () => {
    const { id } = await world.newSession()
    const { status, body } = await call('POST', id, { kind })
    expect(status).toBe(201)
    expect(body.proxyUrl).toBe(kind === 'unix' ? null : `http://${body.address}`)
    const client = await enter(body.address)
    expect((await about(client)).status).toBe(200)
    await expect.poll(() => world.records.at(-1)?.session).toBe(id)

    expect((await call('POST', id, { kind })).status).toBe(409)
    expect((await call('DELETE', id)).status).toBe(204)
    expect(await client.closed()).toBe(true)
    await expect(enter(body.address)).rejects.toThrow(/ECONNREFUSED|ENOENT/)
    expect((await call('DELETE', id)).status).toBe(409)
    expect((await call('POST', id, { kind })).status).toBe(201)
    await call('DELETE', id)
  })

  it('loses it when it ends, and a tunnel through it too', async () => {
    const session = await world.newSession()
    const { body } = await call('POST', session.id, { kind })
    const client = await enter(body.address)
    await client.send(`CONNECT tunnel.test:${world.ports.https} HTTP/1.1\r\n\r\n`)
    expect(await client.response({ bodiless: true })).toMatchObject({ status: 200 })
    const secure = await client.startTls({ servername: 'tunnel.test', ca: world.originCa.certificate })
    await session.revoke()
    expect(await secure.closed()).toBe(true)
    await expect
      .poll(() =>
        enter(body.address).then(
          () => 'open',
          () => 'closed',
        ),
      )
      .toBe('closed')
    if (kind === 'unix')
      await expect
        .poll(() =>
          access(join(folder, session.id)).then(
            () => 1,
            () => 0,
          ),
        )
        .toBe(0)
    expect((await call('POST', session.id, { kind })).status).toBe(404)
  })

  it('keeps it while its policy changes', async () => {
    const { id } = await world.newSession()
    const { body } = await call('POST', id, { kind })
    await world.gateway.sessions.book.patch(id, { policy: { inline: { rules: [{ host: 'other.test' }] } } })
    expect((await about(await enter(body.address))).status).toBe(200)
    await call('DELETE', id)
  })
})

describe('a listener of a session', () => {
  it('is opened only for sessions that the caller may see', async () => {
    const { id } = await world.newSession()
    expect((await call('POST', id, { kind: 'port' }, `${secret}-a`)).status).toBe(404)
    expect((await call('DELETE', id, undefined, `${secret}-a`)).status).toBe(404)
    expect((await call('POST', id, { kind: 'tcp' })).status).toBe(400)
    expect((await call('POST', id, { kind: 'port' }, 'nobody')).status).toBe(401)
  })

  it('is a door of our own, which no sandbox reaches through us', async () => {
    const { id } = await world.newSession()
    const { body } = await call('POST', id, { kind: 'port' })
    const port = body.address.split(':').at(-1)
    const inline = { rules: [{ host: '127.0.0.1', ports: [Number(port)], addresses: pins }] }
    await world.gateway.sessions.book.patch(id, { policy: { inline } })
    const client = await enter(body.address)
    await client.send(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\n\r\n`)
    const heard = await client.response()
    expect(typeof heard === 'string' ? heard : fieldOf(heard, 'x-egress-reason')).toBe('own_address')
    client.destroy()
    await call('DELETE', id)
  })

  it('is not opened twice by two calls at once', async () => {
    const { id } = await world.newSession()
    const both = await Promise.all([call('POST', id, { kind: 'port' }), call('POST', id, { kind: 'unix' })])
    expect(new Set(both.map(({ status }) => status))).toEqual(new Set([201, 409]))
    await call('DELETE', id)
  })
})
