/** Invariant: what an origin answers is framed by us; what is cut short never looks whole. */

import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createWorld, type World } from '../support/world.ts'
import { responses } from './hostile/responses.ts'
import { enter, everyNameIsLoopback, goodRule, runHostile, spotOf, textOf, until } from './hostile/runner.ts'

runHostile('responses', {
  world: { dns: everyNameIsLoopback, limits: { originHeadTimeoutMs: 1000, exchangeIdleMs: 3000 } },
  cases: responses,
})

describe('a request that a reused connection lost (decision 26)', () => {
  let world: World
  beforeAll(async () => {
    world = await createWorld({ rules: goodRule('good.test'), dns: everyNameIsLoopback })
  })
  afterAll(() => world[Symbol.asyncDispose]())

  it.each([
    ['proxy', 'GET', 200, ['allow', 'allow'], 3],
    ['tunnel', 'GET', 200, ['allow', 'allow'], 3],
    ['clear', 'DELETE', 200, ['allow', 'allow'], 3],
    ['proxy', 'POST', 502, ['allow', 'failed origin_closed'], 2],
    ['tunnel', 'POST', 502, ['allow', 'failed origin_closed'], 2],
  ] as const)('%s: %s ends as %i', async (place, method, status, records, requests) => {
    const session = await world.newSession()
    const spot = spotOf(world, session, place)
    const origin = place === 'tunnel' ? world.https : world.http
    const before = { records: world.records.length, connections: origin.connections.length }
    origin.answer = (asked, socket, connection) => {
      if (asked.target === '/2' && connection.reading().requests.length === 2) socket.destroy()
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    }
    const client = await enter(world, session, place)
    const ask = (path: string): Promise<void> =>
      client.send(`${method} ${spot.target(path)} HTTP/1.1\r\n${spot.lines}\r\n`)
    await ask('/1')
    expect(await client.response()).toMatchObject({ status: 200 })
    await delay(50)
    await ask('/2')
    expect(await client.response()).toMatchObject({ status })
    client.destroy()
    await until(() => world.records.length >= before.records + 2)
    expect(world.records.slice(before.records).map(textOf)).toEqual(records)
    const seen = origin.connections.slice(before.connections).flatMap((one) => one.reading().requests)
    expect(seen).toHaveLength(requests)
  })
})
