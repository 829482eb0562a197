/** Invariants: secrets go only to their host, over verified TLS, in their place, and nowhere sideways; hop-by-hop ends here. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createWorld, type World } from '../support/world.ts'
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
