/**
 * Base64 as the six-bit values its characters stand for: a secret within it, wherever in the groups of three it begins.
 *
 * Promises: both alphabets are read as one (RFC 4648 §4 and §5); what encloses the secret, such as the `user:` of Basic,
 * makes no difference; whoever holds every character but the two at its borders is found too.
 */

import { Needle } from './needle.ts'

/** Stands for bytes outside the alphabets. */
const outside = 64

const sextetOf = new Uint8Array(256).fill(outside)
for (const [i, byte] of [...Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')].entries())
  sextetOf[byte] = i
sextetOf[0x2d] = 62
sextetOf[0x5f] = 63

/** Fewer than these are found everywhere. */
const sextetsMin = 4

type Alignment = {
  /** Of the characters that hold bits of the secret only. */
  readonly needle: Needle
  /** Whether a character before them, or after, holds the others. */
  readonly before: boolean
  readonly after: boolean
}

export class SextetForm {
  readonly alignments: readonly Alignment[]
  /** At `previous * 65 + current`: whether an alignment begins with these two, and whether one has them anywhere. */
  readonly begins = new Uint8Array(65 * 65)
  readonly within = new Uint8Array(65 * 65)
  /** Two less than the shortest alignment has. */
  readonly stride: number

  constructor(secret: Uint8Array) {
    this.alignments = [0, 1, 2].flatMap((ahead) => alignmentOf(secret, ahead))
    for (const { needle } of this.alignments) {
      const { symbols } = needle
      this.begins[(symbols[0] ?? 0) * 65 + (symbols[1] ?? 0)] = 1
      for (let i = 1; i < symbols.length; i++) this.within[(symbols[i - 1] ?? 0) * 65 + (symbols[i] ?? 0)] = 1
    }
    this.stride = Math.min(...this.alignments.map(({ needle }) => needle.symbols.length)) - 2
  }

  /** False: no alignment is in this whole text. */
  mayBeIn(text: Uint8Array, length: number): boolean {
    return this.passOver(text, 0, length) + this.stride < length
  }

  /** The byte to go on with, where nothing is under way at `from`: what begins before it would hold two that no alignment has. */
  passOver(text: Uint8Array, from: number, length: number): number {
    const { within, stride } = this
    let next = from
    while (next + stride < length) {
      // All that began with the byte before `next`, or begins before the first of these two, would hold them both.
      const first = sextetOf[text[next + stride - 1] ?? 0] ?? outside
      if (within[first * 65 + (sextetOf[text[next + stride] ?? 0] ?? outside)] === 1) break
      next += stride
    }
    return next
  }
}

/** `ahead` bytes stand before the secret in its first group of three. */
function alignmentOf(secret: Uint8Array, ahead: number): Alignment[] {
  const text = Buffer.concat([Buffer.alloc(ahead), secret])
    .toString('base64')
    .replace(/=+$/, '')
  const firstWhole = Math.ceil((ahead * 8) / 6)
  const wholeEnd = Math.floor(((ahead + secret.length) * 8) / 6)
  const symbols = Uint8Array.from(Buffer.from(text), (byte) => sextetOf[byte] ?? outside).slice(firstWhole, wholeEnd)
  if (symbols.length < sextetsMin) return []
  return [
    { needle: new Needle(symbols), before: (ahead * 8) % 6 !== 0, after: ((ahead + secret.length) * 8) % 6 !== 0 },
  ]
}

type Sink = {
  readonly found: (start: number, end: number) => void
  /** The byte there; it is among those that are still held. */
  readonly byteAt: (position: number) => number
}

export class SextetReader {
  readonly #form: SextetForm
  readonly #sink: Sink
  /** For each alignment, once something has begun. */
  readonly #states: number[] = []
  #previous = outside
  #busy = false
  /** What was found, and ends with the next character if it is one. */
  #open: number | null = null

  constructor(form: SextetForm, sink: Sink) {
    this.#form = form
    this.#sink = sink
  }

  scan(chunk: Uint8Array, base: number): void {
    const { begins, stride } = this.#form
    const { length } = chunk
    let previous = this.#previous
    let busy = this.#busy
    // Each byte is read until here.
    let until = 0
    for (let i = 0; i < length; i++) {
      if (!busy && i >= until) {
        const next = this.#form.passOver(chunk, i, length)
        if (next > i) previous = sextetOf[chunk[next - 1] ?? 0] ?? outside
        i = next
        until = i + stride
      }
      const sextet = sextetOf[chunk[i] ?? 0] ?? outside
      if (busy) busy = this.#step(sextet, base + i)
      else if (begins[previous * 65 + sextet] === 1) busy = this.#begin(previous, sextet, base + i)
      previous = sextet
    }
    this.#previous = previous
    this.#busy = busy
  }

  finish(end: number): void {
    this.#close(end - 1)
  }

  #begin(previous: number, sextet: number, position: number): boolean {
    for (const [i, { needle }] of this.#form.alignments.entries())
      this.#states[i] = needle.symbols[0] === previous ? 1 : 0
    return this.#step(sextet, position)
  }

  /** Whether anything is under way. */
  #step(sextet: number, position: number): boolean {
    if (this.#open !== null) this.#close(sextet === outside ? position - 1 : position)
    let busy = false
    const { alignments } = this.#form
    for (let i = 0; i < alignments.length; i++) {
      const alignment = alignments[i]
      if (alignment === undefined) continue
      const { needle } = alignment
      let state = needle.next(this.#states[i] ?? 0, sextet)
      if (state === needle.symbols.length) {
        state = needle.restart
        this.#take(alignment, position)
      }
      this.#states[i] = state
      if (state > 1) busy = true
    }
    return busy || this.#open !== null
  }

  #take({ needle, before, after }: Alignment, end: number): void {
    const first = end - needle.symbols.length + 1
    const start = before && sextetOf[this.#sink.byteAt(first - 1)] !== outside ? first - 1 : first
    if (after) this.#open = this.#open === null ? start : Math.min(this.#open, start)
    else this.#sink.found(start, end)
  }

  #close(end: number): void {
    if (this.#open === null) return
    this.#sink.found(this.#open, end)
    this.#open = null
  }
}
