/**
 * Judge: may this request pass, by which rule, and with which credential? Pure; asked for every request on every hop.
 *
 * Promises: any matching deny wins; of several matching allows the strictest holds; a host that has a credential takes
 * none from the client (an allowlist entry is a capability, and an attacker's own key on it is a leak).
 */

import type { RequestHead } from '../net/request-head.ts'
import type { Cidr } from '../net/ip.ts'
import type { HostPermit } from './decide-host.ts'
import { allow, type Decision, type Deny, deny } from './decision.ts'
import { findPlaceholders } from './find-placeholders.ts'
import { findForeignCredential } from './foreign-credential.ts'
import { readingsOf } from './path-pattern.ts'
import type { ForeignCredentials, Grant, Rule } from './policy.ts'
import { matchesMethod, matchesRule } from './rule-match.ts'

class RequestPermit {
  readonly #minted = true
  readonly head: RequestHead
  /** The rule that decided; null in audit mode where none did. */
  readonly rule: Rule | null
  /** The credential to put on, by name. */
  readonly credential: string | null
  readonly foreignCredentials: ForeignCredentials
  /** Whether the answer to a request with a credential may be a part (decision 35). */
  readonly ranges: boolean
  /** Every list must hold every answer. Empty: public addresses only. */
  readonly addresses: readonly (readonly Cidr[])[]
  readonly wouldDeny: Deny | null
  constructor(fields: Omit<RequestPermit, never>) {
    this.head = fields.head
    this.rule = fields.rule
    this.credential = fields.credential
    this.foreignCredentials = fields.foreignCredentials
    this.ranges = fields.ranges
    this.addresses = fields.addresses
    this.wouldDeny = fields.wouldDeny
    void this.#minted
  }
}
export type { RequestPermit }

export function decideRequest(grant: Grant, permit: HostPermit, head: RequestHead): Decision<RequestPermit> {
  if (head.authority !== permit.authority && head.authority.text !== permit.authority.text) {
    return deny('authority_mismatch', `permit is for ${permit.authority.text}, request for ${head.authority.text}`)
  }
  const { candidates } = permit
  const looksAtPath = candidates.some((rule) => rule.paths !== null || rule.credential !== null)
  const readings = looksAtPath ? readingsOf(head.path) : [head.path]
  if (readings === null) return deny('ambiguous_path', 'the path has more than one reading')

  const matching: Rule[] = []
  for (const rule of candidates) {
    if (!matchesRule(rule, head, readings)) continue
    if (rule.action === 'deny')
      return deny('denied_by_rule', `${head.method} ${permit.authority.text} by ${rule.id}`, rule.id)
    matching.push(rule)
  }

  if (matching.length === 0) {
    const refusal = permit.wouldDeny ?? nearestMiss(candidates, head)
    if (grant.mode === 'enforce') return refusal
    // Nothing is injected for what no rule allows, and a pinned host still takes no foreign account.
    const foreign = permit.pinned ? 'deny' : 'allow'
    const nothing = { rule: null, credential: null, ranges: false, addresses: [] }
    return finish(grant, head, { ...nothing, foreign, wouldDeny: refusal })
  }

  const names = new Set(matching.flatMap((rule) => (rule.credential === null ? [] : [rule.credential])))
  const [credential = null, second] = names
  if (second !== undefined)
    return deny('denied_by_rule', `two credentials for one request: ${[...names].join(', ')}`, matching[0]?.id ?? null)
  const rule = matching.find((one) => one.credential !== null) ?? matching[0] ?? null
  if (credential !== null && head.scheme === 'http')
    return deny('credential_needs_tls', head.authority.text, rule?.id ?? null)
  const addresses = matching.flatMap((one) => (one.addresses === null ? [] : [one.addresses]))
  return finish(grant, head, {
    rule,
    credential,
    foreign: strictest(matching, permit.pinned),
    ranges: matching.every((one) => one.credential === null || one.ranges),
    addresses,
    wouldDeny: null,
  })
}

type Found = {
  readonly rule: Rule | null
  readonly credential: string | null
  readonly foreign: ForeignCredentials
  readonly ranges: boolean
  readonly addresses: readonly (readonly Cidr[])[]
  readonly wouldDeny: Deny | null
}

function finish(grant: Grant, head: RequestHead, found: Found): Decision<RequestPermit> {
  if (found.foreign === 'deny') {
    const placeholder = found.credential === null ? undefined : grant.placeholders.get(found.credential)
    const place = findForeignCredential(head, placeholder ?? null, clientIdOf(grant, found.credential))
    if (place !== null) {
      // Another host's placeholder is no account at all, and whoever sent it is helped by hearing so.
      const others = findPlaceholders(head, grant.placeholders).some((one) => one.placeholder !== placeholder)
      return deny(others ? 'placeholder_elsewhere' : 'foreign_credential', place, found.rule?.id ?? null)
    }
  }
  return allow(
    new RequestPermit({
      head,
      rule: found.rule,
      credential: found.credential,
      foreignCredentials: found.foreign,
      ranges: found.ranges,
      addresses: found.addresses,
      wouldDeny: found.wouldDeny,
    }),
  )
}

function clientIdOf({ clientIds }: Grant, credential: string | null): string | null {
  return credential === null ? null : (clientIds?.get(credential) ?? null)
}

function nearestMiss(candidates: readonly Rule[], head: RequestHead): Deny {
  const allows = candidates.filter((rule) => rule.action === 'allow')
  const byMethod = allows.find((rule) => matchesMethod(rule, head))
  return byMethod === undefined
    ? deny('method_not_allowed', `${head.method} ${head.authority.text}`, allows[0]?.id ?? null)
    : deny('path_not_allowed', `${head.method} ${head.authority.text}`, byMethod.id)
}

/** What rules say outright, the strictest of it; where none says anything, a pinned host takes none. */
function strictest(rules: readonly Rule[], pinned: boolean): ForeignCredentials {
  const said = rules.flatMap((rule) => (rule.foreignCredentials === null ? [] : [rule.foreignCredentials]))
  if (said.includes('deny')) return 'deny'
  if (said.includes('strip')) return 'strip'
  if (said.includes('allow')) return 'allow'
  return pinned ? 'deny' : 'allow'
}
