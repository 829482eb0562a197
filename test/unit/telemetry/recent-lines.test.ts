import { expect, it } from 'vitest'
import { RecentLines } from '../../../src/telemetry/recent-lines.ts'

const mebibyte = 1024 * 1024

it('the newest come first, and only as many as asked for', () => {
  const lines = new RecentLines({ linesMax: 3, bytesMax: mebibyte })
  for (let i = 0; i < 10; i++) lines.add(`line ${i}`)
  expect([...lines.newest()]).toEqual(['line 9', 'line 8', 'line 7'])
})

it('holds the newest over many times its bytes, each whole', () => {
  const lines = new RecentLines({ linesMax: 2000, bytesMax: 4 * mebibyte })
  const line = (i: number): string => `${i}:${'x'.repeat(i % 3000)}`
  for (let i = 0; i < 20_000; i++) lines.add(line(i))
  const held = [...lines.newest()]
  expect(held.length).toBeGreaterThan(1000)
  expect(held.length).toBeLessThanOrEqual(2000)
  expect(held.every((found, back) => found === line(19_999 - back))).toBe(true)
})

it('a line beyond any bound is not kept, and the others are', () => {
  const lines = new RecentLines({ linesMax: 10, bytesMax: mebibyte })
  lines.add('first')
  lines.add('y'.repeat(mebibyte))
  lines.add('second')
  expect([...lines.newest()]).toEqual(['second', 'first'])
})
