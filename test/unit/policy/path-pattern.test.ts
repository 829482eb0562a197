import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parsePathPattern, readingsOf } from '../../../src/policy/path-pattern.ts'
import { cpuMs } from '../../support/cpu-ms.ts'

function matches(text: string, path: string): boolean {
  const pattern = parsePathPattern(text)
  return typeof pattern === 'string' ? expect.fail(`${text} ${pattern}`) : pattern.matches(path)
}

/** Twenty lines that say what patterns mean: `**` as a whole segment is any number of segments, `*` stays in one. */
function naive(pattern: string, path: string): boolean {
  const walk = (want: readonly string[], have: readonly string[]): boolean => {
    const [first, ...rest] = want
    if (first === undefined) return have.length === 0
    if (first === '**') {
      if (rest.length === 0) return have.length > 0
      return have.some((_, i) => walk(rest, have.slice(i))) || walk(rest, [])
    }
    const [head, ...tail] = have
    return head !== undefined && segment(first, head) && walk(rest, tail)
  }
  return walk(pattern.slice(1).split('/'), path.slice(1).split('/'))
}

function segment(want: string, have: string): boolean {
  const pieces = want.split(/\*+/).map((piece) => piece.replace(/[^\w]/g, '\\$&'))
  if (/^\*+$/.test(want)) return have.length > 0
  return new RegExp(`^${pieces.join('.*')}$`, 's').test(have)
}

describe('a path pattern', () => {
  it.each([
    ['/v1/messages', '/v1/messages', true],
    ['/v1/messages', '/v1/messages/', false],
    ['/v1/messages', '/V1/messages', false],
    ['/v1/*', '/v1/x', true],
    ['/v1/*', '/v1/x/y', false],
    ['/v1/*', '/v1', false],
    ['/v1/*/z', '/v1/y/z', true],
    ['/v1/**', '/v1/x/y', true],
    ['/v1/**', '/v1evil', false],
    ['/public/secret', '/public//secret', false],
    ['/a?b', '/a?b', null],
    ['/a[bc]', '/ab', false],
    ['/a[bc]', '/a[bc]', true],
    ['/a{b,c}', '/ab', false],
    ['/a{b,c}', '/a{b,c}', true],
    ['/!a', '/b', false],
    ['/@(a|b)', '/a', false],
    ['/+(a)', '/aa', false],
    ['/a*b', '/ab', true],
    ['/a*b', '/a/b', false],
    ['/.*', '/.git', true],
    ['/*', '/.git', true],
    ['/**', '/.git/config', true],
    ['/repos/*.git/info', '/repos/x.git/info', true],
    ['/@types%2fnode', '/@types%2fnode', true],
    ['/a\\b', '/ab', false],
    ['/#x', '/#x', null],
  ])('%s with the path %s: %s', (pattern, path, expected) => {
    if (expected === null) expect(typeof parsePathPattern(pattern)).toBe('string')
    else expect(matches(pattern, path)).toBe(expected)
  })

  it.each(['', 'v1', '*', '/a b', '/ü', '/a/../b', '/./b', '/a/..', '/a?x=1', '/a\n', '/a\0', '/a#b'])(
    '%j is none',
    (text) => expect(typeof parsePathPattern(text)).toBe('string'),
  )

  it('matches as twenty lines say, for any pattern and path', () => {
    const part = fc.constantFrom('a', 'b', 'ab', '.a', 'a.b', '[a]', '{a,b}', '!a', '(a)', '@(a)', '+', '$', '^', '|')
    const wild = fc.oneof(part, fc.constantFrom('*', '**', 'a*', '*b', 'a*b', '*.*'))
    const path = fc.array(part, { maxLength: 4 }).map((segments) => `/${segments.join('/')}`)
    const pattern = fc.array(wild, { minLength: 1, maxLength: 4 }).map((segments) => `/${segments.join('/')}`)
    fc.assert(
      fc.property(pattern, path, (want, have) => {
        expect(matches(want, have)).toBe(naive(want, have))
      }),
      { numRuns: 4000 },
    )
  })

  it('takes no time over stars that do not match', () => {
    const before = cpuMs()
    expect(matches(`/${'*a'.repeat(20)}`, `/${'a'.repeat(2000)}b`)).toBe(false)
    expect(cpuMs() - before).toBeLessThan(500)
  })
})

describe('the readings of a path', () => {
  // POL-21
  it.each([
    '/public/../secret',
    '/public/%2e%2e/secret',
    '/public/%2E./secret',
    '//secret',
    '/public//secret',
    '/public/..;x/secret',
    '/public/.;/x',
    '/public%2f..%2fsecret',
    '/public%2f%2e%2e%2fsecret',
    '/public/\\..\\secret',
    '/public%5c..%5csecret',
    '/.',
    '/..',
    '/a/.',
    '/%61',
    '/%7Euser',
    '/%00',
    '/%0d%0a',
    '/%7f',
    '/%',
    '/%2',
    '/%zz',
    '/%u002e',
    '/%252e%252e/x',
    '/%252fx',
    '/%255c',
    '/%2500',
    '/a%2f/b',
    '/a/%2fb',
    '/a%2f',
    '/%2fa',
  ])('%s is ambiguous', (path) => {
    // An encoded slash at an edge makes an empty segment in its other reading; at the end it is a trailing slash.
    if (path === '/a%2f') expect(readingsOf(path)).toEqual(['/a%2f', '/a/'])
    else expect(readingsOf(path)).toBeNull()
  }) // prettier-ignore

  it.each([
    '/',
    '/a',
    '/a/',
    '/a;b=c',
    '/a%20b',
    '/%C3%BC',
    '/a.b',
    '/...',
    '/..a',
    '/a..',
    '/~x',
    '/%25',
    '/a%3Fb',
    '/@x/y',
    '/a:b',
  ])('%s is one', (path) => expect(readingsOf(path)).toEqual([path])) // prettier-ignore

  it('are two where a slash is encoded', () => {
    expect(readingsOf('/@types%2fnode')).toEqual(['/@types%2fnode', '/@types/node'])
    expect(readingsOf('/a%2Fb%2fc')).toEqual(['/a%2Fb%2fc', '/a/b/c'])
  })

  it('never throw, and no reading has a dot segment, an empty one or a backslash', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'/.%25eEfFcC;\\a~'.split('')), maxLength: 16 }), (rest) => {
        for (const reading of readingsOf(`/${rest}`) ?? []) {
          expect(reading).not.toMatch(/\\|\/\/|(^|\/)\.\.?(;[^/]*)?(\/|$)/)
        }
      }),
      { numRuns: 3000 },
    )
  })
})
