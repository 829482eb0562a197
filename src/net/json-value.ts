/**
 * JSON as it is written (RFC 8259), read to be judged. No I/O, no policy.
 *
 * Promises: only what every reader takes for JSON is read; a name that stands twice is there twice, because readers differ
 * in which of the two they take; depth and count of values are bounded, and time grows with the text and nothing else.
 */

/** `start` and `end` are where the value stands in the text. */
export type JsonValue = Span &
  (
    | { readonly kind: 'object'; readonly members: readonly JsonMember[] }
    | { readonly kind: 'array'; readonly items: readonly JsonValue[] }
    | { readonly kind: 'string'; readonly text: string }
    /** A number, true, false or null, as written. */
    | { readonly kind: 'word'; readonly text: string }
  )
type JsonMember = { readonly name: string; readonly value: JsonValue }
type Span = { readonly start: number; readonly end: number }

const jsonDepthMax = 128
/** What a model is sent has some thousands; the tree of more would weigh many times the text. */
const jsonValuesMax = 500_000

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text of bytes that are UTF-8 throughout; null otherwise. */
export function utf8Text(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes)
  } catch {
    return null
  }
}

/** Null where it is not JSON, or more of it than the bounds allow. */
export function parseJson(text: string): JsonValue | null {
  const reader = new JsonReader(text)
  const value = reader.value(0)
  return value === null || !reader.atEnd() ? null : value
}

const word = /true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const notPlain = /[^ !#-[\]-\uffff]/

class JsonReader {
  readonly #text: string
  #at = 0
  #values = 0

  constructor(text: string) {
    this.#text = text
  }

  value(depth: number): JsonValue | null {
    this.#space()
    this.#values++
    if (depth > jsonDepthMax || this.#values > jsonValuesMax) return null
    const start = this.#at
    switch (this.#text.charAt(start)) {
      case '{':
        return this.#object(start, depth)
      case '[':
        return this.#array(start, depth)
      case '"': {
        const text = this.#string()
        return text === null ? null : { kind: 'string', text, start, end: this.#at }
      }
      default: {
        word.lastIndex = start
        const text = word.exec(this.#text)?.[0]
        if (text === undefined) return null
        this.#at += text.length
        return { kind: 'word', text, start, end: this.#at }
      }
    }
  }

  atEnd(): boolean {
    this.#space()
    return this.#at === this.#text.length
  }

  #object(start: number, depth: number): JsonValue | null {
    this.#at++
    const members: JsonMember[] = []
    if (this.#takes('}')) return { kind: 'object', members, start, end: this.#at }
    do {
      this.#space()
      const name = this.#string()
      if (name === null || !this.#takes(':')) return null
      const value = this.value(depth + 1)
      if (value === null) return null
      members.push({ name, value })
    } while (this.#takes(','))
    return this.#takes('}') ? { kind: 'object', members, start, end: this.#at } : null
  }

  #array(start: number, depth: number): JsonValue | null {
    this.#at++
    const items: JsonValue[] = []
    if (this.#takes(']')) return { kind: 'array', items, start, end: this.#at }
    do {
      const value = this.value(depth + 1)
      if (value === null) return null
      items.push(value)
    } while (this.#takes(','))
    return this.#takes(']') ? { kind: 'array', items, start, end: this.#at } : null
  }

  #string(): string | null {
    const text = this.#text
    if (text[this.#at] !== '"') return null
    const begin = this.#at + 1
    let quote = text.indexOf('"', begin)
    while (quote >= 0 && isEscaped(text, quote)) quote = text.indexOf('"', quote + 1)
    if (quote < 0) return null
    this.#at = quote + 1
    const inside = text.slice(begin, quote)
    return notPlain.test(inside) ? unescaped(inside) : inside
  }

  #takes(sign: string): boolean {
    this.#space()
    if (this.#text[this.#at] !== sign) return false
    this.#at++
    return true
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
      this.#at++
    }
  }
}

/** An odd number of backslashes before it. */
function isEscaped(text: string, at: number): boolean {
  let before = at
  while (text[before - 1] === '\\') before--
  return (at - before) % 2 === 1
}

function unescaped(inside: string): string | null {
  try {
    const parsed: unknown = JSON.parse(`"${inside}"`)
    return typeof parsed === 'string' ? parsed : null
  } catch {
    return null
  }
}
