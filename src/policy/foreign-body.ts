/**
 * Credentials of the client's in the body: named fields of JSON at the top, of urlencoded forms and of multipart. Pure.
 *
 * Promises: what says that it is of such a kind and cannot be read as that is unreadable, and not taken for harmless.
 */

import type { FormField } from '../net/form-fields.ts'
import type { JsonValue } from '../net/json-value.ts'
import type { BodyReading } from './body-reading.ts'
import { isCredentialMember, spellingOf } from './foreign-credential.ts'

export const unreadable = 'unreadable'

/** The place of the first that is not ours, in words for the record; or `unreadable`; null: there is none. */
export function findForeignInBody(body: BodyReading, placeholder: string | null): string | null {
  if (body.kind === 'opaque' || body.bytes.length === 0) return null
  if (body.kind === null || body.isCoded) return unreadable
  if (body.kind === 'multipart') {
    return body.multipart === null ? unreadable : firstOf(body.multipart, placeholder)
  }
  if (body.kind === 'json' && body.json === null) return unreadable
  // curl calls everything a form, and servers that want JSON read it all the same.
  const inJson = looksLikeJson(body.bytes) && body.json !== null ? firstOf(membersOf(body.json), placeholder) : null
  if (inJson !== null || body.kind === 'json') return inJson
  return body.form === null ? unreadable : firstOf(body.form, placeholder)
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

function firstOf(fields: readonly FormField[], placeholder: string | null): string | null {
  const foreign = fields.find(
    ({ name, value }) =>
      value !== '' && isCredentialMember(name) && (placeholder === null || spellingOf(value, placeholder) === null),
  )
  return foreign === undefined ? null : `body field ${foreign.name.replace(/[^a-zA-Z0-9_.-]/g, '-').slice(0, 64)}`
}
