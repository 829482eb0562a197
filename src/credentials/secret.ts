/**
 * Secret: a value that is put on a request and shown nowhere else.
 *
 * Promises: it prints as `[secret]` wherever things are printed; the only way to the text is `reveal()`, which can be
 * searched for. What could break a header line, or is too short to be masked without confirming guesses, is none; a key of
 * several lines is one only for a kind that never puts it on a request.
 */

import { inspect } from 'node:util'

class Secret {
  readonly #text: string
  constructor(text: string) {
    this.#text = text
  }
  reveal(): string {
    return this.#text
  }
  toString(): string {
    return '[secret]'
  }
  toJSON(): string {
    return '[secret]'
  }
  [Symbol.toPrimitive](): string {
    return '[secret]'
  }
  [inspect.custom](): string {
    return '[secret]'
  }
}
export type { Secret }

/** `lines`: a key in PEM or JSON, of which something else is made that goes on requests. */
export type SecretShape = 'line' | 'lines'

export type SecretRules = {
  readonly unsafeShortSecret: boolean
  /** A line where nothing is said. */
  readonly secretShape?: SecretShape
}

export const secretBytesMax = 64 * 1024
/** Below it a masked answer tells a guesser which guess was right (decision 36). */
const secretBytesMin = 16

/** The secret, or a sentence about what is wrong with it that holds nothing of it. One newline at the end is a file's. */
export function parseSecret(raw: Buffer | string, rules: SecretRules): Secret | string {
  const bytes = Buffer.isBuffer(raw) ? raw : Buffer.from(raw, 'utf8')
  if (bytes.length > secretBytesMax) return `is over ${secretBytesMax} bytes`
  const isOfLines = rules.secretShape === 'lines'
  const whole = bytes.toString('latin1')
  const text = isOfLines ? whole.trim() : whole.replace(/\r?\n$/, '')
  if (text === '') return 'is empty'
  if (isOfLines && /^[\t\r\n -~]{16,}$/.test(text)) return new Secret(text)
  // Header values are ASCII: beyond it clients, proxies and origins disagree about what was sent (RFC 9110 §5.5).
  if (!/^[ -~]+$/.test(text)) return 'has a line break, another control character or a character outside ASCII'
  // Spaces around a value are not part of it to the one who reads it.
  if (text.startsWith(' ') || text.endsWith(' ')) return 'begins or ends with a space'
  if (text.length < secretBytesMin && !rules.unsafeShortSecret)
    return `is under ${secretBytesMin} bytes; if that is right, say "unsafeShortSecret: true"`
  return new Secret(text)
}
