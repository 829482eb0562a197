/**
 * Whether a rule meets a request, part by part. Pure.
 *
 * Promises: an allow holds only if every reading of the request meets it, a deny holds if any does; so whoever spells a
 * request oddly loses an allow and never escapes a deny.
 */

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
  const allows = rule.action === 'allow'
  const pairs = (head.query ?? '').split(allows ? '&' : /[&;]/)
  for (const [name, value] of rule.query) {
    const found = pairs.filter((pair) => decoded(pair.split('=', 1)[0] ?? '') === name)
    const met = allows
      ? found.length === 1 && found[0] === `${name}=${value}`
      : found.some((pair) => decoded(pair.split('=').slice(1).join('=')) === decoded(value))
    if (!met) return false
  }
  return true
}

export function matchesRule(rule: Rule, head: RequestHead, readings: readonly string[]): boolean {
  return matchesMethod(rule, head) && matchesQuery(rule, head) && matchesPath(rule, readings)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}
