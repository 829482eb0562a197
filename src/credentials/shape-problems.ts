/**
 * What a schema says is wrong with a credential's entry, in words. Pure.
 *
 * Promises: no value of the entry is ever shown, only keys: whoever wrote a secret where its source belongs must not find
 * it in a log as well.
 */

import type { TSchema } from 'typebox'
import { Value } from 'typebox/value'

export type Problem = { readonly path: readonly (number | string)[]; readonly message: string; readonly fix: string }

export type Parsed<Spec> =
  | { readonly kind: 'parsed'; readonly spec: Spec }
  | { readonly kind: 'problems'; readonly problems: readonly Problem[] }

export function problemsOf(schema: TSchema, raw: unknown): Problem[] {
  const problems: Problem[] = []
  for (const error of Value.Errors(schema, raw)) {
    const path = error.instancePath.split('/').slice(1).map(unescapePointer)
    if (error.keyword === 'additionalProperties') {
      for (const key of error.params.additionalProperties)
        problems.push({ path: [...path, key], message: `unknown key "${key}"`, fix: keysOf(schemaAt(schema, path)) })
    } else if (error.keyword === 'required') {
      for (const key of error.params.requiredProperties)
        problems.push({ path, message: `"${key}" is missing`, fix: `add "${key}:" here` })
    } else if (error.keyword !== 'boolean') {
      // 'boolean' is the same unknown key again, from below.
      problems.push({ path, message: error.message, fix: describe(schemaAt(schema, path)) })
    }
  }
  return problems
}

export function problem(path: Problem['path'], message: string, fix: string): Problem {
  return { path, message, fix }
}

/** The schema of what stands at a path; the whole one where none is named. */
function schemaAt(schema: TSchema, path: Problem['path']): TSchema {
  const [first, ...rest] = path
  if (first === undefined) return schema
  const { properties, items }: Inside = schema
  const inner = typeof first === 'number' ? items : properties?.[first]
  return inner === undefined ? schema : schemaAt(inner, rest)
}

type Inside = {
  readonly properties?: Readonly<Record<string, TSchema>>
  readonly items?: TSchema
  readonly description?: string
}

function keysOf(schema: TSchema): string {
  const { properties = {} }: Inside = schema
  return `write one of ${Object.keys(properties).join(', ')}, or drop it`
}

/** What to write instead, from the schema's own words. */
function describe(schema: TSchema): string {
  const { description = 'what the format allows' }: Inside = schema
  return `write ${description}`
}

function unescapePointer(part: string): string | number {
  return /^\d+$/.test(part) ? Number(part) : part.replaceAll('~1', '/').replaceAll('~0', '~')
}
