import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RateWindow } from '../../../src/sessions/rate-window.ts'

/** Milliseconds from one attempt to the next, and whether each was let through. */
function run(gapsMs: readonly number[], max: number): { readonly at: number; readonly passed: boolean }[] {
  const window = new RateWindow()
  let now = 500
  return gapsMs.map((gap) => {
    now += gap
    return { at: now, passed: window.take(now, max) }
  })
}

const gaps = fc.array(fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 70_000 })), {
  maxLength: 300,
})

describe('a minute', () => {
  test('never has more than the limit in it, wherever it begins', () => {
    fc.assert(
      fc.property(gaps, fc.integer({ min: 1, max: 20 }), (gapsMs, max) => {
        const passed = run(gapsMs, max).flatMap(({ at, passed: yes }) => (yes ? [at] : []))
        for (const from of passed)
          expect(passed.filter((at) => at >= from && at < from + 60_000).length).toBeLessThanOrEqual(max)
      }),
    )
  })

  test('lets through whatever had room in the last 61 seconds', () => {
    fc.assert(
      fc.property(gaps, fc.integer({ min: 1, max: 20 }), (gapsMs, max) => {
        const all = run(gapsMs, max)
        for (const [i, one] of all.entries()) {
          const before = all.slice(0, i).filter(({ at, passed }) => passed && at > one.at - 61_000).length
          if (before < max) expect(one.passed).toBe(true)
        }
      }),
    )
  })

  test('says how long to wait, and after that there is room', () => {
    fc.assert(
      fc.property(gaps, fc.integer({ min: 1, max: 5 }), (gapsMs, max) => {
        const window = new RateWindow()
        let now = 0
        for (const gap of gapsMs) {
          now += gap
          if (window.take(now, max)) continue
          const wait = window.waitSeconds(now, max)
          expect(wait).toBeGreaterThanOrEqual(1)
          expect(wait).toBeLessThanOrEqual(61)
          now += wait * 1000
          expect(window.take(now, max)).toBe(true)
        }
      }),
    )
  })

  test('of a limit that became smaller lets nothing through until there is room', () => {
    const window = new RateWindow()
    for (let i = 0; i < 10; i++) expect(window.take(i * 1000, 10)).toBe(true)
    expect(window.take(10_000, 3)).toBe(false)
    expect(window.take(67_900, 3)).toBe(false)
    expect(window.take(68_000, 3)).toBe(true)
  })

  test('begins with what there was before the process', () => {
    const window = new RateWindow()
    window.restore(100, 7)
    expect([window.recent(200), window.take(200, 7), window.take(200, 8)]).toEqual([7, false, true])
    expect(window.recent(61_000)).toBe(0)
  })
})
