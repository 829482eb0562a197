/** Invariants: secrets go only to their host, over verified TLS, in their place, and nowhere sideways; hop-by-hop ends here. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createWorld, type World, type WorldSession } from '../support/world.ts'
import type { Place } from './hostile/case.ts'
import { canary, fields, fieldsWorld } from './hostile/fields.ts'
import { enter, goodRule, runHostile, spotOf } from './hostile/runner.ts'

runHostile('fields', { world: fieldsWorld, cases: fields })

describe('a secret', () => {
  let world: World
  beforeAll(async () => {
    world = await createWorld({ rules: goodRule('good.test'), ...fieldsWorld })
  })
  afterAll(() => world[Symbol.asyncDispose]())

  it('is in no record, log line or metric after it was used (SEC-16, SEC-17)', async () => {
    const session = await world.newSession()
    const client = await enter(world, session, 'tunnel', 'strip.test')
    const spot = spotOf(world, session, 'tunnel', 'strip.test')
    await client.send(`GET /?access_token=${canary} HTTP/1.1\r\n${spot.lines}Authorization: Bearer ${canary}\r\n\r\n`)
    expect(await client.response()).toMatchObject({ status: 200 })
    client.destroy()
    const audit = await world.auditText()
    const { text } = await world.gateway.telemetry.metricsText()
    expect(audit).toContain('strip.test')
    for (const place of [audit, text, world.logged.join('\n')])
      for (const form of [canary, Buffer.from(canary).toString('base64'), Buffer.from(canary).toString('hex')])
        expect(place).not.toContain(form)
  })
})

// SEC-20. What a session holds is known only once the session is there, so these are no rows of the corpus.
describe('a placeholder', () => {
  let world: World
  let session: WorldSession
  let held: (name: string) => string
  beforeAll(async () => {
    world = await createWorld({ rules: goodRule('good.test'), ...fieldsWorld })
    session = await world.newSession()
    const { credentials } = world.gateway.sessions
    const placeholders = credentials.placeholdersFor(session.id, new Map(credentials.names().map((one) => [one, one])))
    held = (name) => placeholders.get(name) ?? expect.fail(`no placeholder for ${name}`)
  })
  afterAll(() => world[Symbol.asyncDispose]())

  /** The status, the reason, and the requests that reached an origin. */
  async function send(place: Place, host: string, path: string, lines: string) {
    const connections = () => [...world.http.connections, ...world.https.connections]
    const before = new Map(connections().map((one) => [one, one.reading().requests.length]))
    const client = await enter(world, session, place, host)
    const spot = spotOf(world, session, place, host)
    await client.send(`GET ${spot.target(path)} HTTP/1.1\r\n${spot.lines}${lines}\r\n`)
    const answer = await client.response()
    client.destroy()
    if (typeof answer === 'string') return expect.fail(answer)
    const reason = answer.fields.find(([name]) => name.toLowerCase() === 'x-egress-reason')?.[1]
    const seen = connections().flatMap((one) => one.reading().requests.slice(before.get(one) ?? 0))
    return { status: answer.status, reason, seen }
  }

  const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`

  it('is swapped in the listed places', async () => {
    const mine = held('swap')
    for (const [path, line, swapped] of [
      ['/', `X-Api-Key: ${mine}\r\n`, canary],
      ['/', `Authorization: ${basic(`x-access-token:${mine}`)}\r\n`, basic(`x-access-token:${canary}`)],
      [`/?a=1&key=${mine}`, '', `key=${canary}`],
    ] as const) {
      const { status, seen } = await send('tunnel', 'swap.test', path, line)
      expect(status).toBe(200)
      const text = JSON.stringify(seen)
      expect(text).toContain(swapped)
      expect(text).not.toContain(mine)
    }
  })

  it('is refused in any other, at any host, and goes nowhere', async () => {
    const mine = held('swap')
    for (const [place, host, path, line] of [
      ['tunnel', 'swap.test', '/', `X-Forwarded-For: ${mine}\r\n`],
      ['tunnel', 'swap.test', '/', `X-Api-Key: ${mine}\r\nUser-Agent: ${mine}\r\n`],
      ['tunnel', 'swap.test', `/${mine}`, ''],
      ['tunnel', 'swap.test', `/?q=${mine}`, ''],
      ['tunnel', 'asked.test', '/', `Authorization: Bearer ${mine}\r\n`],
      ['tunnel', 'good.test', '/', `Authorization: Bearer ${mine}\r\n`],
      ['tunnel', 'good.test', '/', `Authorization: ${basic(`x:${mine}`)}\r\n`],
      ['proxy', 'good.test', `/?q=%${mine.charCodeAt(0).toString(16)}${mine.slice(1)}`, ''],
      ['clear', 'good.test', '/', `Referer: https://a.test/?key=${mine}\r\n`],
    ] as const)
      expect(await send(place, host, path, line)).toEqual({ status: 403, reason: 'placeholder_elsewhere', seen: [] })
  })

  it('is the access key that a signature may be of, and no secret key leaves', async () => {
    const scope = (key: string): string => `${key}/20261121/us-east-1/s3/aws4_request`
    const signature = '0'.repeat(64)
    const authorization = `AWS4-HMAC-SHA256 Credential=${scope(held('aws'))}, SignedHeaders=host, Signature=${signature}`
    const lines = `X-Amz-Date: 20261121T120000Z\r\nAuthorization: ${authorization}\r\n`
    const presigned = `/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${encodeURIComponent(scope(held('aws')))}&X-Amz-Date=20261121T120000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=${signature}`
    for (const [path, line, wanted] of [
      ['/', lines, `Credential=${scope('AKIAIOSFODNN7EXAMPLE')}`],
      [presigned, '', `X-Amz-Credential=${encodeURIComponent(scope('AKIAIOSFODNN7EXAMPLE'))}`],
    ] as const) {
      const { status, seen } = await send('tunnel', 'aws.test', path, line)
      expect(status).toBe(200)
      const text = JSON.stringify(seen)
      expect(text).toContain(wanted)
      for (const gone of [held('aws'), signature, canary]) expect(text).not.toContain(gone)
    }
    const streamed = `${lines}X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD\r\n`
    const refusal = { status: 403, reason: 'unsignable_request', seen: [] }
    expect(await send('tunnel', 'aws.test', '/', streamed)).toEqual(refusal)
    const theirs = lines.replace(held('aws'), 'AKIAATTACKER00000000')
    expect(await send('tunnel', 'aws.test', '/', theirs)).toMatchObject({ reason: 'foreign_credential', seen: [] })
    expect(await send('tunnel', 'swap.test', '/', lines)).toMatchObject({ reason: 'placeholder_elsewhere', seen: [] })
  })

  it('is what a credential may require', async () => {
    const { status, seen } = await send('tunnel', 'asked.test', '/', `Authorization: Bearer ${held('asked')}\r\n`)
    expect(status).toBe(200)
    expect(JSON.stringify(seen)).toContain(`Bearer ${canary}`)
  })
})
