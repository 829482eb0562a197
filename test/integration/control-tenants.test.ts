/** Two teams on one gateway: whatever one of them asks, it is told nothing of the other. */

import { request } from 'node:http'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { calls } from '../../src/control/openapi-calls.ts'
import type { CreatedSession } from '../../src/control/schemas.ts'
import { createWorld, type World } from '../support/world.ts'

const secrets = { A: 'a'.repeat(32), B: 'b'.repeat(32), ALL: 'p'.repeat(32) }
type Who = keyof typeof secrets

const teamOf = (name: string, env: string) => ({
  name: `team-${name}`,
  scopes: ['sessions' as const],
  secret: { env },
  labels: { team: name },
  ceiling: { policies: ['inline'], modes: ['enforce' as const] },
})

let world: World
let made: Readonly<Record<'A' | 'B', CreatedSession>>
beforeAll(async () => {
  world = await createWorld({
    rules: () => [],
    secrets,
    tokens: [teamOf('a', 'A'), teamOf('b', 'B'), { name: 'platform', scopes: ['admin'], secret: { env: 'ALL' } }],
  })
  made = { A: await make('A'), B: await make('B') }
})
afterAll(() => world[Symbol.asyncDispose]())

function ask(as: Who, method: string, path: string, body?: object): Promise<Response> {
  return fetch(`http://${world.gateway.control}${path}`, {
    method,
    headers: { authorization: `Bearer ${secrets[as]}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  })
}

async function make(as: 'A' | 'B'): Promise<CreatedSession> {
  const policy = { rules: [{ host: `only-${as.toLowerCase()}.test` }] }
  const response = await ask(as, 'POST', '/v1/sessions', { policy })
  expect(response.status).toBe(201)
  return (await response.json()) as CreatedSession
}

/** A request that is denied, which is a decision of its session. */
async function walk(as: 'A' | 'B'): Promise<void> {
  const { id, token } = made[as]
  const host = `denied-${as.toLowerCase()}.test`
  const proof = Buffer.from(`${id}:${token}`).toString('base64')
  const headers = { host, 'proxy-authorization': `Basic ${proof}` }
  const sent = request({ host: '127.0.0.1', port: world.ports.proxy, path: `http://${host}/`, headers }).end()
  const [response] = (await once(sent, 'response')) as [{ statusCode: number; resume: () => void }]
  response.resume()
  expect(response.statusCode).toBe(403)
}

const traces = (as: 'A' | 'B'): readonly string[] => {
  const name = as.toLowerCase()
  return [made[as].id, made[as].token, `denied-${name}.test`, `only-${name}.test`, `"team":"${name}"`]
}

async function expectNothingOf(other: 'A' | 'B', response: Response): Promise<void> {
  const text = await response.text()
  for (const trace of traces(other)) expect(text).not.toContain(trace)
}

describe.each([
  ['A', 'B'],
  ['B', 'A'],
] as const)('team %s', (as, other) => {
  it('is told nothing of the other, whichever call it makes', async () => {
    await walk(as)
    await walk(other)
    const own = await (await ask(as, 'GET', '/v1/decisions')).text()
    expect(own).toContain(`denied-${as.toLowerCase()}.test`)
    for (const [path, methods] of Object.entries(calls)) {
      if (path === '/v1/decisions/stream') continue
      const to = path.replace('{id}', made[other].id).replace('{name}', 'npm')
      for (const [method, call] of Object.entries(methods)) {
        const body = bodyFor(call.id, made[other].id)
        const response = await ask(as, method.toUpperCase(), to, body)
        if (path.includes('{id}') || call.id === 'explain') expect(response.status, `${method} ${path}`).toBe(404)
        else if (call.id === 'createSession') await ask(as, 'DELETE', response.headers.get('location') ?? '')
        await expectNothingOf(other, response)
      }
    }
    for (const query of [`session=${made[other].id}`, `host=denied-${other.toLowerCase()}.test`])
      expect(await (await ask(as, 'GET', `/v1/decisions?${query}`)).json()).toEqual({ decisions: [] })
    expect((await ask(other, 'GET', `/v1/sessions/${made[other].id}`)).status).toBe(200)
  })

  it('hears nothing of the other', async () => {
    const abort = new AbortController()
    const response = await fetch(`http://${world.gateway.control}/v1/decisions/stream`, {
      headers: { authorization: `Bearer ${secrets[as]}` },
      signal: abort.signal,
    })
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    const listening = (async () => {
      for (let piece = await reader?.read(); piece?.done === false; piece = await reader?.read()) text += piece.value
    })().catch(() => null)
    await walk(other)
    await walk(as)
    while (!text.includes('event: decision')) await sleep(5)
    for (const trace of traces(other)) expect(text).not.toContain(trace)
    abort.abort()
    await listening
  })

  it('makes no session of the other, nor a key of it', async () => {
    const labels = { team: other.toLowerCase() }
    expect((await ask(as, 'POST', '/v1/sessions', { policy: { rules: [] }, labels })).status).toBe(403)
    const policy = { extends: ['npm'], rules: [] }
    expect((await ask(as, 'POST', '/v1/sessions', { policy })).status).toBe(403)
  })
})

it('an admin without labels sees both', async () => {
  const text = await (await ask('ALL', 'GET', '/v1/sessions')).text()
  for (const { id } of Object.values(made)) expect(text).toContain(id)
})

function bodyFor(call: string, id: string): object | undefined {
  if (call === 'createSession') return { policy: { rules: [] } }
  if (call === 'changeSession') return { ttlSeconds: 60 }
  if (call === 'putPolicy') return { rules: [] }
  if (call === 'openListener') return { kind: 'unix' }
  if (call === 'explain') return { session: id, url: 'https://a.test/' }
  return undefined
}
