/**
 * The ways in which a text spells single characters: what an escape begins with, and what it stands for.
 *
 * Promises: an escape is at most `escapeBytesMax` long; no form gives a line break, so what spans lines is none.
 */

/** `undecided` needs another byte; `literal`: the first byte stands for itself. */
export const undecided = -1
export const literal = -2
/** Stands for a character that no secret has. */
const foreign = 0

export const escapeBytesMax = 10

export type EscapeForm = {
  /** Bytes that begin an escape. */
  readonly leads: string
  /** What the first `length` bytes are: a symbol, `undecided`, or `literal`. Asked after each byte. */
  readonly read: (bytes: Uint8Array, length: number) => number
}

/** RFC 3986 §2.1, any mix of escaped and plain. */
const percent: EscapeForm = {
  leads: '%',
  read: (bytes, length) => hexEscape(bytes, length, 1, 2),
}

/** The same where `+` is a space (application/x-www-form-urlencoded). */
const form: EscapeForm = {
  leads: '%+',
  read: (bytes, length) => (bytes[0] === 0x2b ? 0x20 : percent.read(bytes, length)),
}

/** RFC 8259 §7, with the `\x53` and `\'` that JavaScript, Python and PHP add. */
const json: EscapeForm = {
  leads: '\\',
  read: (bytes, length) => {
    if (length === 1) return undecided
    const kind = bytes[1] ?? 0
    if (kind === 0x75) return hexEscape(bytes, length, 2, 4)
    if (kind === 0x78) return hexEscape(bytes, length, 2, 2)
    if (isControlLetter(kind)) return foreign
    return isPunctuation(kind) ? kind : literal
  },
}

const entities: readonly (readonly [name: Buffer, symbol: number])[] = [
  [Buffer.from('amp;'), 0x26],
  [Buffer.from('apos;'), 0x27],
  [Buffer.from('gt;'), 0x3e],
  [Buffer.from('lt;'), 0x3c],
  [Buffer.from('quot;'), 0x22],
]

/** The five of XML, and numbers with leading zeros up to `escapeBytesMax`. */
const html: EscapeForm = {
  leads: '&',
  read: (bytes, length) => {
    if (length === 1) return undecided
    if (bytes[1] === 0x23) return numberedEntity(bytes, length)
    for (const [name, symbol] of entities)
      if (startsLike(name, bytes, length)) return name.length === length - 1 ? symbol : undecided
    return literal
  },
}

/** For text as it is. */
const plain: EscapeForm = { leads: '', read: () => literal }

export const escapeForms = { form, html, json, percent, plain } as const

/** Whether the name goes on like the bytes behind their first. */
function startsLike(name: Buffer, bytes: Uint8Array, length: number): boolean {
  for (let i = 1; i < length; i++) if (name[i - 1] !== bytes[i]) return false
  return true
}

/** `&#65;` and `&#x41;`: bytes before the last one were looked at when they came. */
function numberedEntity(bytes: Uint8Array, length: number): number {
  if (length === 2) return undecided
  const inHex = ((bytes[2] ?? 0) | 0x20) === 0x78
  const digitsAt = inHex ? 3 : 2
  if (length === digitsAt) return undecided
  const newest = bytes[length - 1] ?? 0
  if (newest === 0x3b) return length - 1 === digitsAt ? literal : codeOf(bytes, digitsAt, length - 1, inHex ? 16 : 10)
  const value = hexValue(newest)
  return value < 0 || (value > 9 && !inHex) || length === escapeBytesMax ? literal : undecided
}

function codeOf(bytes: Uint8Array, from: number, to: number, base: number): number {
  let code = 0
  for (let i = from; i < to; i++) code = code * base + hexValue(bytes[i] ?? 0)
  return code < 0x100 ? code : foreign
}

function hexEscape(bytes: Uint8Array, length: number, digitsAt: number, digits: number): number {
  if (length > digitsAt && hexValue(bytes[length - 1] ?? 0) < 0) return literal
  if (length < digitsAt + digits) return undecided
  return codeOf(bytes, digitsAt, length, 16)
}

function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

function isControlLetter(byte: number): boolean {
  return byte === 0x62 || byte === 0x66 || byte === 0x6e || byte === 0x72 || byte === 0x74
}

function isPunctuation(byte: number): boolean {
  if (byte < 0x20 || byte > 0x7e) return false
  const letter = byte | 0x20
  return !(byte >= 0x30 && byte <= 0x39) && !(letter >= 0x61 && letter <= 0x7a)
}
