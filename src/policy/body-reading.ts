/**
 * A request's body as far as rules look at it: its kind by what the head says, its content where it was held. Pure.
 *
 * Promises: the content is read at most once, and only where somebody asks; what is still coded, not UTF-8 or not strictly
 * of its kind reads as null, which no allow is made of.
 */

import { type Fields, fieldValues } from '../net/fields.ts'
import { type FormField, parseUrlEncoded } from '../net/form-fields.ts'
import { type JsonValue, parseJson, utf8Text } from '../net/json-value.ts'
import { parseMultipart, type Part } from '../net/multipart.ts'
import type { RequestHead } from '../net/request-head.ts'

/** `text` is what says it is text, or says nothing; `opaque` what no server looks for named fields in. */
export type BodyKind = 'form' | 'json' | 'multipart' | 'opaque' | 'request' | 'text'

/** By Content-Type; null where it says two things. */
export function bodyKindOf(fields: Fields): BodyKind | null {
  const [type = '', second] = fieldValues(fields, 'content-type')
  if (second !== undefined) return null
  const essence = type.toLowerCase()
  // Its parameters may name the type of its first part (RFC 2387); what begins with a delimiter is nothing else.
  if (essence.startsWith('multipart/')) return 'multipart'
  if (essence.includes('json')) return /ndjson|jsonl|json-seq/.test(essence) ? 'opaque' : 'json'
  if (essence.includes('x-www-form-urlencoded')) return 'form'
  if (essence.includes('multipart/')) return 'multipart'
  if (essence.startsWith('application/http')) return 'request'
  return essence.startsWith('text/') || !/^[a-z]+\/[a-z0-9]/.test(essence) ? 'text' : 'opaque'
}

/** Whether it is in a content coding; `identity` is none. */
function isCoded(fields: Fields): boolean {
  return fieldValues(fields, 'content-encoding').some((coding) => !/^(?:identity)?$/i.test(coding))
}

export class BodyReading {
  /** As it was sent, and will go on. */
  readonly bytes: Buffer
  /** What is read; null: it is coded, and nobody could undo that. */
  readonly plain: Buffer | null
  readonly kind: BodyKind | null
  readonly contentType: string
  #text: string | null | undefined
  #json: JsonValue | null | undefined

  /** `decoded`: what its content coding hides, where it has one. */
  constructor({ fields }: Pick<RequestHead, 'fields'>, bytes: Buffer, decoded: Buffer | null = null) {
    this.bytes = bytes
    this.plain = isCoded(fields) ? decoded : bytes
    this.kind = bodyKindOf(fields)
    this.contentType = fieldValues(fields, 'content-type')[0] ?? ''
  }

  get isEmpty(): boolean {
    return this.bytes.length === 0
  }

  /** Null: not UTF-8, or coded. */
  get text(): string | null {
    if (this.#text === undefined) this.#text = this.plain === null ? null : utf8Text(this.plain)
    return this.#text
  }

  /** Whatever the head calls it: servers that read JSON often do not look. */
  get json(): JsonValue | null {
    if (this.#json === undefined) this.#json = this.text === null ? null : parseJson(this.text)
    return this.#json
  }

  get form(): readonly FormField[] | null {
    return this.plain === null ? null : parseUrlEncoded(this.plain.toString('latin1'))
  }

  get parts(): readonly Part[] | null {
    return this.plain === null ? null : parseMultipart(this.plain.toString('latin1'), this.contentType)
  }
}
