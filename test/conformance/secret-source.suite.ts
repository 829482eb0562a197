/** What every secret source promises. A source joins by a line in the test beside this file. */

import { describe, expect, test } from 'vitest'
import type { SecretSource } from '../../src/credentials/secret-source.ts'

export type SourceWorld = {
  readonly source: SecretSource
  /** Sets what is there; null: nothing. */
  readonly set: (value: Buffer | null) => void
}

const first = 'sk-first-0123456789abcdef'
const second = 'sk-second-0123456789abcde'

/** SEC-21. Each must give no secret, and a reason without the value. */
const unfit: Readonly<Record<string, Buffer>> = {
  'an empty one': Buffer.from(''),
  'nothing but a newline': Buffer.from('\n'),
  'a line break inside': Buffer.from(`${first}\r\nHost: evil.test`),
  'a bare line feed inside': Buffer.from(`${first}\nx`),
  'two newlines at the end': Buffer.from(`${first}\n\n`),
  'a carriage return at the end': Buffer.from(`${first}\r`),
  'a tab': Buffer.from(`${first}\tx`),
  'bytes beyond ASCII': Buffer.from(`${first}\u00e9`),
  'a byte order mark': Buffer.from(`\ufeff${first}`),
  'a space at the end': Buffer.from(`${first} `),
  'one of 15 bytes': Buffer.from('x'.repeat(15)),
  'one of a megabyte': Buffer.alloc(1_000_000, 'a'),
}

export function secretSourceSuite(name: string, create: (rules: { unsafeShortSecret: boolean }) => SourceWorld): void {
  const strict = { unsafeShortSecret: false }

  async function textOf(source: SecretSource): Promise<string | null> {
    return (await source.read())?.reveal() ?? null
  }

  describe(`secret source ${name}`, () => {
    test('gives what is there, without the newline a file ends with', async () => {
      const { source, set } = create(strict)
      for (const end of ['', '\n', '\r\n']) {
        set(Buffer.from(first + end))
        expect(await textOf(source)).toBe(first)
        expect(source.problem()).toBeNull()
      }
      source.close()
    })

    test('gives the new value once it changed, though it is as long as the old one', async () => {
      const { source, set } = create(strict)
      for (const value of [first, second, first]) {
        set(Buffer.from(value))
        expect(await textOf(source)).toBe(value)
      }
      source.close()
    })

    test('what vanished is no longer given, and what came back is', async () => {
      const { source, set } = create(strict)
      set(Buffer.from(first))
      expect(await textOf(source)).toBe(first)
      set(null)
      expect(await textOf(source)).toBeNull()
      expect(source.problem()).not.toContain(first)
      set(Buffer.from(second))
      expect(await textOf(source)).toBe(second)
      source.close()
    })

    for (const [what, value] of Object.entries(unfit)) {
      test(`${what} is no secret, and the reason does not show it`, async () => {
        const { source, set } = create(strict)
        set(Buffer.from(first))
        expect(await textOf(source)).toBe(first)
        set(value)
        expect(await textOf(source)).toBeNull()
        expect(source.problem()).toMatch(/\w/)
        expect(source.problem()).not.toContain('sk-first')
        expect(source.problem()?.length).toBeLessThan(300)
        source.close()
      })
    }

    test('a short one is taken where the entry says so', async () => {
      const { source, set } = create({ unsafeShortSecret: true })
      set(Buffer.from('abc'))
      expect(await textOf(source)).toBe('abc')
      source.close()
    })
  })
}
