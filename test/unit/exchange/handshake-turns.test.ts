import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { HandshakeTurns } from '../../../src/exchange/handshake-turns.ts'
import { liveOf, sessionOf } from './fixture.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const [one, other] = [liveOf(sessionOf([])), liveOf(sessionOf([]))]

it('a session has so many turns at once, and others have theirs', () => {
  const turns = new HandshakeTurns({ atOnceMax: 2, waitMs: 1000 })
  expect([turns.enter(one), turns.enter(one), turns.enter(other)]).toEqual([true, true, true])
  expect(turns.enter(one)).toBeInstanceOf(Promise)
})

it('who leaves hands the turn on, in the order of asking', async () => {
  const turns = new HandshakeTurns({ atOnceMax: 1, waitMs: 1000 })
  void turns.enter(one)
  const told: string[] = []
  for (const name of ['first', 'second'])
    void Promise.resolve(turns.enter(one)).then((may) => told.push(`${name} ${may}`))
  turns.leave(one)
  await vi.advanceTimersByTimeAsync(0)
  expect(told).toEqual(['first true'])
  turns.leave(one)
  turns.leave(one)
  await vi.advanceTimersByTimeAsync(0)
  expect(told).toEqual(['first true', 'second true'])
  expect(turns.enter(one)).toBe(true)
})

it('who waits too long is told no, and takes no turn', async () => {
  const turns = new HandshakeTurns({ atOnceMax: 1, waitMs: 1000 })
  void turns.enter(one)
  const waiting = turns.enter(one)
  await vi.advanceTimersByTimeAsync(1000)
  expect(await waiting).toBe(false)
  turns.leave(one)
  expect(turns.enter(one)).toBe(true)
})
