/**
 * What rules must not be to each other, once a policy's rules stand together. Pure.
 *
 * Promises: a contradiction that can be proven is found at load, not on some request; a hundred thousand rules are
 * checked in a moment, because rules are compared only where their hosts can meet.
 */

import { DomainIndex, type DomainPattern } from './domain-pattern.ts'
import { parseHost } from '../net/host.ts'
import type { Issue } from './issue.ts'
import type { RulePlaces } from './parse-policy.ts'
import { coversPattern, OverlapIndex } from './pattern-overlap.ts'
import { looksInside, type Rule } from './policy.ts'
import { nearest } from './schema-issues.ts'

/** A credential as far as rules are concerned. */
export type CredentialHosts = { readonly hosts: readonly DomainPattern[]; readonly unsafeWildcardHosts: boolean }

/** A rule with where it came from. A shipped policy's credential is a slot: nobody need have filled it. */
export type PlacedRule = { readonly rule: Rule; readonly places: RulePlaces; readonly isPreset: boolean }

/** Each request walks all rules of its host. */
const rulesPerHostMax = 1000

export function checkRules(placed: readonly PlacedRule[], credentials: ReadonlyMap<string, CredentialHosts>): Issue[] {
  const tooMany = checkCounts(placed)
  if (tooMany.length > 0) return tooMany // the checks below rely on it
  const issues = placed.flatMap((one) => checkCredential(one, credentials))
  return [...issues, ...checkTunnels(placed), ...checkTwoCredentials(placed)]
}

function checkCounts(placed: readonly PlacedRule[]): Issue[] {
  const counts = new Map<string, number>()
  const issues: Issue[] = []
  for (const one of placed) {
    const { host } = one.rule
    // Stars inside a label are tried one after the other, all of one domain.
    const text = host.kind === 'label' ? `(stars).${host.base}` : host.text
    const count = (counts.get(text) ?? 0) + 1
    counts.set(text, count)
    if (count === rulesPerHostMax + 1)
      issues.push(
        issue(
          one,
          'host',
          `more than ${rulesPerHostMax} rules for "${text}"`,
          'join them: one rule may have many paths',
        ),
      )
  }
  return issues
}

function checkCredential(one: PlacedRule, credentials: ReadonlyMap<string, CredentialHosts>): Issue[] {
  const { rule } = one
  if (rule.credential === null) return []
  const credential = credentials.get(rule.credential)
  if (credential === undefined) {
    if (one.isPreset) return []
    const meant = nearest(rule.credential, [...credentials.keys()])
    const fix = meant === null ? 'configure it under "credentials"' : `did you mean "${meant}"?`
    return [issue(one, 'credential', `there is no credential "${rule.credential}"`, fix)]
  }
  if (rule.host.kind !== 'exact' && !credential.unsafeWildcardHosts) {
    const fix = 'name the hosts one by one, or give the credential "unsafeWildcardHosts: true"'
    return [issue(one, 'credential', `"${rule.credential}" would go to every host of "${rule.host.text}"`, fix)]
  }
  if (credential.hosts.some((host) => coversPattern(host, rule.host))) return []
  const hosts = credential.hosts.map((host) => host.text).join(', ')
  const fix = `add "${rule.host.text}" to the credential's hosts, or use another credential`
  return [issue(one, 'credential', `"${rule.credential}" is for ${hosts}, not for "${rule.host.text}"`, fix)]
}

/** A tunnel shows host and port only, so no other rule that can meet its host may need more (decision 12). */
function checkTunnels(placed: readonly PlacedRule[]): Issue[] {
  const tunnels = placed.filter(({ rule }) => rule.action === 'allow' && rule.tls === 'tunnel')
  if (tunnels.length === 0) return []
  const inside = new OverlapIndex<Rule>()
  for (const { rule } of placed) if (looksInside(rule) || rule.tls === 'intercept') inside.add(rule.host, rule)
  // By pattern, so that a thousand tunnels on a thousand ports of one host cost one walk.
  const groups = new Map<string, PlacedRule[]>()
  for (const tunnel of tunnels)
    groups.set(tunnel.rule.host.text, [...(groups.get(tunnel.rule.host.text) ?? []), tunnel])
  const issues: Issue[] = []
  for (const group of groups.values()) {
    const [first] = group
    if (first === undefined) continue
    const ports = new Map(group.flatMap((one) => [...(one.rule.ports ?? [])].map((port) => [port, one] as const)))
    for (const other of inside.overlapping(first.rule.host)) {
      // A credential pins the whole host, whatever the port (decision 11).
      const tunnel = other.credential === null ? atPort(ports, other.ports, first) : first
      if (tunnel === undefined || tunnel.rule === other) continue
      const message = `"tls: tunnel" on "${tunnel.rule.host.text}", but ${other.id} ("${other.host.text}") must look inside: ${needOf(other)}`
      issues.push(issue(tunnel, 'tls', message, 'drop "tls: tunnel", or what the other rule asks for'))
      break
    }
  }
  return issues
}

function atPort(
  tunnels: ReadonlyMap<number, PlacedRule>,
  ports: ReadonlySet<number> | null,
  whenAll: PlacedRule,
): PlacedRule | undefined {
  if (ports === null) return whenAll
  for (const port of ports) if (tunnels.has(port)) return tunnels.get(port)
  return undefined
}

function needOf(rule: Rule): string {
  if (rule.credential !== null) return 'it puts a credential on'
  if (rule.methods !== null) return 'it names methods'
  if (rule.paths !== null) return 'it names paths'
  if (rule.query !== null) return 'it names a query'
  if (rule.headers !== null) return 'it names headers'
  if (rule.body !== null) return 'it names what is in bodies'
  if (rule.set !== null) return 'it sets headers'
  return rule.tls === 'intercept' ? 'it says "tls: intercept"' : 'it judges foreign credentials'
}

/** Two credentials that one request would get: provable where one host pattern is the other, or holds its one name. */
function checkTwoCredentials(placed: readonly PlacedRule[]): Issue[] {
  const withCredential = placed.filter(({ rule }) => rule.action === 'allow' && rule.credential !== null)
  const wide = new DomainIndex<PlacedRule>()
  const groups = new Map<string, PlacedRule[]>()
  for (const one of withCredential) {
    if (one.rule.host.kind !== 'exact') wide.add(one.rule.host, one)
    const group = groups.get(one.rule.host.text)
    if (group === undefined) groups.set(one.rule.host.text, [one])
    else group.push(one)
  }
  const issues: Issue[] = []
  for (const [text, group] of groups) {
    const host = group[0]?.rule.host.kind === 'exact' ? parseHost(text) : null
    const rivals = host === null ? group : [...group, ...wide.lookup(host)]
    if (rivals.every(({ rule }) => rule.credential === rivals[0]?.rule.credential)) continue
    for (const [index, one] of group.entries()) {
      const rival = rivals.slice(index + 1).find((other) => meetForSure(one.rule, other.rule))
      if (rival === undefined) continue
      const message = `a request could get two credentials: "${one.rule.credential}" here and "${rival.rule.credential}" by ${rival.rule.id}`
      issues.push(issue(one, 'credential', message, 'keep one, or part the rules by methods or paths'))
    }
  }
  return issues
}

/** Whether a request of both exists for sure. Patterns of paths are compared only as far as that is plain to see. */
function meetForSure(a: Rule, b: Rule): boolean {
  if (a.credential === b.credential || !meet(a.ports, b.ports) || !meet(a.methods, b.methods)) return false
  for (const [name, value] of a.query ?? []) if ((b.query?.get(name) ?? value) !== value) return false
  if (a.paths === null || b.paths === null) return true
  return a.paths.some((one) =>
    (b.paths ?? []).some((other) => one.text === other.text || one.matches(other.text) || other.matches(one.text)),
  )
}

/** Null is everything. */
function meet<Value>(a: ReadonlySet<Value> | null, b: ReadonlySet<Value> | null): boolean {
  return a === null || b === null || [...a].some((value) => b.has(value))
}

function issue(one: PlacedRule, key: 'credential' | 'host' | 'tls', message: string, fix: string): Issue {
  const { rule, places } = one
  const place = (key === 'credential' ? places.credential : key === 'tls' ? places.tls : null) ?? places.rule
  return { ...place, path: `${placeText(rule.id)}.${key}`, message, fix }
}

/** `npm#3` is `rules[2]` of its file. */
function placeText(id: string): string {
  return `rules[${Number(id.slice(id.lastIndexOf('#') + 1)) - 1}]`
}
