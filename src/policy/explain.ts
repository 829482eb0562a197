/**
 * Why a request would be allowed or denied, rule by rule. Pure: made of the decisions themselves.
 *
 * Promises: the verdict is what `decideHost` and `decideRequest` say, not a second opinion; each rule that was near is
 * named with the first thing about it that did not fit.
 */

import type { Authority } from '../net/authority.ts'
import type { RequestHead } from '../net/request-head.ts'
import { BodyReading } from './body-reading.ts'
import { decideHost, type HostPermit } from './decide-host.ts'
import { decideRequest } from './decide-request.ts'
import type { Deny } from './decision.ts'
import { denyReasons, type DenyReason } from './deny-reason.ts'
import { type DomainPattern, matchesPattern } from './domain-pattern.ts'
import { readingsOf } from './path-pattern.ts'
import { anchorOf } from './pattern-overlap.ts'
import { coversPort, type Grant, type HeaderCondition, type Rule } from './policy.ts'
import { type Question, requestOf } from './question.ts'
import { matchesHeaders, matchesMethod, matchesPath, matchesQuery } from './rule-match.ts'

export { parseQuestion, type Question } from './question.ts'

/** A rule that did not decide, and why not. */
type NearMiss = {
  readonly rule: string
  readonly action: Rule['action']
  readonly host: string
  readonly why: string
}

export type Explanation = {
  readonly verdict: 'allow' | 'audit' | 'deny'
  /** The rule that decided; null where none did. */
  readonly rule: string | null
  /** Of a denial, or in audit mode of the denial that would have been. */
  readonly reason: DenyReason | null
  readonly says: string
  /** What the proxy would see of it. */
  readonly route: 'intercept' | 'plain' | 'tunnel' | null
  readonly credential: string | null
  readonly misses: readonly NearMiss[]
}

/** More would bury the ones that help. */
const missesMax = 20

export function explainRequest(grant: Grant, question: Question): Explanation {
  const head = requestOf(question)
  if (head === null) return denied('malformed_request', null, [])
  const host = decideHost(grant, question.authority)
  if (host.kind === 'deny') return denied(host.reason, host.rule, missesOf(grant, head, host.rule))

  const route = question.scheme === 'http' ? 'plain' : host.permit.route
  if (route === 'tunnel') return explainTunnel(grant, host.permit, head)
  const byHead = decideRequest(grant, host.permit, head)
  const demand = byHead.kind === 'allow' ? byHead.permit.demand : null
  const decision = demand === null ? byHead : demand.decide(new BodyReading(head, question.body ?? Buffer.alloc(0)))
  if (decision.kind === 'deny') return denied(decision.reason, decision.rule, missesOf(grant, head, decision.rule))
  const { rule, credential, wouldDeny } = decision.permit
  const misses = missesOf(grant, head, rule?.id ?? null)
  if (wouldDeny !== null) return audited(wouldDeny, route, misses)
  const assumed = question.method === null ? ', judged as GET' : ''
  const says = `allowed${assumed}${credential === null ? '' : `, with the credential "${credential}"`}`
  return { verdict: 'allow', rule: rule?.id ?? null, reason: null, says, route, credential, misses }
}

function explainTunnel(grant: Grant, permit: HostPermit, head: RequestHead): Explanation {
  const rule = permit.candidates.find(({ action }) => action === 'allow')?.id ?? null
  const misses = missesOf(grant, head, rule)
  if (permit.wouldDeny !== null) return audited(permit.wouldDeny, 'tunnel', misses)
  const says = 'allowed as a tunnel: host and port are judged, what is inside is not seen'
  return { verdict: 'allow', rule, reason: null, says, route: 'tunnel', credential: null, misses }
}

function denied(reason: DenyReason, rule: string | null, misses: readonly NearMiss[]): Explanation {
  const says = `denied: ${denyReasons[reason].says}`
  return { verdict: 'deny', rule, reason, says, route: null, credential: null, misses }
}

function audited(refusal: Deny, route: 'intercept' | 'plain' | 'tunnel', misses: readonly NearMiss[]): Explanation {
  const says = `let through by audit mode; enforced it would be denied: ${denyReasons[refusal.reason].says}`
  return { verdict: 'audit', rule: refusal.rule, reason: refusal.reason, says, route, credential: null, misses }
}

/** Rules of the host and of the names it lies under, without the one that decided; those that come nearest first. */
function missesOf(grant: Grant, head: RequestHead, deciding: string | null): NearMiss[] {
  const near: (NearMiss & { readonly distance: number })[] = []
  for (const rule of grant.policy.rules) {
    if (rule.id === deciding || !isNear(rule.host, head.authority)) continue
    const miss = missOf(rule, head)
    if (miss === null) continue
    const { id, action, host } = rule
    near.push({ rule: id, action, host: host.text, why: miss.why, distance: miss.distance })
  }
  return near
    .sort((a, b) => a.distance - b.distance)
    .slice(0, missesMax)
    .map(({ rule, action, host, why }) => ({ rule, action, host, why }))
}

/** At or above the host, but not as far up as a top-level domain. */
function isNear(pattern: DomainPattern, { host }: Authority): boolean {
  const anchor = anchorOf(pattern)
  if (anchor === host.name || matchesPattern(pattern, host)) return true
  return host.ip === null && anchor.includes('.') && host.name.endsWith(`.${anchor}`)
}

/** The first thing that does not fit; the later it comes, the nearer was the rule. Null: it fits. */
function missOf(rule: Rule, head: RequestHead): { readonly distance: number; readonly why: string } | null {
  const { authority, method } = head
  if (!matchesPattern(rule.host, authority.host)) return { distance: 6, why: hostMiss(rule.host, authority) }
  if (!coversPort(rule, authority.port))
    return { distance: 5, why: `port ${authority.port} is not one of ${[...(rule.ports ?? [])].join(', ')}` }
  if (!matchesMethod(rule, head))
    return { distance: 4, why: `method ${method} is not one of ${[...(rule.methods ?? [])].join(', ')}` }
  const readings = readingsOf(head.path) ?? []
  if (rule.paths !== null && (readings.length === 0 || !matchesPath(rule, readings)))
    return { distance: 3, why: `path ${head.path} matches none of ${rule.paths.map(({ text }) => text).join(', ')}` }
  if (!matchesQuery(rule, head)) {
    const wanted = [...(rule.query ?? [])].map(([name, value]) => `${name}=${value}`).join(' and ')
    return { distance: 2, why: `the query is not ${wanted}, each once and spelled so` }
  }
  if (!matchesHeaders(rule, head))
    return { distance: 1, why: `the header fields are not ${conditionsText(rule.headers ?? [])}` }
  return null
}

function conditionsText(conditions: readonly HeaderCondition[]): string {
  return conditions.map(({ name, values }) => `${name}: ${values.map(({ text }) => text).join(' or ')}`).join(' and ')
}

function hostMiss(pattern: DomainPattern, { host }: Authority): string {
  if (pattern.kind === 'exact') return `it names ${pattern.text} only, not names below it`
  if (pattern.kind === 'below') return `it names what is below ${pattern.base}, not ${host.name} itself`
  return `${host.name} does not fit ${pattern.text}`
}
