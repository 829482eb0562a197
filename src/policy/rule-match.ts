/**
 * Whether a rule meets a request, part by part. Pure.
 *
 * Promises: an allow holds only if every reading of the request meets it, a deny holds if any does; so whoever spells a
 * request oddly loses an allow and never escapes a deny.
 */

import { foldName } from '../net/fields.ts'
import { decodedEscapes } from '../net/query.ts'
import type { RequestHead } from '../net/request-head.ts'
import { meetsAllow, meetsDeny } from './body-pattern.ts'
import type { BodyReading } from './body-reading.ts'
import type { HeaderCondition, Rule } from './policy.ts'

export function matchesMethod(rule: Rule, head: RequestHead): boolean {
  return rule.methods === null || rule.methods.has(head.method)
}

export function matchesPath(rule: Rule, readings: readonly string[]): boolean {
  const { paths } = rule
  if (paths === null) return true
  return rule.action === 'allow'
    ? readings.every((path) => paths.some((pattern) => pattern.matches(path)))
    : readings.some((path) => paths.some((pattern) => pattern.matches(path)))
}

/**
 * An allow wants each named parameter exactly once, spelled as the rule spells it; for a deny it is enough that one of
 * the spellings that servers take for the same is there somewhere, and `*` is any value, or none.
 */
export function matchesQuery(rule: Rule, head: RequestHead): boolean {
  if (rule.query === null) return true
  const query = head.query ?? ''
  const byEither = query.split(/[&;]/)
  const byAmpersand = query.split('&')
  for (const [name, value] of rule.query) {
    const met =
      rule.action === 'allow'
        ? // `;` parts parameters on some servers: the one must be there, and be the only one, in both readings.
          [byAmpersand, byEither].every((pairs) => {
            const found = named(pairs, name)
            return found.length === 1 && found[0] === `${name}=${value}`
          })
        : named(byEither, name).some(
            (pair) =>
              value === '*' ||
              decodedEscapes(pair.includes('=') ? pair.slice(pair.indexOf('=') + 1) : '') === decodedEscapes(value),
          )
    if (!met) return false
  }
  return true
}

function named(pairs: readonly string[], name: string): string[] {
  return pairs.filter((pair) => decodedEscapes(pair.split('=', 1)[0] ?? '') === name)
}

export function matchesRule(rule: Rule, head: RequestHead, readings: readonly string[]): boolean {
  return (
    matchesMethod(rule, head) &&
    matchesQuery(rule, head) &&
    (rule.headers === null || matchesHeaders(rule, head)) &&
    matchesPath(rule, readings)
  )
}

/** An allow wants each field once, as written; for a deny any spelling will do, and any member of a list. */
export function matchesHeaders(rule: Rule, { fields }: RequestHead): boolean {
  return (rule.headers ?? []).every((condition) => {
    const values = valuesOf(fields, condition)
    const [only = ''] = values
    return rule.action === 'allow'
      ? values.length === 1 && condition.values.some((pattern) => pattern.matches(only))
      : values.some((value) =>
          [value, ...value.split(',')].some((one) => condition.values.some((pattern) => pattern.matchesLoosely(one))),
        )
  })
}

function valuesOf(fields: readonly string[], { name }: HeaderCondition): string[] {
  const values: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    const spelled = foldName(fields[i] ?? '').replace(/^-+|-+$/g, '')
    if (spelled === foldName(name) || spelled === `http-${foldName(name)}`) values.push(fields[i + 1] ?? '')
  }
  return values
}

/** Of a body that cannot be read a deny holds, and an allow does not; of none, neither. */
export function matchesBody(rule: Rule, body: BodyReading | null): boolean {
  if (rule.body === null) return true
  if (body === null || body.isEmpty) return false
  const { json } = body
  if (json === null) return rule.action !== 'allow'
  return rule.body.every((condition) =>
    rule.action === 'allow' ? meetsAllow(json, condition) : meetsDeny(json, condition),
  )
}
