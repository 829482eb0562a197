import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { DenialLoops } from '../../../src/exchange/denial-loops.ts'
import type { ExchangeRecord } from '../../../src/exchange/record.ts'
import { recordOf } from './fixture.ts'

const options = { burst: 3, windowMs: 60_000, delayMs: 250, loopsMax: 4 }
let written: ExchangeRecord[]
let loops: DenialLoops

beforeEach(() => {
  vi.useFakeTimers()
  written = []
  loops = new DenialLoops({ accepting: () => true, append: (record) => void written.push(record) }, options)
})
afterEach(() => {
  loops.close()
  vi.useRealTimers()
})

function sum(): number {
  return written.reduce((total, { repeated }) => total + repeated, 0)
}

describe('a refusal that is repeated', () => {
  it('has a record of its own within the burst, and beyond it one line for all, once a minute', () => {
    for (let i = 0; i < 10; i++) loops.append(recordOf())
    expect(written.map(({ repeated }) => repeated)).toEqual([1, 1, 1])
    vi.advanceTimersByTime(80_000)
    expect(written.map(({ repeated }) => repeated)).toEqual([1, 1, 1, 7])
  })

  it('that goes on after its minute has no new burst', () => {
    for (let i = 0; i < 5; i++) loops.append(recordOf())
    vi.advanceTimersByTime(80_000)
    for (let i = 0; i < 5; i++) loops.append(recordOf())
    expect(written).toHaveLength(4)
    vi.advanceTimersByTime(80_000)
    expect(written.map(({ repeated }) => repeated)).toEqual([1, 1, 1, 2, 5])
  })

  it('that stopped is forgotten: later ones are new', () => {
    for (let i = 0; i < 5; i++) loops.append(recordOf())
    vi.advanceTimersByTime(200_000)
    expect(loops.delayMs(recordOf())).toBe(0)
    for (let i = 0; i < 3; i++) loops.append(recordOf())
    expect(written.map(({ repeated }) => repeated)).toEqual([1, 1, 1, 2, 1, 1, 1])
  })

  it('is answered a little later from the burst on, and only it', () => {
    for (let i = 0; i < 3; i++) loops.append(recordOf())
    expect(loops.delayMs(recordOf())).toBe(0)
    loops.append(recordOf())
    expect(loops.delayMs(recordOf())).toBe(250)
    expect(loops.delayMs(recordOf({ path: '/other' }))).toBe(0)
    expect(loops.delayMs(recordOf({ session: 's-2' }))).toBe(0)
  })
})

describe('a session that is refused all the time', () => {
  it('waits for each answer, though none is like another, until its window is over', () => {
    for (let i = 0; i <= 1000; i++) loops.append(recordOf({ path: `/${i}` }))
    expect(loops.delayMs(recordOf({ path: '/new' }))).toBe(250)
    expect(loops.delayMs(recordOf({ path: '/new', session: 's-2' }))).toBe(0)
    vi.advanceTimersByTime(80_000)
    expect(loops.delayMs(recordOf({ path: '/new' }))).toBe(0)
  })

  it('is known by its paths however long they are', () => {
    const path = `/${'x'.repeat(30_000)}`
    for (let i = 0; i < 4; i++) loops.append(recordOf({ path }))
    expect(loops.delayMs(recordOf({ path }))).toBe(250)
    expect(loops.delayMs(recordOf({ path: `${path}y` }))).toBe(0)
  })
})

describe('the sum of `repeated` equals what was refused', () => {
  it.each([1, 3, 4, 50, 1000])('of %i refusals, when all is closed', (count) => {
    for (let i = 0; i < count; i++) {
      loops.append(recordOf({ host: `h${i % 7}.test` }))
      if (i % 100 === 0) vi.advanceTimersByTime(20_000)
    }
    loops.close()
    expect(sum()).toBe(count)
  })
})

describe('what is no loop', () => {
  it.each<readonly [string, Partial<ExchangeRecord>]>([
    ['what was allowed', { outcome: 'allow' }],
    ['what failed', { outcome: 'failed' }],
    ['a challenge', { outcome: 'challenge' }],
    ['a refusal without a session', { session: null }],
    ['a line for what is under way', { event: 'open' }],
  ])('%s is always written', (_name, changes) => {
    for (let i = 0; i < 10; i++) loops.append(recordOf(changes))
    expect(written).toHaveLength(10)
    expect(loops.delayMs(recordOf(changes))).toBe(0)
  })
})

it('follows a bounded number of loops; beyond it every refusal is written', () => {
  for (let host = 0; host < 20; host++) for (let i = 0; i < 10; i++) loops.append(recordOf({ host: `h${host}.test` }))
  expect(written).toHaveLength(4 * 3 + 16 * 10)
  loops.close()
  expect(sum()).toBe(200)
})

it('accepts what its sink accepts', () => {
  const blocked = new DenialLoops({ accepting: () => false, append: () => undefined }, options)
  expect([loops.accepting(), blocked.accepting()]).toEqual([true, false])
  blocked.close()
})
