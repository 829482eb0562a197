/**
 * Admit: may this session reach this host and port at all? Pure; asked before any DNS query.
 *
 * Promises: no rule, no permit. A permit in your hand proves that this file said yes: the class does not leave it.
 */

import type { Authority } from '../net/authority.ts'
import { allow, type Decision, type Deny, deny } from './decision.ts'
import { auditable } from './deny-reason.ts'
import { coversPort, type Grant, looksInside, type Rule } from './policy.ts'

class HostPermit {
  readonly #minted = true
  readonly authority: Authority
  /** Every rule that could still decide, denies included; `decideRequest` chooses among them. */
  readonly candidates: readonly Rule[]
  /** A credential somewhere on this host in this policy pins the host to one account. */
  readonly pinned: boolean
  /** Whether requests must be seen one by one. */
  readonly route: 'intercept' | 'tunnel'
  /** In audit mode: the refusal that would have been. */
  readonly wouldDeny: Deny | null
  constructor(fields: Omit<HostPermit, never>) {
    this.authority = fields.authority
    this.candidates = fields.candidates
    this.pinned = fields.pinned
    this.route = fields.route
    this.wouldDeny = fields.wouldDeny
    void this.#minted
  }
}
export type { HostPermit }

export function decideHost(grant: Grant, authority: Authority): Decision<HostPermit> {
  const { rules, pinned } = grant.policy.rulesFor(authority.host)
  const candidates = rules.filter((rule) => coversPort(rule, authority.port))

  // A deny that asks for nothing more than host and port is final here, whatever else matches.
  const denied = candidates.find((rule) => rule.action === 'deny' && !looksInside(rule))
  if (denied !== undefined) return deny('denied_by_rule', `${authority.text} by ${denied.id}`, denied.id)

  const allows = candidates.filter((rule) => rule.action === 'allow')
  if (allows.length === 0) return refuseOrAudit(grant, authority, candidates, rules)

  const inside = pinned || candidates.some((rule) => rule.tls === 'intercept' || looksInside(rule))
  return allow(
    new HostPermit({ authority, candidates, pinned, route: inside ? 'intercept' : 'tunnel', wouldDeny: null }),
  )
}

function refuseOrAudit(
  grant: Grant,
  authority: Authority,
  candidates: readonly Rule[],
  rules: readonly Rule[],
): Decision<HostPermit> {
  const portOnly = rules.some((rule) => rule.action === 'allow')
  const refusal = deny(portOnly ? 'port_not_allowed' : 'host_not_allowed', authority.text)
  if (grant.mode === 'enforce' || !auditable.has(refusal.reason)) return refusal
  // Denies that look inside stay enforced in audit mode, so they keep the host intercepted.
  const route = candidates.length > 0 ? 'intercept' : 'tunnel'
  return allow(new HostPermit({ authority, candidates, pinned: false, route, wouldDeny: refusal }))
}
