/**
 * Whether a rule meets a request, part by part. Pure.
 *
 * Promises: an allow holds only if every reading of the request meets it, a deny holds if any does; so whoever spells a
 * request oddly loses an allow and never escapes a deny.
 */

import { decodedEscapes } from '../net/query.ts'
import type { RequestHead } from '../net/request-head.ts'
import type { Rule } from './policy.ts'

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
 * the spellings that servers take for the same is there somewhere.
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
  return matchesMethod(rule, head) && matchesQuery(rule, head) && matchesPath(rule, readings)
}
