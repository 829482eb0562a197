/** Invariants: deny by default; every request is judged; the string matched is the string sent. */

import { describe, expect, it } from 'vitest'
import { createWorld } from '../support/world.ts'
import { audited, nothingAllowed, policy, policyRules } from './hostile/policy.ts'
import { enter, runHostile, spotOf } from './hostile/runner.ts'

const dns = { '*.test': { a: ['127.0.0.1'] } }

runHostile('policy', { world: { rules: policyRules, dns }, cases: policy })

runHostile('a policy without rules', {
  world: { rules: () => [], dns },
  cases: nothingAllowed,
  honest: 'deny host_not_allowed',
})

runHostile('audit mode', { world: { rules: policyRules, dns, mode: 'audit' }, cases: audited })

describe('a session that repeats one refused request (decision 40)', () => {
  it('is answered every time, and its records add up to what was refused', async () => {
    const world = await createWorld({ rules: policyRules, dns })
    const session = await world.newSession()
    const spot = spotOf(world, session, 'proxy', 'evil.test')
    const clients = await Promise.all(Array.from({ length: 10 }, () => enter(world, session, 'proxy')))
    for (let round = 0; round < 12; round++) {
      await Promise.all(
        clients.map(async (client) => {
          await client.send(`GET ${spot.target('/')} HTTP/1.1\r\n${spot.lines}\r\n`)
          expect(await client.response()).toMatchObject({ status: 403 })
        }),
      )
    }
    for (const client of clients) client.destroy()
    expect(world.dns.queries).toEqual([])
    await world[Symbol.asyncDispose]()
    expect(world.records.length).toBeLessThan(120)
    expect(world.records.reduce((sum, { repeated }) => sum + repeated, 0)).toBe(120)
    expect(new Set(world.records.map(({ outcome, reason }) => `${outcome} ${reason}`))).toEqual(
      new Set(['deny host_not_allowed']),
    )
  })
})
