import { describe, expect, it } from 'vitest'
import { FieldMemo, noteRepeated } from '../../../src/net/field-memo.ts'
import type { Fields } from '../../../src/net/fields.ts'

/** A memo that says how often it worked. */
function counting(): { readonly memo: FieldMemo<{ readonly count: number }>; readonly worked: () => number } {
  let worked = 0
  return {
    memo: new FieldMemo((fields) => {
      worked++
      return { count: fields.length / 2 }
    }),
    worked: () => worked,
  }
}

describe('what is worked out of a list of fields', () => {
  it('is worked out anew as long as the list came only once', () => {
    const { memo, worked } = counting()
    const fields: Fields = ['A', 'b']
    expect([memo.of(fields), memo.of(fields)]).toEqual([{ count: 1 }, { count: 1 }])
    expect(worked()).toBe(2)
  })

  it('is kept from the moment that the list came again', () => {
    const { memo, worked } = counting()
    const fields: Fields = ['A', 'b']
    memo.of(fields)
    noteRepeated(fields)
    const kept = memo.of(fields)
    expect(memo.of(fields)).toBe(kept)
    expect(worked()).toBe(2)
  })

  it('belongs to that very list, and to no other that says the same', () => {
    const { memo, worked } = counting()
    const [one, other]: Fields[] = [
      ['A', 'b'],
      ['A', 'b'],
    ]
    for (const fields of [one ?? [], other ?? []]) noteRepeated(fields)
    expect(memo.of(one ?? [])).not.toBe(memo.of(other ?? []))
    expect(worked()).toBe(2)
  })

  it('is each memo’s own', () => {
    const fields: Fields = ['A', 'b']
    noteRepeated(fields)
    const names = new FieldMemo((of) => ({ name: of[0] }))
    const values = new FieldMemo((of) => ({ value: of[1] }))
    for (let i = 0; i < 2; i++) expect([names.of(fields), values.of(fields)]).toEqual([{ name: 'A' }, { value: 'b' }])
  })

  it('that fails is not kept', () => {
    const fields: Fields = ['A', 'b']
    noteRepeated(fields)
    let broken = true
    const memo = new FieldMemo(() => {
      if (broken) throw new Error('broken')
      return { whole: true }
    })
    expect(() => memo.of(fields)).toThrow('broken')
    broken = false
    expect(memo.of(fields)).toEqual({ whole: true })
  })
})
