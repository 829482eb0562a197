import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseHost } from '../../../src/net/host.ts'
import {
  DomainIndex,
  type DomainPattern,
  matchesPattern,
  parseDomainPattern,
} from '../../../src/policy/domain-pattern.ts'
import { coversPattern, OverlapIndex, overlapsPattern } from '../../../src/policy/pattern-overlap.ts'

function pattern(text: string): DomainPattern {
  const parsed = parseDomainPattern(text)
  return typeof parsed === 'string' ? expect.fail(`${text} ${parsed}`) : parsed
}

function matches(text: string, host: string): boolean {
  return matchesPattern(pattern(text), parseHost(host) ?? expect.fail(host))
}

describe('a pattern', () => {
  it.each([
    ['good.test', 'good.test'],
    ['GOOD.Test.', 'good.test'],
    ['*.GOOD.test', '*.good.test'],
    ['**.good.test', '**.good.test'],
    ['api-*.good.test', 'api-*.good.test'],
    ['*-a-*.good.test', '*-a-*.good.test'],
    ['*', '*'],
    ['bücher.test', 'xn--bcher-kva.test'], // POL-12
    ['*.BÜCHER.test', '*.xn--bcher-kva.test'],
    ['good。test', 'good.test'],
    ['10.0.0.1', '10.0.0.1'],
    ['[::1]', '[::1]'],
    ['[::ffff:10.0.0.1]', '10.0.0.1'],
    ['_x.good.test', '_x.good.test'],
  ])('%s is kept as %s', (written, text) => expect(pattern(written).text).toBe(text))

  it.each([
    '',
    ' ',
    '.',
    '**',
    '***.good.test',
    'a.*.test',
    '*.*.test',
    'good.*',
    '*.',
    '*..test',
    '**x.good.test',
    'x**.good.test',
    'http://good.test',
    'good.test:443',
    'good.test/x',
    '*.good.test:443',
    '*.10.0.0.1',
    '*.[::1]',
    '[good.test]',
    '::1',
    '2001:db8::1:443',
    '127.1',
    '0x7f.1',
    'good test',
    'good.test\n',
    'g%6fod.test',
    'user@good.test',
    '①②⑦.0.0.1',
    '＊.test',
    '＊＊.good.test',
    'ü.test/evil',
    'ü.test?x',
    'ü*.test',
    'ü.*.test',
    '-x.test',
    '?.good.test',
    '[a-z].good.test',
    '{a,b}.good.test',
    '!x.good.test',
  ])('%j is none', (written) => expect(typeof parseDomainPattern(written)).toBe('string')) // prettier-ignore

  it.each([
    // POL-05, POL-06
    ['*.good.test', 'a.good.test', true],
    ['*.good.test', 'a.b.good.test', true],
    ['*.good.test', 'good.test', false],
    ['*.good.test', 'evilgood.test', false],
    ['*.good.test', 'good.test.evil.test', false],
    ['**.good.test', 'good.test', true],
    ['**.good.test', 'a.b.good.test', true],
    ['**.good.test', 'evilgood.test', false],
    ['good.test', 'GOOD.test.', true],
    ['good.test', 'a.good.test', false],
    ['api-*.good.test', 'api-1.good.test', true],
    ['api-*.good.test', 'api-x-y.good.test', true],
    ['api-*.good.test', 'api.good.test', false],
    ['api-*.good.test', 'api-1.x.good.test', false],
    ['api-*.good.test', 'x.api-1.good.test', false],
    ['a*a.good.test', 'a.good.test', false],
    ['a*a.good.test', 'aa.good.test', true],
    ['*a*b*.good.test', 'xxaxxbxx.good.test', true],
    ['*a*b*.good.test', 'ba.good.test', false],
    ['*', 'anything.test', true],
    ['*', '10.0.0.1', false], // a literal only when written as one
    ['*', '[::1]', false],
    ['10.0.0.1', '10.0.0.1', true],
    ['10.0.0.1', '[::ffff:10.0.0.1]', true],
    ['[::1]', '[0:0:0:0:0:0:0:1]', true],
  ])('%s with the host %s: %s', (written, host, expected) => expect(matches(written, host)).toBe(expected))
})

const label = fc.constantFrom('a', 'b', 'ab', 'aab', 'ba', 'x-a')
const host = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => `${labels.join('.')}.test`)
const starred = fc.constantFrom('a*', '*a', 'a*b', '*a*', 'a*a*b', '*-*')
const written = fc.oneof(
  host,
  host.map((base) => `*.${base}`),
  host.map((base) => `**.${base}`),
  fc.tuple(starred, host).map(([first, base]) => `${first}.${base}`),
  fc.constant('*'),
  fc.constant('10.0.0.1'),
)

/** Twenty lines that say what patterns mean. */
function naive(text: string, name: string): boolean {
  if (/^[0-9.]+$/.test(name) || /^[0-9.]+$/.test(text)) return text === name
  if (text === '*') return true
  if (text.startsWith('**.')) return name === text.slice(3) || name.endsWith(text.slice(2))
  if (text.startsWith('*.')) return name.endsWith(text.slice(1))
  return new RegExp(`^${text.replaceAll('.', '\\.').replaceAll('*', '[^.]*')}$`).test(name)
}

describe('for any patterns and hosts', () => {
  const anyHost = fc.oneof(host, fc.constant('10.0.0.1'))

  it('matching is what twenty lines say', () => {
    fc.assert(
      fc.property(written, anyHost, (text, name) => {
        expect(matches(text, name)).toBe(naive(text, name))
      }),
      { numRuns: 3000 },
    )
  })

  it('the index finds the very patterns that match', () => {
    fc.assert(
      fc.property(fc.array(written, { maxLength: 12 }), anyHost, (texts, name) => {
        const index = new DomainIndex<number>()
        for (const [i, text] of texts.entries()) index.add(pattern(text), i)
        const found = index.lookup(parseHost(name) ?? expect.fail()).sort((a, b) => a - b)
        expect(found).toEqual([...texts.keys()].filter((i) => matches(texts[i] ?? '', name)))
      }),
      { numRuns: 2000 },
    )
  })

  it('the index of overlaps finds the very patterns that overlap', () => {
    fc.assert(
      fc.property(fc.array(written, { maxLength: 12 }), written, (texts, text) => {
        const index = new OverlapIndex<number>()
        for (const [i, one] of texts.entries()) index.add(pattern(one), i)
        const found = [...index.overlapping(pattern(text))].sort((a, b) => a - b)
        const expected = [...texts.keys()].filter((i) => overlapsPattern(pattern(text), pattern(texts[i] ?? '')))
        expect(found).toEqual(expected)
      }),
      { numRuns: 2000 },
    )
  })

  it('a host of both is an overlap, and a host of the inner is a host of the outer', () => {
    fc.assert(
      fc.property(written, written, anyHost, (a, b, name) => {
        const both = matches(a, name) && matches(b, name)
        expect(overlapsPattern(pattern(a), pattern(b))).toBe(overlapsPattern(pattern(b), pattern(a)))
        if (both) expect(overlapsPattern(pattern(a), pattern(b))).toBe(true)
        if (coversPattern(pattern(a), pattern(b)) && matches(b, name)) expect(matches(a, name)).toBe(true)
      }),
      { numRuns: 3000 },
    )
  })
})

describe('patterns', () => {
  it.each([
    ['api-*.good.test', 'web-*.good.test', false],
    ['a*b.good.test', '*c*.good.test', true],
    ['a*.good.test', '*b.good.test', true],
    ['a*.good.test', 'a*.x.good.test', false],
    ['*.good.test', '*.x.good.test', true],
    ['*.x.good.test', '*.y.good.test', false],
    ['*.good.test', 'a*.good.test', true],
    ['*.x.good.test', 'x*.good.test', false],
    ['**.x.good.test', 'x*.good.test', true],
    ['*', '10.0.0.1', false],
    ['*', '*.good.test', true],
  ])('%s and %s have a host in common: %s', (a, b, expected) =>
    expect(overlapsPattern(pattern(a), pattern(b))).toBe(expected),
  )

  // POL-13
  it.each([
    ['*.good.test', 'api.good.test', true],
    ['api.good.test', '*.good.test', false],
    ['*.good.test', '**.good.test', false],
    ['**.good.test', '*.good.test', true],
    ['*.good.test', 'a*.good.test', true],
    ['a*.good.test', 'ab.good.test', true],
    ['a*.good.test', 'a*b.good.test', false],
    ['*', '**.good.test', true],
    ['*', '10.0.0.1', false],
    ['good.test', 'good.test', true],
  ])('%s covers %s: %s', (a, b, expected) => expect(coversPattern(pattern(a), pattern(b))).toBe(expected))
})
