import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseStrictJson } from '../../../src/control/strict-json.ts'

const read = (text: string) => parseStrictJson(new TextEncoder().encode(text))

describe('parseStrictJson', () => {
  const refused = [
    '{"a":1,"a":2}',
    String.raw`{"a":1,"\u0061":2}`,
    '{"x":[{"b":{"a":1,"c":[],"a":2}}]}',
    '{"a":{},"b":[],"a":1}',
    '{"a":"{","a":1}',
    '{"__proto__":1}',
    String.raw`{"\u005f_proto__":1}`,
    '[{"constructor":1}]',
    '{"prototype":1}',
    `${'['.repeat(33)}${']'.repeat(33)}`,
    '\ufeff{}',
    '{"a":1,}',
    "{'a':1}",
    'NaN',
    '',
    ' ',
    '"\n"',
    '{"a" 1}',
    '}',
    '],{"a":1',
  ]
  it.each(refused)('refuses %j', (text) => expect(read(text).ok).toBe(false))

  const taken: readonly (readonly [text: string, value: unknown])[] = [
    ['{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}', { a: { a: { a: 1 } }, b: [{ a: 1 }, { a: 2 }] }],
    ['{"a":"a","b":"a"}', { a: 'a', b: 'a' }],
    ['["a","a"]', ['a', 'a']],
    [String.raw`{"a\"":1,"a":"\"a\":"}`, { 'a"': 1, a: '"a":' }],
    ['"__proto__"', '__proto__'],
    [`${'['.repeat(32)}${']'.repeat(32)}`, JSON.parse(`${'['.repeat(32)}${']'.repeat(32)}`)],
  ]
  it.each(taken)('takes %j', (text, value) => expect(read(text)).toEqual({ ok: true, value }))

  it('refuses bytes that are not UTF-8', () => {
    expect(parseStrictJson(Uint8Array.from([0x22, 0xc3, 0x28, 0x22])).ok).toBe(false)
  })

  it('reads what JSON.stringify writes', () => {
    const names = fc.string().filter((name) => !['__proto__', 'constructor', 'prototype'].includes(name))
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof({ maxDepth: 4 }, fc.string(), fc.integer(), fc.boolean(), tie('object'), fc.array(tie('value'))),
      object: fc.dictionary(names, tie('value'), { noNullPrototype: true }),
    }))
    fc.assert(
      fc.property(value, (one) => {
        expect(read(JSON.stringify(one))).toEqual({ ok: true, value: one })
      }),
    )
  })

  it('says yes to nothing that JSON.parse refuses, and throws at nothing', () => {
    const soup = fc.array(fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '"a"', '\\', '1', ' '), { maxLength: 12 })
    fc.assert(
      fc.property(soup, (pieces) => {
        const text = pieces.join('')
        if (read(text).ok) expect(() => JSON.parse(text) as unknown).not.toThrow()
      }),
      { numRuns: 2000 },
    )
  })
})
