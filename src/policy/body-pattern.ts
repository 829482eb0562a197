/**
 * Conditions on a JSON body: `tools.*.type: [mcp, "web_*"]`. Pure.
 *
 * A path is names parted by dots; `*` is any one name or item, `**` any number of them, once. Promises: an allow holds only
 * if the value is there as written and every spelling of it fits; a deny holds if any spelling does, in any item of a body
 * that is a list.
 */

import type { JsonValue } from '../net/json-value.ts'
import { folded, type ValuePattern } from './value-pattern.ts'

export type BodyCondition = {
  /** As written. */
  readonly text: string
  readonly segments: readonly string[]
  readonly values: readonly ValuePattern[]
}

/** The segments, or a sentence that says what is wrong with them. */
export function parseBodyPath(text: string): readonly string[] | string {
  const segments = text.split('.')
  if (!segments.every((one) => /^(?:\*\*?|[A-Za-z0-9_$@:-]+)$/.test(one)))
    return 'is not a path of names parted by dots, with * for any one and ** for any number'
  return segments.filter((one) => one === '**').length > 1 ? 'has "**" more than once' : segments
}

export function meetsAllow(body: JsonValue, { segments, values }: BodyCondition): boolean {
  return (
    find(body, segments, sameName).length > 0 &&
    find(body, segments, sameNameLoosely).every((value) =>
      values.some((pattern) => (isText(value) ? pattern.matches(value.text) : pattern.isAny)),
    )
  )
}

export function meetsDeny(body: JsonValue, { segments, values }: BodyCondition): boolean {
  const roots = body.kind === 'array' ? [body, ...body.items] : [body]
  return roots.some((root) =>
    find(root, segments, sameNameLoosely).some((value) =>
      values.some((pattern) => pattern.isAny || (isText(value) && pattern.matchesLoosely(value.text))),
    ),
  )
}

function isText(value: JsonValue): value is JsonValue & { readonly kind: 'string' | 'word' } {
  return value.kind === 'string' || value.kind === 'word'
}

type SameName = (name: string, segment: string) => boolean
const sameName: SameName = (name, segment) => name === segment
const sameNameLoosely: SameName = (name, segment) => name === segment || folded(name) === folded(segment)

function find(value: JsonValue, segments: readonly string[], same: SameName): JsonValue[] {
  const found: JsonValue[] = []
  walk(value, segments, 0, same, found)
  return found
}

function walk(value: JsonValue, segments: readonly string[], at: number, same: SameName, found: JsonValue[]): void {
  const segment = segments[at]
  if (segment === undefined) {
    found.push(value)
    return
  }
  if (segment === '**') walk(value, segments, at + 1, same, found)
  const next = segment === '**' ? at : at + 1
  if (value.kind === 'array') {
    if (segment.startsWith('*')) for (const item of value.items) walk(item, segments, next, same, found)
  } else if (value.kind === 'object') {
    for (const { name, value: inner } of value.members)
      if (segment.startsWith('*') || same(name, segment)) walk(inner, segments, next, same, found)
  }
}
