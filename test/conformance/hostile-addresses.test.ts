/** Invariants: the vetted address is the dialled address; our own listeners and special addresses are out of reach. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { setTimeout as delay } from 'node:timers/promises'
import { createWorld, type World } from '../support/world.ts'
import { addressDns, addresses, addressRules } from './hostile/addresses.ts'
import { enter, runHostile, spotOf, textOf, until } from './hostile/runner.ts'
import type { Place } from './hostile/case.ts'

const dns = {
  ...addressDns,
  'own.test': { a: ['127.0.0.1'] },
  'own-tunnel.test': { a: ['127.0.0.1'] },
  'loopback.tunnel.test': { a: ['127.0.0.1'] },
}

runHostile('addresses', { world: { rules: addressRules, dns }, cases: addresses })

describe('a name that changes its address (IP-19)', () => {
  let world: World
  beforeAll(async () => {
    world = await createWorld({ rules: addressRules, dns: addressDns })
  })
  afterAll(() => world[Symbol.asyncDispose]())

  it.each(['proxy', 'tunnel', 'clear'] as const)(
    'is judged anew whenever it is asked for, %s',
    async (place: Place) => {
      const host = `rebinding-${place}.pinned.test`
      world.dns.set(host, [
        { a: ['127.0.0.1'], ttlSeconds: 0 },
        { a: ['10.0.0.5'], ttlSeconds: 0 },
      ])
      const session = await world.newSession()
      const client = await enter(world, session, place, host)
      const spot = spotOf(world, session, place, host)
      const before = world.records.length
      const get = `GET ${spot.target('/')} HTTP/1.1\r\n${spot.lines}\r\n`
      await client.send(get)
      expect(await client.response()).toMatchObject({ status: 200 })
      const asked = (): number => world.dns.queries.filter(({ name, type }) => name === host && type === 1).length
      expect(asked(), 'questions for one dial').toBe(1)
      await delay(1100)
      const connections = world.http.connections.length + world.https.connections.length
      await client.send(get)
      expect(await client.response()).toMatchObject({ status: 403 })
      expect(asked()).toBe(2)
      expect(world.http.connections.length + world.https.connections.length).toBe(connections)
      await until(() => world.records.length >= before + 2)
      expect(world.records.slice(before).map(textOf)).toEqual(['allow', 'deny address_not_allowed'])
      expect(world.records.slice(before)[0]?.address).toBe(`127.0.0.1:${spot.port}`)
      client.destroy()
    },
  )

  it('is asked for as an absolute name, without search domains (IP-21)', () => {
    for (const { name } of world.dns.queries) expect(name).toMatch(/\.(?:pinned|private)\.test$|^good\.test$/)
  })
})
