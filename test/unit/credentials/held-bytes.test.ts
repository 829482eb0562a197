import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HeldBytes } from '../../../src/credentials/redact/held-bytes.ts'

function holding(...pieces: readonly string[]): HeldBytes {
  const held = new HeldBytes()
  for (const piece of pieces) held.append(Buffer.from(piece))
  return held
}

describe('bytes that are held', () => {
  it.each<readonly [string, readonly (readonly [number, number])[], string, number]>([
    ['one place over several pieces', [[1, 6]], 'a******hij', 1],
    [
      'a place within the last one',
      [
        [1, 6],
        [2, 4],
      ],
      'a******hij',
      1,
    ],
    [
      'a place around the last one',
      [
        [3, 5],
        [1, 7],
      ],
      'a*******ij',
      1,
    ],
    [
      'a place that the last one begins in',
      [
        [3, 5],
        [1, 4],
      ],
      'a*****ghij',
      1,
    ],
    [
      'a place before the last one',
      [
        [6, 8],
        [1, 2],
      ],
      'a**def***j',
      2,
    ],
  ])('are masked: %s', (_, spans, shown, places) => {
    const held = holding('abc', 'd', 'efgh', 'ij')
    expect(spans.filter(([start, end]) => held.mask({ start, end }))).toHaveLength(places)
    expect(held.release(held.end).toString()).toBe(shown)
  })

  it('leave once each, in order, whatever was masked and in whatever pieces', () => {
    const span = fc.tuple(fc.nat(299), fc.nat(20))
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 60 }),
        fc.array(span),
        fc.nat(300),
        (lengths, spans, until) => {
          const whole = Buffer.alloc(300, 'abcdefghij')
          const held = new HeldBytes()
          for (let i = 0; held.end < whole.length; i++)
            held.append(Buffer.from(whole.subarray(held.end, held.end + (lengths[i % lengths.length] ?? 1))))
          for (const [start, length] of spans) {
            const end = Math.min(whole.length - 1, start + length)
            held.mask({ start, end })
            whole.fill('*', start, end + 1)
          }
          const parts = [held.release(until), held.release(0), held.release(whole.length)]
          expect(Buffer.concat(parts).toString()).toBe(whole.toString())
        },
      ),
    )
  })
})
