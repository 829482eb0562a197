import { format, inspect } from 'node:util'
import { assert, oneof, property, string } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseSecret, secretBytesMax } from '../../../src/credentials/secret.ts'

const text = 'sk-0123456789abcdef'
const strict = { unsafeShortSecret: false }

function secretOf(raw: string) {
  const secret = parseSecret(raw, strict)
  if (typeof secret === 'string') throw new Error(secret)
  return secret
}

/** What `+` and templates ask of an object. */
function printed(secret: ReturnType<typeof secretOf>): string {
  return secret[Symbol.toPrimitive]()
}

describe('a secret prints as [secret]', () => {
  const secret = secretOf(text)
  const ways: Readonly<Record<string, () => string>> = {
    'in a template': () => `${String(secret)} ${printed(secret)}`,
    'as a string': () => String(secret),
    'added to text': () => ['', secret].join(''),
    'in JSON': () => JSON.stringify({ secret }),
    'inspected, hidden things shown': () => inspect(secret, { showHidden: true, depth: 9 }),
    'inside something inspected': () => inspect({ deep: [new Map([['k', secret]])] }, { depth: 9, showHidden: true }),
    formatted: () => format('%s %o %O %j', secret, secret, secret, secret),
    'as the cause of an error': () => inspect(new Error('x', { cause: secret })),
  }
  for (const [how, print] of Object.entries(ways)) {
    test(how, () => {
      expect(print()).toContain('[secret]')
      expect(print()).not.toContain(text)
    })
  }

  test('copied it is nothing', () => {
    expect(Object.assign({}, secret)).toEqual({})
    expect(JSON.stringify(structuredClone(Object.assign({}, secret)))).toBe('{}')
    expect(Object.keys(secret)).toEqual([])
  })

  test('only reveal shows it', () => expect(secret.reveal()).toBe(text))
})

test('one of 64 KiB is taken, one more byte is not', () => {
  expect(parseSecret('a'.repeat(secretBytesMax), strict)).not.toBeTypeOf('string')
  expect(parseSecret('a'.repeat(secretBytesMax + 1), strict)).toBeTypeOf('string')
})

test('whatever is refused is not in the reason; whatever is taken can stand in a header', () => {
  const raw = oneof(string({ minLength: 8, unit: 'binary' }), string({ minLength: 16 }))
  assert(
    property(raw, (given) => {
      const secret = parseSecret(given, strict)
      if (typeof secret === 'string') expect(secret).not.toContain(given)
      else expect(secret.reveal()).toMatch(/^[!-~](?:[ -~]*[!-~])?$/)
    }),
  )
})
