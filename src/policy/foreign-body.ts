/**
 * Credentials of the client's in the body: named fields of JSON at the top, of urlencoded forms and of multipart; and, where
 * parts of a body are bodies or requests themselves, in those. Pure.
 *
 * Promises: what says that it is of such a kind and cannot be read as that is unreadable, and not taken for harmless.
 */

import { foldName } from '../net/fields.ts'
import type { FormField } from '../net/form-fields.ts'
import type { JsonValue } from '../net/json-value.ts'
import { isFormData, parseInnerRequest, type Part } from '../net/multipart.ts'
import { BodyReading, bodyKindOf } from './body-reading.ts'
import { findForeignCredential, isCredentialMember, spellingOf } from './foreign-credential.ts'

export const unreadable = 'unreadable'

/** Parts in parts: what is nested deeper is nobody's upload. */
const depthMax = 4

/** The place of the first that is not ours, in words for the record; or `unreadable`; null: there is none. */
export function findForeignInBody(body: BodyReading, placeholder: string | null, depth = 0): string | null {
  if (body.kind === 'opaque' || body.isEmpty) return null
  if (body.kind === null || body.plain === null || depth > depthMax) return unreadable
  if (body.kind === 'multipart') return findInParts(body, placeholder, depth)
  if (body.kind === 'request') return findInRequest(body.plain, placeholder, depth)
  if (body.kind === 'json' && body.json === null) return unreadable
  // curl calls everything a form, and servers that want JSON read it all the same.
  const inJson = looksLikeJson(body.plain) && body.json !== null ? firstOf(membersOf(body.json), placeholder) : null
  if (inJson !== null || body.kind === 'json') return inJson
  return body.form === null ? unreadable : firstOf(body.form, placeholder)
}

function findInParts(body: BodyReading, placeholder: string | null, depth: number): string | null {
  const { parts } = body
  if (parts === null) return unreadable
  const named = firstOf(parts, placeholder)
  if (named !== null) return named
  // In a form the parts are values and files; elsewhere each is a body of its own (RFC 2046 §5.1).
  const isForm = isFormData(body.contentType)
  for (const part of parts) {
    if (isForm && !isStructured(part)) continue
    const place = findForeignInBody(new BodyReading(part, Buffer.from(part.value, 'latin1')), placeholder, depth + 1)
    if (place !== null) return place
  }
  return null
}

function isStructured({ fields }: Part): boolean {
  const kind = bodyKindOf(fields)
  return kind === null || kind === 'multipart' || kind === 'request'
}

/** Servers take such a request for one of its own, with whatever it shows of who asks. */
function findInRequest(plain: Buffer, placeholder: string | null, depth: number): string | null {
  const inner = parseInnerRequest(plain.toString('latin1'))
  if (inner === null) return unreadable
  const { fields, body } = inner
  if (fields.some((name, i) => i % 2 === 0 && /^-*cookie2?-*$/.test(foldName(name)))) return 'a cookie in the body'
  const place = findForeignCredential(inner, placeholder)
  if (place !== null) return `${place} in the body`
  return findForeignInBody(new BodyReading({ fields }, Buffer.from(body, 'latin1')), placeholder, depth + 1)
}

function looksLikeJson(bytes: Buffer): boolean {
  const first = bytes.subarray(0, 256).toString('latin1').trimStart()[0]
  return first === '{' || first === '['
}

/** Of a list of requests in one body, those of each. Numbers, true, false and null are nobody's key. */
function membersOf(json: JsonValue): FormField[] {
  const roots = json.kind === 'array' ? json.items : [json]
  return roots.flatMap((root) =>
    root.kind === 'object'
      ? root.members.flatMap(({ name, value }) =>
          value.kind === 'word' ? [] : [{ name, value: value.kind === 'string' ? value.text : '{}' }],
        )
      : [],
  )
}

/** What a client signed is left behind in a head. A body goes on as it is. */
function isOurs(value: string, placeholder: string): boolean {
  const spelling = spellingOf(value, placeholder)
  return spelling !== null && spelling.form !== 'jwt'
}

function firstOf(fields: readonly FormField[], placeholder: string | null): string | null {
  const foreign = fields.find(
    ({ name, value }) =>
      value !== '' && isCredentialMember(name) && (placeholder === null || !isOurs(value, placeholder)),
  )
  return foreign === undefined ? null : `body field ${foreign.name.replace(/[^a-zA-Z0-9_.-]/g, '-').slice(0, 64)}`
}
