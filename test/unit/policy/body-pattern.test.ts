/** Conditions on values and bodies, against models that anyone can check by reading. */

import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseJson } from '../../../src/net/json-value.ts'
import { meetsAllow, meetsDeny, parseBodyPath } from '../../../src/policy/body-pattern.ts'
import { parseValuePattern } from '../../../src/policy/value-pattern.ts'

describe('a pattern for values', () => {
  const escaped = (text: string): string => text.replace(/[.+?^${}()|[\]\\/-]/g, '\\$&').replaceAll('*', '[^]*')

  it('knows only * and a leading !', () => {
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*', '.', '!') })
    const value = fc.string({ unit: fc.constantFrom('a', 'b', '.', '!', '\n') })
    fc.assert(
      fc.property(pattern, value, (text, given) => {
        const naive = text.startsWith('!')
          ? !new RegExp(`^${escaped(text.slice(1))}$`).test(given)
          : new RegExp(`^${escaped(text)}$`).test(given)
        expect(parseValuePattern(text).matches(given)).toBe(naive)
      }),
      { numRuns: 2000 },
    )
  })

  it('sees no case and no space around a value where it decides a deny', () => {
    expect(parseValuePattern('web_*').matchesLoosely(' WEB_x\t')).toBe(true)
    expect(parseValuePattern('mask').matchesLoosely('MA\u017fK')).toBe(true)
    expect(parseValuePattern('!data:*').matchesLoosely(' DATA:x')).toBe(false)
    expect(parseValuePattern('web_*').matches('WEB_x')).toBe(false)
  })

  it('takes time that grows with the text', () => {
    const began = performance.now()
    expect(parseValuePattern(`${'a*'.repeat(500)}b`).matches('a'.repeat(1_000_000))).toBe(false)
    expect(performance.now() - began).toBeLessThan(1000)
  })
})

describe('a condition on a body', () => {
  type Tree = string | number | boolean | null | readonly Tree[] | { readonly [name: string]: Tree }

  /** Every value with the names that lead to it; an item's name is `#`. */
  function paths(tree: Tree, names: readonly string[] = []): [string[], Tree][] {
    const inner: [string, Tree][] = Array.isArray(tree)
      ? tree.map((item: Tree): [string, Tree] => ['#', item])
      : typeof tree === 'object' && tree !== null
        ? Object.entries(tree)
        : []
    return [[[...names], tree], ...inner.flatMap(([name, value]) => paths(value, [...names, name]))]
  }

  function naive(body: Tree, path: string, text: string): boolean {
    const expression = path
      .split('.')
      .map((segment) => (segment === '**' ? '(?:/[^/]*)*' : segment === '*' ? '/[^/]*' : `/${segment}`))
      .join('')
    const roots: Tree[] = Array.isArray(body) ? [body, ...(body as Tree[])] : [body]
    return roots.some((root: Tree) =>
      paths(root).some(
        ([names, value]) =>
          new RegExp(`^${expression}$`).test(names.map((name) => `/${name}`).join('')) &&
          (text === '*' || (typeof value === 'string' && value === text)),
      ),
    )
  }

  const { tree } = fc.letrec<{ tree: Tree; object: Tree; array: Tree }>((tie) => ({
    tree: fc.oneof({ maxDepth: 4 }, fc.constantFrom('x', 'y', 1, null), tie('object'), tie('array')),
    object: fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('tree'), { maxKeys: 3 }),
    array: fc.array(tie('tree'), { maxLength: 3 }),
  }))
  const path = fc
    .array(fc.constantFrom('a', 'b', '*', '**'), { minLength: 1, maxLength: 4 })
    .filter((segments) => segments.filter((one) => one === '**').length < 2)
    .map((segments) => segments.join('.'))

  it('finds what a path names, and nothing else', () => {
    fc.assert(
      fc.property(tree, path, fc.constantFrom('x', '*'), (body, text, value) => {
        const json = parseJson(JSON.stringify(body))
        const segments = parseBodyPath(text)
        if (json === null || typeof segments === 'string') return expect.fail()
        const condition = { text, segments, values: [parseValuePattern(value)] }
        expect(meetsDeny(json, condition)).toBe(naive(body, text, value))
        // What an allow is made of a deny would find as well.
        if (meetsAllow(json, condition)) expect(meetsDeny(json, condition)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  it.each(['', 'a..b', 'a b', 'a.[0]', '***', '**.a.**'])('is no path: %j', (text) =>
    expect(typeof parseBodyPath(text)).toBe('string'),
  )
})
