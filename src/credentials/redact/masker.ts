/**
 * Masks secrets, and what they look like when rendered, in a stream of bytes.
 *
 * Promises: what went through holds no secret, plain or in any of its forms one layer deep, wherever the stream fell into
 * pieces; lengths stay. Bytes are held back by position only, to the end of their line or for a fixed tail, never because
 * they look like the beginning of a secret: what comes at which time tells nothing about it (decision 34). Memory is that of
 * the tail; time grows with the bytes.
 */

import type { Secret } from '../secret.ts'
import { EscapeReader, type Found } from './escape-reader.ts'
import { HeldBytes, type Span } from './held-bytes.ts'
import { type SecretForms, secretForms, wakesAny } from './secret-forms.ts'
import { SextetReader } from './sextets.ts'

const nothing = Buffer.alloc(0)

export class Masker {
  /** Places masked so far. */
  redactions = 0
  readonly #held = new HeldBytes()
  readonly #scans: readonly Scan[]
  readonly #tailBytes: number

  /** What the readers have found and nobody has masked yet: they read what came, not what we made of it. */
  #found: Span[] = []

  constructor(secrets: readonly Secret[]) {
    const found = (start: number, end: number): void => this.#note(start, end)
    const byteAt = (position: number): number => this.#held.byteAt(position)
    let tailBytes = 0
    this.#scans = secrets.map((secret) => {
      const forms = secretForms(secret)
      tailBytes = Math.max(tailBytes, forms.tailBytes)
      return new Scan(forms, { found, byteAt })
    })
    this.#tailBytes = tailBytes
  }

  /** The chunk is ours from here on. Returns what may go on, of it and of what came before. */
  push(chunk: Buffer): Buffer {
    if (chunk.length === 0) return nothing
    const base = this.#held.end
    this.#held.append(chunk)
    for (const scan of this.#scans) scan.read(chunk, base)
    this.#mask()
    const lineEnd = Math.max(chunk.lastIndexOf(0x0a), chunk.lastIndexOf(0x0d)) + 1
    return this.#held.release(Math.max(lineEnd === 0 ? 0 : base + lineEnd, this.#held.end - this.#tailBytes))
  }

  /** Nothing follows. Returns what was still held. */
  finish(): Buffer {
    for (const scan of this.#scans) scan.finish(this.#held.end)
    this.#mask()
    return this.#held.release(this.#held.end)
  }

  /** What several readers find at once, or one after another in what repeats, is one place. */
  #note(start: number, end: number): void {
    const last = this.#found.at(-1)
    if (last === undefined || start < last.start || start > last.end) this.#found.push({ start, end })
    else if (end > last.end) this.#found[this.#found.length - 1] = { start: last.start, end }
  }

  #mask(): void {
    if (this.#found.length === 0) return
    const found = this.#found.sort((a, b) => a.start - b.start)
    this.#found = []
    for (const span of found) if (this.#held.mask(span)) this.redactions++
  }
}

/** A whole text of ISO 8859-1, as fields of a head are; the same one where there is nothing to mask. */
export function maskText(
  secrets: readonly Secret[],
  text: string,
): { readonly text: string; readonly redactions: number } {
  if (!mayHold(secrets, text)) return { text, redactions: 0 }
  const masker = new Masker(secrets)
  const start = masker.push(Buffer.from(text, 'latin1'))
  const rest = masker.finish()
  const { redactions } = masker
  return redactions === 0 ? { text, redactions } : { text: Buffer.concat([start, rest]).toString('latin1'), redactions }
}

const shortText = Buffer.alloc(8192)

/** False for hardly any head that has something to mask, and for nearly all that have nothing. */
function mayHold(secrets: readonly Secret[], text: string): boolean {
  const fits = text.length <= shortText.length
  const bytes = fits ? shortText : Buffer.from(text, 'latin1')
  if (fits) bytes.write(text, 0, 'latin1')
  for (const secret of secrets) {
    const { wakes, sextets } = secretForms(secret)
    if (wakesAny(wakes, bytes, text.length) || sextets.mayBeIn(bytes, text.length)) return true
  }
  return false
}

type Sink = ConstructorParameters<typeof SextetReader>[1]

/** All the ways to read a stream for one secret. */
class Scan {
  readonly #forms: SecretForms
  readonly #found: Found
  /** Made when the first byte is to be looked at: in most answers none is. */
  #readers: readonly EscapeReader[] = []
  readonly #sextets: SextetReader
  #busy = false

  constructor(forms: SecretForms, sink: Sink) {
    this.#forms = forms
    this.#found = sink.found
    this.#sextets = new SextetReader(forms.sextets, sink)
  }

  read(chunk: Buffer, base: number): void {
    this.#readEscapes(chunk, base)
    this.#sextets.scan(chunk, base)
  }

  finish(end: number): void {
    for (const reader of this.#readers) reader.finish()
    this.#sextets.finish(end)
  }

  /** Most bytes begin nothing, and are passed over while nothing is under way; here, since a call for each costs as much again. */
  #readEscapes(chunk: Buffer, base: number): void {
    const { by, before } = this.#forms.wakes
    const last = chunk.length - 1
    let busy = this.#busy
    for (let i = 0; i <= last; i++) {
      if (!busy) {
        while (i <= last && by[chunk[i] ?? 0] === 0) i++
        if (i > last || (i < last && before[chunk[i] ?? 0]?.[chunk[i + 1] ?? 0] === 0)) continue
      }
      const byte = chunk[i] ?? 0
      busy = false
      if (this.#readers.length === 0) this.#readers = readersOf(this.#forms, this.#found)
      for (const reader of this.#readers) if (reader.read(byte, base + i)) busy = true
    }
    this.#busy = busy
  }
}

function readersOf({ readings }: SecretForms, found: Found): EscapeReader[] {
  return readings.map(({ needle, form, fold }) => new EscapeReader(needle, form, fold, found))
}
