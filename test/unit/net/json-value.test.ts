import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type JsonValue, parseJson, utf8Text } from '../../../src/net/json-value.ts'

/** As JSON.parse has it: of a name that stands twice, the last. */
function plain(value: JsonValue): unknown {
  switch (value.kind) {
    case 'object':
      return Object.fromEntries(value.members.map(({ name, value: inner }) => [name, plain(inner)]))
    case 'array':
      return value.items.map(plain)
    case 'string':
      return value.text
    case 'word':
      return JSON.parse(value.text)
  }
}

function model(text: string): { readonly value: unknown } | null {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return null
  }
}

describe('JSON', () => {
  it('is what JSON.parse takes for it, and says the same', () => {
    const spaced = fc
      .tuple(fc.jsonValue(), fc.constantFrom(undefined, 1, '\t', '\n\r '))
      .map(([value, space]) => JSON.stringify(value, null, space))
    const damaged = fc
      .tuple(
        spaced,
        fc.nat(),
        fc.constantFrom('', '"', '\\', ',', '{', ']', '\u0000', '\\u12', '0', '-', '.', 'e', '/', "'", ' '),
      )
      .map(([text, at, piece]) => {
        const where = at % (text.length + 1)
        return text.slice(0, where) + piece + text.slice(where + (at % 2))
      })
    fc.assert(
      fc.property(fc.oneof(spaced, damaged), (text) => {
        const read = parseJson(text)
        expect(read === null ? null : { value: plain(read) }).toEqual(model(text))
      }),
      { numRuns: 1000 },
    )
  })

  it.each([
    '',
    ' ',
    '{',
    '{"a"}',
    '{"a":1,}',
    '[1,]',
    '01',
    '1.',
    '+1',
    'NaN',
    "'a'",
    '"\u0001"',
    '"\\x"',
    '{a:1}',
    '1 2',
    '\ufeff1',
    '//a\n1',
  ])('is not %j', (text) => {
    expect(parseJson(text)).toBeNull()
    expect(model(text)).toBeNull()
  })

  it('keeps what stands twice, and says where values stand', () => {
    const text = ' {"a": "x", "a":"\\u0079" }'
    const read = parseJson(text)
    if (read?.kind !== 'object') return expect.fail()
    expect(read.members.map(({ name, value }) => [name, text.slice(value.start, value.end)])).toEqual([
      ['a', '"x"'],
      ['a', '"\\u0079"'],
    ])
  })

  it('is bounded in depth and in values', () => {
    expect(parseJson('['.repeat(129) + ']'.repeat(129))).not.toBeNull()
    expect(parseJson('['.repeat(130) + ']'.repeat(130))).toBeNull()
    expect(parseJson('['.repeat(1_000_000))).toBeNull()
    expect(parseJson(`[${'1,'.repeat(499_998)}1]`)).not.toBeNull()
    expect(parseJson(`[${'1,'.repeat(499_999)}1]`)).toBeNull()
  })

  it('takes time that grows with the text and nothing else', () => {
    const began = performance.now()
    expect(parseJson(`"${'\\\\'.repeat(2_000_000)}"`)).not.toBeNull()
    expect(parseJson(`"${'\\"'.repeat(2_000_000)}"`)).not.toBeNull()
    expect(parseJson(`"${'\\"'.repeat(2_000_000)}`)).toBeNull()
    expect(parseJson('1'.repeat(4_000_000))).not.toBeNull()
    expect(performance.now() - began).toBeLessThan(3000)
  })

  it('is UTF-8', () => {
    expect(utf8Text(Buffer.from('"é"'))).toBe('"é"')
    expect(utf8Text(Buffer.from('"\xff"', 'latin1'))).toBeNull()
    expect(utf8Text(Buffer.from('"\xed\xa0\x80"', 'latin1'))).toBeNull()
  })
})
