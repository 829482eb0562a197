import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { enter, spotOf, until } from '../conformance/hostile/runner.ts'
import { everywhere, type Place } from '../conformance/hostile/case.ts'
import type { RawClient } from '../support/raw-client.ts'
import { type Answer, answerOk } from '../support/raw-origin.ts'
import { createWorld, type World } from '../support/world.ts'

/** How long a client that has said its last word is waited for while nothing moves. */
const halfClosedMs = 5000

let world: World
beforeAll(async () => {
  world = await createWorld({
    rules: ({ http, https }) => [
      { host: 'good.test', ports: [http, https], addresses: ['127.0.0.0/8'], tls: 'intercept' },
    ],
    dns: { 'good.test': { a: ['127.0.0.1'] } },
    // Nothing else ends what these clients wait for.
    limits: { originHeadTimeoutMs: 60_000, exchangeIdleMs: 60_000, headTimeoutMs: 60_000 },
  })
})
afterAll(() => world[Symbol.asyncDispose]())

type Entered = { readonly client: RawClient; readonly session: string; readonly text: (path: string) => string }

async function enterAt(place: Place): Promise<Entered> {
  const session = await world.newSession()
  const client = await enter(world, session, place)
  const spot = spotOf(world, session, place)
  return {
    client,
    session: session.id,
    text: (path) => `GET ${spot.target(path)} HTTP/1.1\r\n${spot.lines}\r\n`,
  }
}

function answerWith(answer: Answer): void {
  world.http.answer = answer
  world.https.answer = answer
}

function recordsOf(session: string): unknown[] {
  return world.records.filter((record) => record.session === session).map(({ outcome, status }) => [outcome, status])
}

describe.each(everywhere)('a client that says its last word with its request (%s)', (place) => {
  it('is answered, and the connection ends behind the answer', async () => {
    answerWith((request, socket, connection) => setTimeout(() => answerOk(request, socket, connection), 100))
    const { client, session, text } = await enterAt(place)
    await client.send(text('/'))
    client.halfClose()
    expect(await client.response()).toMatchObject({ status: 200, complete: true })
    expect(await client.closed()).toBe(true)
    expect(client.end).toBe('ended')
    await until(() => recordsOf(session).length > 0)
    expect(recordsOf(session)).toEqual([['allow', 200]])
  })

  it('is given all of a long answer', async () => {
    const long = 'x'.repeat(1_000_000)
    answerWith((_, socket) => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${long.length}\r\n\r\n${long}`))
    const { client, text } = await enterAt(place)
    await client.send(text('/'))
    client.halfClose()
    const heard = await client.response()
    expect(heard).toMatchObject({ status: 200, complete: true })
    expect(typeof heard === 'string' ? 0 : heard.body.length).toBe(long.length)
    expect(await client.closed()).toBe(true)
  })

  it('is answered for each request that it had sent', async () => {
    answerWith(answerOk)
    const { client, session, text } = await enterAt(place)
    await client.send(text('/1') + text('/2') + text('/3'))
    client.halfClose()
    for (let i = 0; i < 3; i++) expect(await client.response()).toMatchObject({ status: 200, complete: true })
    expect(await client.closed()).toBe(true)
    await until(() => recordsOf(session).length > 2)
    expect(recordsOf(session)).toHaveLength(3)
  })
})

describe.each(everywhere)('a client that says its last word (%s)', (place) => {
  it.each([
    ['between requests', ''],
    ['before its first request', null],
  ])('%s is let go at once', async (_, first) => {
    answerWith(answerOk)
    const { client, session, text } = await enterAt(place)
    if (first !== null) {
      await client.send(text('/'))
      expect(await client.response()).toMatchObject({ status: 200 })
    }
    client.halfClose()
    expect(await client.closed(1000)).toBe(true)
    // A tunnel in which nothing was said is an exchange of its own.
    expect(recordsOf(session).filter((record) => String(record).startsWith('allow'))).toHaveLength(
      first === null ? 0 : 1,
    )
  })

  it('within a head is told so', async () => {
    answerWith(answerOk)
    for (const cut of [20, -2]) {
      const { client, text } = await enterAt(place)
      const before = world.records.length
      await client.send(text('/').slice(0, cut))
      client.halfClose()
      expect(await client.response({ timeoutMs: 1000 })).toMatchObject({ status: 400 })
      expect(await client.closed(1000)).toBe(true)
      await until(() => world.records.length > before)
      expect(world.records.slice(before)).toMatchObject([{ outcome: 'deny', reason: 'malformed_request', status: 400 }])
    }
  })
})

describe('a client that says its last word, to an origin that says none,', () => {
  it('is given up after some seconds, with one record', async () => {
    answerWith(() => undefined)
    const ends = everywhere.map(async (place) => {
      const { client, session, text } = await enterAt(place)
      await client.send(text('/'))
      client.halfClose()
      const began = performance.now()
      expect(await client.closed(halfClosedMs + 3000), place).toBe(true)
      const tookMs = performance.now() - began
      expect(tookMs, place).toBeGreaterThan(halfClosedMs - 500)
      await until(() => recordsOf(session).length > 0)
      expect(recordsOf(session), place).toEqual([['abandoned', null]])
    })
    await Promise.all(ends)
  })
})
