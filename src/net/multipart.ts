/**
 * Bodies of several parts, read to be judged: `multipart/form-data` (RFC 7578) and the others (RFC 2046 §5.1), with the
 * requests that some of them hold (`application/http`, RFC 9112 §10.2). No I/O, no policy.
 *
 * Promises: what two readers could part at different places is null, never a guess.
 */

import { type Fields, foldName, listTokens } from './fields.ts'
import { decodedEscapes } from './query.ts'

/** `name` is empty where none is said. `value` is latin1; a file is a part too, with its content as the value. */
export type Part = { readonly fields: Fields; readonly name: string; readonly value: string }

/** Servers have long ceased to show more, though they may still obey them. */
const partsMax = 10_000

export function isFormData(contentType: string): boolean {
  return /^multipart\/form-data[ \t]*;/i.test(contentType)
}

/** `body` is latin1: a character for each byte. */
export function parseMultipart(body: string, contentType: string): readonly Part[] | null {
  const boundary = boundaryOf(contentType)
  if (boundary === null) return null
  const delimiter = `--${boundary}`
  // Without a preamble: some readers look for the first delimiter anywhere, some only at the beginning.
  if (!body.startsWith(delimiter)) return null
  // Mail libraries end lines as their system does. Browsers and what reads from them do not.
  const end = body.startsWith('\n', delimiter.length) && !isFormData(contentType) ? '\n' : '\r\n'
  const parts: Part[] = []
  let at = delimiter.length
  for (;;) {
    // RFC 2046 §5.1.1: a delimiter ends its line; two dashes more end the whole.
    if (body.startsWith('--', at)) return ['', end].includes(body.slice(at + 2)) ? parts : null
    if (!body.startsWith(end, at) || parts.length >= partsMax) return null
    // What begins like a delimiter without being one is one to lenient readers.
    const next = body.indexOf(delimiter, at)
    const stop = next - end.length
    if (next < 0 || !body.startsWith(end, stop) || (end === '\n' && body[stop - 1] === '\r')) return null
    const part = parsePart(body.slice(at + end.length, stop), end)
    if (part === null) return null
    parts.push(part)
    at = next + delimiter.length
  }
}

function boundaryOf(contentType: string): string | null {
  const found = [...contentType.matchAll(/;[ \t]*boundary=(?:"([^"\\]*)"|([^;\s"]*))/gi)]
  const [only, second] = found
  if (only === undefined || second !== undefined) return null
  const boundary = only[1] ?? only[2] ?? ''
  return /^[A-Za-z0-9'()+_,./:=?-]{1,70}$/.test(boundary) ? boundary : null
}

function parsePart(part: string, lineEnd: string): Part | null {
  const end = part.startsWith(lineEnd) ? 0 : part.indexOf(lineEnd + lineEnd)
  if (end < 0) return null
  const fields = parseFields(part.slice(0, end).split(lineEnd))
  if (fields === null) return null
  const names: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    const name = foldName(fields[i] ?? '')
    const value = fields[i + 1] ?? ''
    if (name === 'content-transfer-encoding' && !listTokens(value).every(isPlainCoding)) return null
    if (name === 'content-disposition') names.push(...namesIn(value))
  }
  const [name = '', second] = names
  if (second !== undefined) return null
  return { fields, name, value: part.slice(end === 0 ? lineEnd.length : end + 2 * lineEnd.length) }
}

/** A folded line, or one that is none: readers differ. */
function parseFields(lines: readonly string[]): Fields | null {
  const fields: string[] = []
  for (const line of lines) {
    if (line === '') continue
    const colon = line.indexOf(':')
    if (colon <= 0 || /[\r\n\0]/.test(line) || /^[ \t]/.test(line)) return null
    fields.push(line.slice(0, colon).trimEnd(), line.slice(colon + 1).trim())
  }
  return fields
}

function isPlainCoding(coding: string): boolean {
  return coding === '7bit' || coding === '8bit' || coding === 'binary'
}

/** `name="a"`, `name=a`, and `name*=utf-8''a` (RFC 8187), which some servers read. */
function namesIn(disposition: string): string[] {
  return [...`;${disposition}`.matchAll(/;[ \t]*name(\*?)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^;]*))/gi)].map(
    ([, star, quoted, bare = '']) => {
      const text = quoted?.replace(/\\(.)/g, '$1') ?? bare.trim()
      return decodedEscapes(star === '*' ? text.slice(text.lastIndexOf("'") + 1) : text)
    },
  )
}

/** A request within a body: what of it could hold a credential. */
export type InnerRequest = {
  readonly method: string
  readonly query: string | null
  readonly fields: Fields
  readonly body: string
}

/** Lines end as the part's did; a request that ends with its head has no empty line behind it with some. */
export function parseInnerRequest(text: string): InnerRequest | null {
  const lineEnd = /^[^\r\n]*(\r?\n)/.exec(text)?.[1] ?? '\r\n'
  const end = text.indexOf(lineEnd + lineEnd)
  const [line = '', ...lines] = (end < 0 ? text : text.slice(0, end)).split(lineEnd)
  const [, method, target] = /^([A-Za-z]{1,20}) ([!-~]+)(?: HTTP\/1\.[01])?$/.exec(line) ?? []
  const fields = parseFields(lines)
  if (method === undefined || target === undefined || fields === null) return null
  const question = target.indexOf('?')
  const query = question < 0 ? null : target.slice(question + 1)
  return { method, query, fields, body: end < 0 ? '' : text.slice(end + 2 * lineEnd.length) }
}
