/**
 * What was worked out of a list of fields, kept for clients that send the same fields again and again on one connection.
 *
 * Promises: only results of pure functions of the fields are kept, and they go when the fields go. Lists that came once
 * cost nothing: whoever reads a list for the second time says so, and hands out the first one again.
 */

import type { Fields } from './fields.ts'

const repeated = new WeakSet<Fields>()

/** These very fields came once more. */
export function noteRepeated(fields: Fields): void {
  repeated.add(fields)
}

export class FieldMemo<Result extends object> {
  readonly #known = new WeakMap<Fields, Result>()
  readonly #work: (fields: Fields) => Result

  constructor(work: (fields: Fields) => Result) {
    this.#work = work
  }

  of(fields: Fields): Result {
    const known = this.#known.get(fields)
    if (known !== undefined) return known
    const result = this.#work(fields)
    if (repeated.has(fields)) this.#known.set(fields, result)
    return result
  }
}
