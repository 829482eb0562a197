/**
 * Forms, read to be judged: names and values of `application/x-www-form-urlencoded` (WHATWG URL) and
 * `multipart/form-data` (RFC 7578). No I/O, no policy.
 *
 * Promises: a form that two readers could part at different places is null, never a guess.
 */

import { foldName, listTokens } from './fields.ts'
import { decodedEscapes } from './query.ts'

export type FormField = { readonly name: string; readonly value: string }

/** Servers have long ceased to show more, though they may still obey them. */
const partsMax = 10_000

/** `text` is latin1: a character for each byte. */
export function parseUrlEncoded(text: string): readonly FormField[] | null {
  const pairs = text.split(/[&;]/)
  if (pairs.length > partsMax) return null
  return pairs.map((pair) => {
    const equals = pair.indexOf('=')
    return equals < 0
      ? { name: decodedEscapes(pair), value: '' }
      : { name: decodedEscapes(pair.slice(0, equals)), value: decodedEscapes(pair.slice(equals + 1)) }
  })
}

/** `body` is latin1. Files are fields too, with their content as the value. */
export function parseMultipart(body: string, contentType: string): readonly FormField[] | null {
  const boundary = boundaryOf(contentType)
  if (boundary === null) return null
  const delimiter = `--${boundary}`
  // Without a preamble: some readers look for the first delimiter anywhere, some only at the beginning.
  if (!body.startsWith(delimiter)) return null
  const fields: FormField[] = []
  let at = delimiter.length
  for (;;) {
    // RFC 2046 §5.1.1: a delimiter ends its line; two dashes more end the form.
    if (body.startsWith('--', at)) return /^(?:\r\n)?$/.test(body.slice(at + 2)) ? fields : null
    if (!body.startsWith('\r\n', at) || fields.length >= partsMax) return null
    // What begins like a delimiter without being one is one to lenient readers.
    const next = body.indexOf(delimiter, at)
    if (next < 0 || !body.startsWith('\r\n', next - 2)) return null
    const field = parsePart(body.slice(at + 2, next - 2))
    if (field === null) return null
    fields.push(field)
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

function parsePart(part: string): FormField | null {
  const end = part.startsWith('\r\n') ? 0 : part.indexOf('\r\n\r\n')
  if (end < 0) return null
  const lines = part.slice(0, end).split('\r\n')
  const names: string[] = []
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (line === '') continue
    // A folded line, or none: readers differ.
    if (colon <= 0 || /[\r\n\0]/.test(line) || /^[ \t]/.test(line)) return null
    const field = foldName(line.slice(0, colon))
    if (field === 'content-transfer-encoding' && listTokens(line.slice(colon + 1)).some((one) => !isPlainCoding(one)))
      return null
    if (field === 'content-disposition') names.push(...namesIn(line.slice(colon + 1)))
  }
  const [name, second] = names
  if (second !== undefined) return null
  return { name: name ?? '', value: part.slice(end === 0 ? 2 : end + 4) }
}

function isPlainCoding(coding: string): boolean {
  return coding === '7bit' || coding === '8bit' || coding === 'binary'
}

/** `name="a"`, `name=a`, and `name*=utf-8''a` (RFC 8187), which some servers read. */
function namesIn(disposition: string): string[] {
  return [...disposition.matchAll(/;[ \t]*name(\*?)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^;]*))/gi)].map(
    ([, star, quoted, bare = '']) => {
      const text = quoted?.replace(/\\(.)/g, '$1') ?? bare.trim()
      return decodedEscapes(star === '*' ? text.slice(text.lastIndexOf("'") + 1) : text)
    },
  )
}
