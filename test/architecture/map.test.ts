import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '../..')
const map = readFileSync(join(root, 'src/README.md'), 'utf8')

/** Tests named in the last column of the table of invariants. */
const guards = map
  .split('\n')
  .filter((line) => /^\| \d+ \|/.test(line))
  .map((line) => ({
    invariant: line.split('|')[2]?.trim() ?? '',
    tests: [...line.matchAll(/`((?:unit|integration|conformance)\/[^`]+)`/g)].map((match) => match[1] ?? ''),
  }))

/** Files of the house named anywhere in the map. */
const files = [...map.matchAll(/`([a-z]+(?:\/[a-z-]+)+\.ts)`/g)].map((match) => match[1] ?? '')

function exists(test: string): boolean {
  if (!test.endsWith('*')) return existsSync(join(root, 'test', `${test}.test.ts`))
  const [folder = '', start = ''] = test.slice(0, -1).split('/')
  return readdirSync(join(root, 'test', folder)).some((file) => file.startsWith(start) && file.endsWith('.test.ts'))
}

describe('the map of the house', () => {
  it('names invariants', () => {
    expect(guards.length).toBeGreaterThan(10)
  })

  it.each(guards)('$invariant: is guarded by tests that are there', ({ tests }) => {
    expect(tests).not.toEqual([])
    expect(tests.filter((test) => !exists(test))).toEqual([])
  })

  it.each([...new Set(files)])('%s is where the map says', (file) => {
    expect(existsSync(join(root, 'src', file))).toBe(true)
  })
})
