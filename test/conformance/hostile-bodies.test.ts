/** Invariants: what a body carries is judged before any of it leaves, on every path; the rules' own fields always go out. */

import zlib from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createWorld, type World, type WorldSession } from '../support/world.ts'
import { bodies, bodiesWorld, canary } from './hostile/bodies.ts'
import { enter, goodRule, runHostile, spotOf } from './hostile/runner.ts'

runHostile('bodies', { world: bodiesWorld, cases: bodies })

// SEC-20. What a session holds is known only once the session is there, so these are no rows of the corpus.
describe('a placeholder in a body', () => {
  let world: World
  let session: WorldSession
  let mine: string
  beforeAll(async () => {
    world = await createWorld({ rules: goodRule('good.test'), ...bodiesWorld })
    session = await world.newSession()
    const { credentials } = world.gateway.sessions
    mine = credentials.placeholdersFor(session.id, new Map([['swap', 'swap']])).get('swap') ?? expect.fail()
  })
  afterAll(() => world[Symbol.asyncDispose]())

  /** The status, the reason, and the bodies that reached the origin. */
  async function send(host: string, body: Buffer | string, lines = 'Content-Type: application/json\r\n') {
    const before = new Map(world.https.connections.map((one) => [one, one.reading().requests.length]))
    const client = await enter(world, session, 'tunnel', host)
    const { lines: fixed } = spotOf(world, session, 'tunnel', host)
    const head = `POST / HTTP/1.1\r\n${fixed}${lines}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n`
    await client.send(Buffer.concat([Buffer.from(head), Buffer.from(body)]))
    const answer = await client.response()
    client.destroy()
    if (typeof answer === 'string') return expect.fail(answer)
    const reason = answer.fields.find(([name]) => name.toLowerCase() === 'x-egress-reason')?.[1] ?? null
    const seen = world.https.connections.flatMap((one) => one.reading().requests.slice(before.get(one) ?? 0))
    return { status: answer.status, reason, seen: seen.map((one) => one.body.toString()) }
  }

  const passed = (body: string) => ({ status: 200, reason: null, seen: [body] })

  it('is swapped where its credential says so, and the body framed anew', async () => {
    const text = (key: string): string => `{"a":"\\u00e9","api_key" : "${key}","b":[1]}`
    expect(await send('swap.test', text(mine))).toEqual(passed(text(canary)))
    expect(await send('swap.test', `{"api_key":"${mine}","api_key":"${mine}"}`)).toEqual(
      passed(`{"api_key":"${canary}","api_key":"${canary}"}`),
    )
  })

  it('is swapped in what is coded, which goes on uncoded, and without what was said of its bytes', async () => {
    const lines = 'Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-MD5: x\r\n'
    expect(await send('swap.test', zlib.gzipSync(`{"api_key":"${mine}"}`), lines)).toEqual(
      passed(`{"api_key":"${canary}"}`),
    )
    const fields = world.https.connections
      .at(-1)
      ?.reading()
      .requests.at(-1)
      ?.fields.map(([name]) => name.toLowerCase())
    expect(fields).toContain('content-type')
    for (const name of ['content-encoding', 'content-md5']) expect(fields).not.toContain(name)
    const plain = zlib.gzipSync(`{"note":"${mine}"}`)
    expect((await send('swap.test', plain, lines)).seen).toEqual([plain.toString()])
    await expect.poll(() => world.records.at(-1)?.bodyPlaceholders).toBe(1)
  })

  it('goes on as it is anywhere else, and is worth nothing there', async () => {
    for (const body of [
      `{"api_key":"Bearer ${mine}"}`,
      `{"messages":[{"api_key":"${mine}"}]}`,
      `{"API_KEY":"${mine}"}`,
      `[{"api_key":"${mine}"}]`,
      `{"note":"${mine}"}`,
    ])
      expect(await send('swap.test', body)).toEqual(passed(body))
    await expect.poll(() => world.records.at(-1)?.bodyPlaceholders).toBe(1)
    expect(await send('good.test', `{"api_key":"${mine}"}`)).toEqual(passed(`{"api_key":"${mine}"}`))
    const form = `api_key=${mine}`
    expect(await send('swap.test', form, 'Content-Type: application/x-www-form-urlencoded\r\n')).toEqual(passed(form))
  })

  it('in a token of the client is a foreign one where it stands as a key', async () => {
    const encode = (text: string): string => Buffer.from(text).toString('base64url')
    const token = `Bearer ${encode('{"alg":"none"}')}.${encode(JSON.stringify({ iss: mine, sub: 'attacker' }))}.x`
    const { reason, seen } = await send('swap.test', JSON.stringify({ access_token: token }))
    expect([reason, seen]).toEqual(['foreign_credential', []])
  })

  it('of another credential is a foreign one where it stands as a key', async () => {
    expect(await send('pinned.test', `{"api_key":"${mine}"}`)).toEqual({
      status: 403,
      reason: 'foreign_credential',
      seen: [],
    })
  })
})
