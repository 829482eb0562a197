/**
 * A request's body as far as rules look at it: its kind by what the head says, its content where it was held. Pure.
 *
 * Promises: the content is read at most once, and only where somebody asks; what is coded, not UTF-8 or not strictly of its
 * kind reads as null, which no allow is made of.
 */

import { type Fields, fieldValues } from '../net/fields.ts'
import { type FormField, parseMultipart, parseUrlEncoded } from '../net/form-fields.ts'
import { type JsonValue, parseJson, utf8Text } from '../net/json-value.ts'
import type { RequestHead } from '../net/request-head.ts'

/** `text` is what says it is text, or says nothing; `opaque` what no server looks for named fields in. */
export type BodyKind = 'form' | 'json' | 'multipart' | 'opaque' | 'text'

/** By Content-Type; null where it says two things. */
export function bodyKindOf(fields: Fields): BodyKind | null {
  const [type = '', second] = fieldValues(fields, 'content-type')
  if (second !== undefined) return null
  const essence = type.toLowerCase()
  if (essence.includes('json')) return /ndjson|jsonl|json-seq/.test(essence) ? 'opaque' : 'json'
  if (essence.includes('x-www-form-urlencoded')) return 'form'
  if (essence.includes('multipart/')) return 'multipart'
  return essence.startsWith('text/') || !/^[a-z]+\/[a-z0-9]/.test(essence) ? 'text' : 'opaque'
}

export class BodyReading {
  readonly bytes: Buffer
  readonly kind: BodyKind | null
  readonly #fields: Fields
  #text: string | null | undefined
  #json: JsonValue | null | undefined

  constructor({ fields }: Pick<RequestHead, 'fields'>, bytes: Buffer) {
    this.bytes = bytes
    this.#fields = fields
    this.kind = bodyKindOf(fields)
  }

  get isCoded(): boolean {
    return fieldValues(this.#fields, 'content-encoding').some((coding) => !/^(?:identity)?$/i.test(coding))
  }

  /** Null: not UTF-8, or coded. */
  get text(): string | null {
    if (this.#text === undefined) this.#text = this.isCoded ? null : utf8Text(this.bytes)
    return this.#text
  }

  /** Whatever the head calls it: servers that read JSON often do not look. */
  get json(): JsonValue | null {
    if (this.#json === undefined) this.#json = this.text === null ? null : parseJson(this.text)
    return this.#json
  }

  get form(): readonly FormField[] | null {
    return this.isCoded ? null : parseUrlEncoded(this.bytes.toString('latin1'))
  }

  /** Other kinds of multipart hold whole requests, with fields of their own. */
  get multipart(): readonly FormField[] | null {
    const [type = ''] = fieldValues(this.#fields, 'content-type')
    if (this.isCoded || !/^multipart\/form-data[ \t]*;/i.test(type)) return null
    return parseMultipart(this.bytes.toString('latin1'), type)
  }
}
