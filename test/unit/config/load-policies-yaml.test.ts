import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseYaml } from '../../../src/config/yaml.ts'
import { cpuMs } from '../../support/cpu-ms.ts'

function messages(text: string): string[] {
  const found = parseYaml(text, 'f.yaml')
  return found.kind === 'issues' ? found.issues.map(({ message }) => message) : []
}

// POL-18
const bombs: readonly (readonly [string, string])[] = [
  [
    'nine levels of laughter',
    [
      'a: &a [lol]',
      ...'bcdefghij'.split('').map((name, i) => `${name}: &${name} [${`*${'abcdefghi'[i]}, `.repeat(9)}]`),
    ].join('\n'),
  ],
  ['a chain of merges', Array.from({ length: 2000 }, (_, i) => `k${i}:\n  <<: {a: ${i}}\n`).join('')],
  ['an ordered map of fifty thousand', `!!omap\n${Array.from({ length: 50_000 }, (_, i) => `- k${i}: 1\n`).join('')}`],
  ['a million brackets', '['.repeat(1e6)],
  ['a million braces', '{a: '.repeat(1e6)],
  ['a million dashes', '- '.repeat(1e6)],
  ['a million question marks', '? '.repeat(1e6)],
  ['three thousand levels of indent', Array.from({ length: 3000 }, (_, i) => `${' '.repeat(i)}a:\n`).join('')],
  ['fifty thousand anchors', Array.from({ length: 50_000 }, (_, i) => `- &k${i} 1\n`).join('')],
  ['fifty thousand aliases', '- *a\n'.repeat(50_000)],
  ['fifty thousand documents', '---\n'.repeat(50_000)],
  ['seventeen megabytes', 'a'.repeat(17 * 2 ** 20)],
] // prettier-ignore

describe('YAML', () => {
  it.each(bombs)('refuses %s fast', (_, text) => {
    parseYaml('a: 1', 'warm')
    const before = cpuMs()
    expect(messages(text).length).toBeGreaterThan(0)
    expect(cpuMs() - before).toBeLessThan(500)
  })

  it('takes a map of fifty thousand keys in linear time', () => {
    const before = cpuMs()
    expect(messages(Array.from({ length: 50_000 }, (_, i) => `k${i}: 1\n`).join(''))).toEqual([])
    expect(cpuMs() - before).toBeLessThan(5000)
  })

  it.each([
    ['a: 1\na: 2\n', 'has the key "a" twice'],
    ['{"a": 1, "a": 2}', 'has the key "a" twice'], // POL-19
    ['a: {b: 1, "b": 2}', 'has the key "b" twice'],
    ['a: &x 1', 'has an anchor'],
    ['a: *x', 'has an alias'],
    ['a: !!js/function "x"', 'has a tag'],
    ['a: !x 1', 'has a tag'],
    ['a:\n  <<: {b: 1}', 'has a merge key'],
    ['a: 1\n---\nb: 1\n', 'holds more than one document'],
  ])('%j: %s', (text, message) => expect(messages(text)).toContain(message))

  it.each([
    ['a: no', { a: 'no' }],
    ['a: 010', { a: 10 }],
    ['a: "&x *y !z"', { a: '&x *y !z' }],
    ['a: x *y &z', { a: 'x *y &z' }],
    ['a: |\n  *x\n  &y\n', { a: '*x\n&y\n' }],
    ['# *x &y !z\na: 1', { a: 1 }],
    ['"*.test": 1', { '*.test': 1 }],
    ['', null],
  ])('%j is read plainly', (text, value) => {
    const found = parseYaml(text, 'f')
    expect(found.kind === 'value' && found.value).toEqual(value)
  })

  it('knows where each part stands', () => {
    const found = parseYaml('a:\n  - b: 1\n    c: [x, y]\n', 'f')
    if (found.kind !== 'value') expect.fail()
    expect(found.at(['a'])).toEqual({ file: 'f', line: 1, column: 1 })
    expect(found.at(['a', 0, 'c'])).toMatchObject({ line: 3, column: 5 })
    expect(found.at(['a', 0, 'c', 1])).toMatchObject({ line: 3, column: 12 })
    expect(found.at(['a', 0, 'none'])).toMatchObject({ line: 2, column: 5 })
    expect(found.at(['a', 9])).toMatchObject({ line: 1, column: 1 })
  })

  it('keeps __proto__ a key like any other', () => {
    const found = parseYaml('__proto__: {admin: true}\n', 'f')
    if (found.kind !== 'value') expect.fail()
    expect(JSON.stringify(found.value)).toBe('{"__proto__":{"admin":true}}')
    expect(found.value).not.toHaveProperty('admin')
  })

  it('reads any JSON as JSON.parse does, and never throws', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value)
        const found = parseYaml(text, 'f')
        if (found.kind === 'value') expect(found.value).toEqual(JSON.parse(text))
      }),
      { numRuns: 300 },
    )
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'a1:-[]{}&*!|>\'"%#?, \n\t<~'.split('')), maxLength: 60 }),
        (text) => {
          expect(['issues', 'value']).toContain(parseYaml(text, 'f').kind)
        },
      ),
      { numRuns: 1000 },
    )
  }) // prettier-ignore
})
