/**
 * Where in a request's head the placeholders of its session stand. Pure.
 *
 * Promises: a placeholder is found in any field, in path and query, plain, percent-encoded or inside Basic's base64, and in
 * fields inside a token that the client signed; a session without placeholders never gets here, and fields that come again
 * on a connection are looked through once.
 */

import { FieldMemo } from '../net/field-memo.ts'
import { parseJsonWebToken } from '../net/json-web-token.ts'
import { decodedEscapes } from '../net/query.ts'
import type { RequestHead } from '../net/request-head.ts'
import { type PlaceholderSpelling, spellingOf } from './foreign-credential.ts'

export type FoundPlaceholder = {
  readonly placeholder: string
  readonly place: 'field' | 'parameter' | 'target'
  /** Of the field, as it came, or of the parameter, decoded; empty for the target. */
  readonly name: string
  /** Null where it stands among other text. */
  readonly spelling: PlaceholderSpelling | null
}

type Scan = { readonly texts: readonly string[]; readonly fields: FieldMemo<readonly FoundPlaceholder[]> }

/** By the placeholders of a session, which stay one map as long as its policy does. */
const scans = new WeakMap<ReadonlyMap<string, string>, Scan>()

const none: readonly FoundPlaceholder[] = []

/** `placeholders`: by the credential's name in the policy. */
export function findPlaceholders(
  head: RequestHead,
  placeholders: ReadonlyMap<string, string>,
): readonly FoundPlaceholder[] {
  const { texts, fields } = scanFor(placeholders)
  const inFields = fields.of(head.fields)
  const inTarget = findInTarget(head, texts)
  return inTarget.length === 0 ? inFields : [...inFields, ...inTarget]
}

function scanFor(placeholders: ReadonlyMap<string, string>): Scan {
  const known = scans.get(placeholders)
  if (known !== undefined) return known
  const texts = [...new Set(placeholders.values())]
  const made = { texts, fields: new FieldMemo((fields) => findInFields(fields, texts)) }
  scans.set(placeholders, made)
  return made
}

function findInFields(fields: readonly string[], texts: readonly string[]): readonly FoundPlaceholder[] {
  const found: FoundPlaceholder[] = []
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? ''
    const value = fields[i + 1] ?? ''
    for (const placeholder of texts)
      if (holds(value, placeholder) || name.includes(placeholder))
        found.push({ placeholder, place: 'field', name, spelling: spellingOf(value, placeholder) })
  }
  return found
}

function findInTarget({ path, query }: RequestHead, texts: readonly string[]): readonly FoundPlaceholder[] {
  let found: FoundPlaceholder[] | null = null
  for (const placeholder of texts) {
    if (holds(path, placeholder)) (found ??= []).push({ placeholder, place: 'target', name: '', spelling: null })
    if (query === null || !holds(query, placeholder)) continue
    for (const pair of query.split(/[&;]/)) {
      if (holds(pair, placeholder)) (found ??= []).push(inPair(pair, placeholder))
    }
  }
  return found ?? none
}

function inPair(pair: string, placeholder: string): FoundPlaceholder {
  const equals = pair.indexOf('=')
  const name = pair.slice(0, Math.max(equals, 0))
  const value = pair.slice(equals + 1)
  if (equals < 0 || holds(name, placeholder) || !holds(value, placeholder))
    return { placeholder, place: 'target', name: '', spelling: null }
  // A `+` is a space to some, and itself to others.
  const spelling = spellingOf(value, placeholder) ?? spellingOf(decodedEscapes(value), placeholder)
  return { placeholder, place: 'parameter', name: decodedEscapes(name), spelling }
}

function holds(text: string, placeholder: string): boolean {
  if (text.includes(placeholder)) return true
  if (text.includes('%') && decodedEscapes(text).includes(placeholder)) return true
  const token = text.includes('eyJ') ? parseJsonWebToken(text.slice(text.lastIndexOf(' ') + 1)) : null
  if (token?.text.includes(placeholder) === true) return true
  const basic = /^basic +(\S+)$/i.exec(text)?.[1]
  return basic !== undefined && Buffer.from(basic, 'base64').toString('latin1').includes(placeholder)
}
