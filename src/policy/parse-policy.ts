/**
 * A policy as a person wrote it: from unknown to values, or everything that is wrong with it. Pure.
 *
 * Promises: all problems come at once, each with its place and its fix; nothing here is repaired or guessed. What
 * concerns several rules or several policies is `compile-policy.ts`.
 */

import { denyReasons, type DenyReason } from './deny-reason.ts'
import { type Issue, IssueList, type Place, type PlaceOf } from './issue.ts'
import { noLimits, parseLimits } from './parse-limits.ts'
import { parseRule } from './parse-rule.ts'
import { PolicyBody, PolicyFile } from './policy-schema.ts'
import type { Limits, Mode, Rule } from './policy.ts'
import { parseQuestion, type Question } from './question.ts'
import { isRecord, nearest, shapeCheck } from './schema-issues.ts'

export type { Issue, Place, PlaceOf } from './issue.ts'
export { issueText } from './issue.ts'

/** Where the parts of a rule stand that other rules may clash with. */
export type RulePlaces = { readonly rule: Place; readonly credential: Place | null; readonly tls: Place | null }

export type Expectation = {
  /** As written: what the table shows. */
  readonly text: string
  readonly question: Question
  readonly verdict: 'allow' | 'deny'
  readonly because: DenyReason | null
}

/** One policy file, its own rules only. */
export type PolicySource = {
  readonly name: string
  readonly description: string | null
  readonly extends: readonly string[]
  readonly mode: Mode
  readonly rules: readonly Rule[]
  readonly limits: Limits
  readonly tests: readonly Expectation[]
  readonly place: Place
  readonly extendsPlaces: readonly Place[]
  /** One for each rule. */
  readonly rulePlaces: readonly RulePlaces[]
}

const checkFile = shapeCheck(PolicyFile)
const checkBody = shapeCheck(PolicyBody)

/** With `defaults.name` the value is an inline policy: it needs no version, and its rules are named after the default. */
export function parsePolicy(raw: unknown, at: PlaceOf, defaults?: { readonly name?: string }): PolicySource | Issue[] {
  const issues = new IssueList(at)
  if (!isRecord(raw)) {
    issues.add([], 'is not a policy', 'write "version: 1", "name:" and "rules:"')
    return issues.list()
  }
  const inline = defaults?.name
  const check = inline === undefined ? checkFile : checkBody
  check(raw, issues)

  const name = typeof raw['name'] === 'string' ? raw['name'] : (inline ?? '')
  if (name === 'inline' && inline === undefined)
    issues.add(['name'], '"inline" stands for policies given over the API', 'choose another name')
  const rawRules: readonly unknown[] = Array.isArray(raw['rules']) ? raw['rules'] : []
  const rules = rawRules.map((rule, index) =>
    parseRule(isRecord(rule) ? rule : {}, `${inline ?? name}#${index + 1}`, ['rules', index], issues),
  )
  const limits = isRecord(raw['limits']) ? parseLimits(raw['limits'], issues) : noLimits
  const tests = parseTests(raw['tests'], issues)
  const found = issues.list()
  if (found.length > 0) return found

  const joined = Array.isArray(raw['extends']) ? raw['extends'].filter((one) => typeof one === 'string') : []
  return {
    name,
    description: typeof raw['description'] === 'string' ? raw['description'] : null,
    extends: joined,
    mode: raw['mode'] === 'audit' ? 'audit' : 'enforce',
    rules,
    limits,
    tests,
    place: at([]),
    extendsPlaces: joined.map((_, index) => at(['extends', index])),
    rulePlaces: rules.map((rule, index) => ({
      rule: at(['rules', index]),
      credential: rule.credential === null ? null : at(['rules', index, 'credential']),
      tls: rule.tls === 'auto' ? null : at(['rules', index, 'tls']),
    })),
  }
}

function parseTests(raw: unknown, issues: IssueList): Expectation[] {
  if (!Array.isArray(raw)) return []
  const entries: readonly unknown[] = raw
  return entries.flatMap((entry, index) => (isRecord(entry) ? parseExpectation(entry, index, issues) : []))
}

function parseExpectation(entry: Readonly<Record<string, unknown>>, index: number, issues: IssueList): Expectation[] {
  const path = ['tests', index]
  const { allow, deny, because } = entry
  if ((allow === undefined) === (deny === undefined)) {
    issues.add(
      path,
      'expects neither or both of "allow" and "deny"',
      'write one of them: { allow: "GET https://host/path" }',
    )
    return []
  }
  const verdict = allow === undefined ? 'deny' : 'allow'
  const text = allow ?? deny
  if (typeof text !== 'string') return []
  if (because !== undefined && verdict === 'allow')
    issues.add([...path, 'because'], 'stands beside "deny" only', 'drop it')
  const reason = isReason(because) ? because : null
  if (typeof because === 'string' && reason === null) {
    const meant = nearest(because, Object.keys(denyReasons))
    const fix = meant === null ? `write one of ${Object.keys(denyReasons).join(', ')}` : `did you mean "${meant}"?`
    issues.add([...path, 'because'], `"${because}" is not a reason`, fix)
  }
  const question = parseQuestion(text)
  if (typeof question === 'string') {
    issues.add([...path, verdict], `"${text}" ${question}`, 'write it like "POST https://host/path"')
    return []
  }
  const { headers, body } = entry
  const fields = isRecord(headers)
    ? Object.entries(headers).flatMap(([field, value]) => (typeof value === 'string' ? [field, value] : []))
    : []
  if (body === undefined) return [{ text, question: { ...question, fields }, verdict, because: reason }]
  const sent = { fields: ['Content-Type', 'application/json', ...fields], body: Buffer.from(JSON.stringify(body)) }
  return [{ text, question: { ...question, ...sent }, verdict, because: reason }]
}

function isReason(value: unknown): value is DenyReason {
  return typeof value === 'string' && Object.hasOwn(denyReasons, value)
}
