/** Secrets that come with a session (decision 7), from the call that brings them to the origin that gets them. */

import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { CreatedSession, SessionView } from '../../src/control/schemas.ts'
import { askOver, inChunks, openIntercepted } from '../support/intercepted-client.ts'
import { createWorld, type World } from '../support/world.ts'

const shared = 'sk-shared-0123456789abcdef'
const own = 'sk-own-fedcba9876543210'
const newer = 'sk-newer-fedcba9876543210'

let world: World
let adminToken = ''
let seen: string[] = []

beforeAll(async () => {
  world = await createWorld({
    limits: { firstBytesTimeoutMs: 15_000, handshakeTimeoutMs: 15_000, headTimeoutMs: 15_000 },
    credentials: [
      { name: 'account', kind: 'bearer', secret: { env: 'KEY' }, hosts: ['api.test'] },
      { name: 'tenant', kind: 'header', header: 'x-api-key', secret: { session: 'required' }, hosts: ['tenant.test'] },
      { name: 'spare', kind: 'bearer', secret: { env: 'KEY' }, hosts: ['api.test'] },
    ],
    secrets: { KEY: shared },
    rules: () => [],
    dns: { 'api.test': { a: ['127.0.0.1'] }, 'tenant.test': { a: ['127.0.0.1'] } },
  })
  adminToken = (await readFile(world.gateway.adminTokenPath ?? '', 'utf8')).trim()
})
beforeEach(() => {
  seen = []
  world.https.answer = (request, socket) => {
    const got = request.fields.find(([name]) => /^(?:authorization|x-api-key)$/i.test(name))?.[1] ?? 'nothing'
    seen.push(got.replace(/^Bearer /, ''))
    socket.write(inChunks([Buffer.from(`you sent ${got}`)]))
  }
})
afterAll(() => world[Symbol.asyncDispose]())

async function call(method: string, path: string, body?: object) {
  const response = await fetch(`http://${world.gateway.control}${path}`, {
    method,
    headers: { authorization: `Bearer ${adminToken}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, text, body: JSON.parse(text === '' ? '{}' : text) as CreatedSession & SessionView }
}

async function make(credentials: object) {
  const at = { ports: [world.ports.https], addresses: ['127.0.0.0/8'] }
  const policy = {
    rules: [
      { host: 'api.test', credential: 'account', ...at },
      { host: 'tenant.test', credential: 'tenant', ...at },
    ],
  }
  const made = await call('POST', '/v1/sessions', { policy, credentials })
  expect(made.status, made.text).toBe(201)
  const pair = Buffer.from(`${made.body.id}:${made.body.token}`).toString('base64')
  return { ...made.body, text: made.text, authorization: `Basic ${pair}`, path: `/v1/sessions/${made.body.id}` }
}

async function get(session: { readonly authorization: string }, host = 'api.test') {
  const client = await openIntercepted(world, session, host)
  const answer = await askOver(client, `GET / HTTP/1.1\r\nHost: ${host}:${world.ports.https}\r\n\r\n`)
  client.destroy()
  return answer
}

describe('a secret that comes with a session', () => {
  it('is put on for that session only, and masked in what comes back', async () => {
    const [one, other] = [await make({ account: { value: own } }), await make({})]
    const answer = await get(one)
    expect(answer.body.toString()).toBe(`you sent Bearer ${'*'.repeat(own.length)}`)
    await get(other)
    expect(seen).toEqual([own, shared])
  })

  it('is changed for the next request, and given up for the configured one', async () => {
    const session = await make({ account: { value: own } })
    const client = await openIntercepted(world, session, 'api.test')
    const ask = () => askOver(client, `GET / HTTP/1.1\r\nHost: api.test:${world.ports.https}\r\n\r\n`)
    await ask()
    const patched = await call('PATCH', session.path, { credentials: { account: { value: newer } } })
    expect([patched.status, patched.body.ownSecrets]).toEqual([200, ['account']])
    await ask()
    await call('PATCH', session.path, { ttlSeconds: 60 })
    await ask()
    const back = await call('PATCH', session.path, { credentials: { account: null } })
    expect(back.body).toMatchObject({ ownSecrets: [], credentials: { account: 'account' } })
    await ask()
    expect(seen).toEqual([own, newer, newer, shared])
    client.destroy()
  })

  it('is needed where the configuration leaves it to the session', async () => {
    const [without, withOne] = [await make({}), await make({ tenant: { value: own } })]
    const answer = await get(without, 'tenant.test')
    expect([answer.status, answer.body.toString()]).toEqual([503, expect.stringContaining('secret_unavailable')])
    expect((await get(withOne, 'tenant.test')).status).toBe(200)
    expect(seen).toEqual([own])
  })

  it('falls away when another credential takes its place', async () => {
    const session = await make({ account: { value: own } })
    const patched = await call('PATCH', session.path, { credentials: { account: 'spare' } })
    expect(patched.body).toMatchObject({ ownSecrets: [], credentials: { account: 'spare' } })
    const again = await call('PATCH', session.path, { credentials: { account: 'account' } })
    expect(again.body.ownSecrets).toEqual([])
  })

  it('makes the same call again the same, and another value another', async () => {
    const body = { policy: { rules: [{ host: 'api.test', credential: 'account' }] } }
    const create = async (value: string) => {
      const response = await fetch(`http://${world.gateway.control}/v1/sessions`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${adminToken}`,
          'content-type': 'application/json',
          'idempotency-key': 'with-secret',
        },
        body: JSON.stringify({ ...body, credentials: { account: { value } } }),
      })
      await response.text()
      return response.status
    }
    expect([await create(own), await create(own), await create(newer)]).toEqual([201, 201, 422])
  })

  const refused: readonly (readonly [what: string, credentials: object, status: number, code: string])[] = [
    ['for a credential the policy does not use', { spare: { value: own } }, 422, 'credential_unknown'],
    ['that is too short', { account: { value: 'sk-short' } }, 422, 'secret_invalid'],
    ['with a line break', { account: { value: `${own}\r\nx: y` } }, 422, 'secret_invalid'],
    ['with a host of its own', { account: { value: own, hosts: ['evil.test'] } }, 400, 'invalid_request'],
    ['written where a name belongs', { account: 'sk-own-fedcba9876543210' }, 422, 'credential_unknown'],
  ]
  it.each(refused)('%s is refused without being repeated', async (_what, credentials, status, code) => {
    const rules = [{ host: 'api.test', credential: 'account' }]
    const answer = await call('POST', '/v1/sessions', { policy: { rules }, credentials })
    expect([answer.status, JSON.parse(answer.text)]).toEqual([status, expect.objectContaining({ code })])
    expect(answer.text).not.toMatch(/sk-(?:own|short)/)
  })

  it('is nowhere but with the origin: no answer, no log, no record, no metric, nothing stored', async () => {
    const session = await make({ account: { value: own }, tenant: { value: newer } })
    await get(session)
    await get(session, 'tenant.test')
    const texts = [
      session.text,
      (await call('GET', session.path)).text,
      (await call('GET', '/v1/sessions?limit=1000')).text,
      (await call('GET', '/v1/decisions')).text,
      (await call('POST', `${session.path}/token`)).text,
      (await world.gateway.telemetry.metricsText()).text,
      JSON.stringify(world.gateway.sessions.book.get(session.id)?.stored),
      world.logged.join('\n'),
      await world.auditText(),
    ]
    for (const text of texts) expect(text).not.toMatch(/fedcba9876543210|c2std3du|ZmVkY2Jh/)
  })
})
