/**
 * The text of a request head → its parts (RFC 9112 §2 to §5). No I/O.
 *
 * Promises: exactly the grammar, and nothing that is only close to it. Bare line ends, folded lines, spaces around a name,
 * controls, a second space in the request line: each is read differently by some server behind us, so each is refused.
 */

import { noteRepeated } from './field-memo.ts'
import type { Fields } from './fields.ts'
import { type HeadProblem, malformed, type RawHead } from './request-head.ts'

// What a method or a target may hold is for `request-head.ts` to say, in a better sentence.
const requestLine = /^([!-~]+) ([!-~\x80-\xff]+) HTTP\/1\.([01])$/

// A name is a token with the colon right behind it; a value is visible text, spaces and tabs (RFC 9110 §5.5).
const fieldLines = /^(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*$/

const keptLengthMax = 4096

/** Reads the heads of one connection: a client that repeats its fields word for word is given the same list again. */
export class HeadTexts {
  #lines: string | null = null
  #fields: Fields = []

  /** `text` is the head with the end of its last line, without the empty line behind it; bytes as latin1. */
  parse(text: string): RawHead | HeadProblem {
    const lineEnd = text.indexOf('\r\n')
    const line = requestLine.exec(text.slice(0, lineEnd))
    if (line === null) return malformed('the request line is not "METHOD target HTTP/1.1"')
    const lines = text.slice(lineEnd + 2)
    if (lines === this.#lines) noteRepeated(this.#fields)
    else if (!fieldLines.test(lines)) return malformed('a field line is not "name: value"')
    else {
      // What is kept stays as long as the connection, with the text that it is a part of.
      this.#lines = text.length <= keptLengthMax ? lines : null
      this.#fields = fieldsOf(lines)
    }
    const [, method = '', target = '', minor] = line
    return { method, target, httpVersion: minor === '1' ? '1.1' : '1.0', fields: this.#fields }
  }
}

/** Of what has come so far of a head: whether it can still become one. */
export function canBecomeHead(text: string): boolean {
  // A line feed alone would end the line for some; so would a return that no line feed follows, wherever it stands.
  return !/[^\t\r\n -~\x80-\xff]|(?:^|[^\r])\n|\r(?!\n|$)/.test(text)
}

/** Field lines that the grammar has passed. */
function fieldsOf(lines: string): string[] {
  const fields: string[] = []
  for (let at = 0; at < lines.length; ) {
    const colon = lines.indexOf(':', at)
    const end = lines.indexOf('\r\n', colon)
    fields.push(lines.slice(at, colon), trimmed(lines, colon + 1, end))
    at = end + 2
  }
  return fields
}

/** Without the spaces and tabs around it (RFC 9112 §5.1); a regular expression would walk long runs of them twice. */
function trimmed(text: string, from: number, to: number): string {
  let start = from
  let end = to
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}
