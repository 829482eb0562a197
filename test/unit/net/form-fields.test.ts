import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseUrlEncoded } from '../../../src/net/form-fields.ts'

describe('an urlencoded form', () => {
  it('is read as URLSearchParams reads it, where only & parts', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string(), fc.string()), { minLength: 1 }), (pairs) => {
        const text = new URLSearchParams(pairs).toString()
        const bytes = (value: string): string => Buffer.from(value.toWellFormed()).toString('latin1')
        expect(parseUrlEncoded(text)).toEqual(
          pairs.map(([name, value]) => ({ name: bytes(name), value: bytes(value) })),
        )
      }),
    )
  })
})
