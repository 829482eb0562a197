/**
 * Looks for a needle in what a text says when one form of escapes is undone, byte by byte.
 *
 * Promises: any mix of escaped and plain is found; where the text falls into pieces makes no difference; memory is that of
 * the needle, whatever comes.
 */

import { type EscapeForm, escapeBytesMax, literal, undecided } from './escape-forms.ts'
import type { Needle } from './needle.ts'

/** What is told of a place that was found: both ends belong to it. Positions count from the start of the stream. */
export type Found = (start: number, end: number) => void

export class EscapeReader {
  readonly #needle: Needle
  readonly #form: EscapeForm
  readonly #isLead: Uint8Array
  readonly #begins: Uint8Array
  readonly #fold: Uint8Array
  readonly #found: Found
  /** Something is under way. */
  #busy = false
  #state = 0
  /** Where each of the last symbols began, as a ring of the needle's length. */
  readonly #starts: Float64Array
  #at = 0
  readonly #escape = new Uint8Array(escapeBytesMax)
  #escapeLength = 0
  #escapeStart = 0

  /** `fold` is applied to bytes outside escapes. */
  constructor(needle: Needle, form: EscapeForm, fold: Uint8Array, found: Found) {
    this.#needle = needle
    this.#form = form
    this.#fold = fold
    this.#found = found
    this.#starts = new Float64Array(needle.symbols.length)
    this.#isLead = new Uint8Array(256)
    for (const lead of Buffer.from(form.leads, 'latin1')) this.#isLead[lead] = 1
    this.#begins = this.#isLead.map((isLead, byte) => (isLead === 1 || fold[byte] === needle.symbols[0] ? 1 : 0))
  }

  /** True: the next byte may go on with something. Where it is false, bytes that begin nothing may be left out. */
  read(byte: number, position: number): boolean {
    if (this.#busy || this.#begins[byte] === 1) this.#busy = this.#read(byte, position)
    return this.#busy
  }

  #read(byte: number, position: number): boolean {
    if (this.#escapeLength === 0) {
      if (this.#isLead[byte] === 0) {
        this.#take(this.#fold[byte] ?? 0, position, position)
        return this.#state > 0
      }
      this.#escapeStart = position
    }
    this.#escape[this.#escapeLength++] = byte
    const symbol = this.#form.read(this.#escape, this.#escapeLength)
    if (symbol === undecided) return true
    if (symbol === literal) return this.#unread()
    this.#escapeLength = 0
    this.#take(symbol, this.#escapeStart, position)
    return this.#state > 0
  }

  /** Nothing follows: an escape that has only begun is none. */
  finish(): void {
    while (this.#escapeLength > 0) this.#unread()
  }

  /** What looked like an escape is none: its first byte stands for itself, and the others are read anew. */
  #unread(): boolean {
    const start = this.#escapeStart
    const bytes = this.#escape.slice(0, this.#escapeLength)
    this.#escapeLength = 0
    this.#take(this.#fold[bytes[0] ?? 0] ?? 0, start, start)
    let busy = this.#state > 0
    for (let i = 1; i < bytes.length; i++) busy = this.#read(bytes[i] ?? 0, start + i)
    return busy
  }

  #take(symbol: number, start: number, end: number): void {
    this.#starts[this.#at] = start
    if (++this.#at === this.#starts.length) this.#at = 0
    this.#state = this.#needle.next(this.#state, symbol)
    if (this.#state < this.#starts.length) return
    this.#state = this.#needle.restart
    this.#found(this.#starts[this.#at] ?? start, end)
  }
}
