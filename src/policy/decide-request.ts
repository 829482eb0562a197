/**
 * Judge: may this request pass, by which rule, and with which credential? Pure; asked for every request on every hop.
 *
 * Promises: any matching deny wins; of several matching allows the strictest holds; a host that has a credential takes
 * none from the client (an allowlist entry is a capability, and an attacker's own key on it is a leak).
 */

import { foldName } from '../net/fields.ts'
import type { Cidr } from '../net/ip.ts'
import type { RequestHead } from '../net/request-head.ts'
import { bodyKindOf, type BodyReading } from './body-reading.ts'
import type { HostPermit } from './decide-host.ts'
import { allow, type Decision, type Deny, deny } from './decision.ts'
import { findPlaceholders } from './find-placeholders.ts'
import { findForeignInBody, unreadable } from './foreign-body.ts'
import { findForeignCredential } from './foreign-credential.ts'
import { readingsOf } from './path-pattern.ts'
import type { CookieChoice, ForeignCredentials, Grant, Rule } from './policy.ts'
import { matchesBody, matchesMethod, matchesRule } from './rule-match.ts'

/** What has to be known of a request's body before it may go on. */
type BodyDemand = {
  /** Asks again with the body. */
  readonly decide: (body: BodyReading) => Decision<RequestPermit>
}

/** A header field of ours on what goes out; with null, none of that name goes out. */
export type SetField = readonly [name: string, value: string | null]

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
  readonly cookies: CookieChoice
  readonly set: readonly SetField[]
  /** Every list must hold every answer. Empty: public addresses only. */
  readonly addresses: readonly (readonly Cidr[])[]
  readonly wouldDeny: Deny | null
  /** Not null: this is a yes to the head only. */
  readonly demand: BodyDemand | null
  /** The body that was judged with the head, where one was. */
  readonly body: BodyReading | null
  constructor(fields: Omit<RequestPermit, never>) {
    this.head = fields.head
    this.rule = fields.rule
    this.credential = fields.credential
    this.foreignCredentials = fields.foreignCredentials
    this.ranges = fields.ranges
    this.cookies = fields.cookies
    this.set = fields.set
    this.addresses = fields.addresses
    this.wouldDeny = fields.wouldDeny
    this.demand = fields.demand
    this.body = fields.body
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
    if (rule.action === 'deny' && rule.body === null)
      return deny('denied_by_rule', `${head.method} ${permit.authority.text} by ${rule.id}`, rule.id)
    matching.push(rule)
  }
  const isPlain = matching.every((rule) => rule.action === 'allow' && rule.body === null && rule.set === null)
  return conclude({ grant, permit, head, matching, isPlain }, null)
}

/** What the head alone decides. `matching` has rules of all actions. */
type Asked = {
  readonly grant: Grant
  readonly permit: HostPermit
  readonly head: RequestHead
  readonly matching: readonly Rule[]
  /** They are allows that ask nothing of the body and set nothing. */
  readonly isPlain: boolean
}

/** With the body, or without it: as long as it is not known, whatever it could still forbid is only asked for. */
function conclude(asked: Asked, body: BodyReading | null): Decision<RequestPermit> {
  const { grant, permit, head, matching, isPlain } = asked
  const judged = !isPlain && matching.some((rule) => rule.body !== null)
  const open = judged && body === null && mayHaveBody(head)
  if (judged && !open) {
    const denying = matching.find((rule) => rule.action === 'deny' && deniesBody(rule, head, body))
    if (denying !== undefined) return refusedBody(denying, head, body)
  }
  const allows = isPlain
    ? matching
    : matching.filter((rule) => rule.action === 'allow' && (open || matchesBody(rule, body)))
  const set = isPlain ? nothingSet : setFields(matching)
  if ('kind' in set) return set
  const common = { asked, body, open, set }
  if (allows.length === 0) {
    const missed = matching.find((rule) => rule.action === 'allow')
    if (missed !== undefined) return refusedBody(missed, head, body)
    const refusal = permit.wouldDeny ?? nearestMiss(permit.candidates, head)
    if (grant.mode === 'enforce') return refusal
    // Nothing is injected for what no rule allows, and a pinned host still takes no foreign account.
    const foreign = permit.pinned ? 'deny' : 'allow'
    const nothing = { rule: null, credential: null, ranges: false, cookies: 'strip', addresses: [] } as const
    return finish({ ...common, ...nothing, foreign, wouldDeny: refusal })
  }

  const names = new Set(allows.flatMap((rule) => (rule.credential === null ? [] : [rule.credential])))
  const [credential = null, second] = names
  if (second !== undefined && !open)
    return deny('denied_by_rule', `two credentials for one request: ${[...names].join(', ')}`, allows[0]?.id ?? null)
  const rule = allows.find((one) => one.credential !== null) ?? allows[0] ?? null
  if (credential !== null && head.scheme === 'http')
    return deny('credential_needs_tls', head.authority.text, rule?.id ?? null)
  const addresses = allows.flatMap((one) => (one.addresses === null ? [] : [one.addresses]))
  const foreign = strictest(allows, permit.pinned)
  const ranges = allows.every((one) => one.credential === null || one.ranges)
  const hasJar = credential !== null && allows.every((one) => one.credential === null || one.cookies === 'jar')
  const cookies = hasJar ? 'jar' : 'strip'
  return finish({ ...common, rule, credential, foreign, ranges, cookies, addresses, wouldDeny: null })
}

function mayHaveBody({ body }: RequestHead): boolean {
  return body.kind === 'chunked' || (body.kind === 'length' && body.length > 0)
}

/** What a WebSocket will say is not seen here, so a deny that looks at bodies holds for all of it. */
function deniesBody(rule: Rule, head: RequestHead, body: BodyReading | null): boolean {
  return rule.body !== null && (head.method === 'WEBSOCKET' || matchesBody(rule, body))
}

function refusedBody(rule: Rule, { method, authority }: RequestHead, body: BodyReading | null): Deny {
  const detail = `${method} ${authority.text} by ${rule.id}`
  if (method === 'WEBSOCKET' || (body !== null && !body.isEmpty && body.json === null))
    return deny('body_unreadable', detail, rule.id)
  return deny(rule.action === 'deny' ? 'denied_by_rule' : 'body_not_allowed', detail, rule.id)
}

const nothingSet: readonly SetField[] = []

/** Of all matching rules, each field once. */
function setFields(matching: readonly Rule[]): Deny | readonly SetField[] {
  const fields = new Map<string, SetField>()
  for (const rule of matching) {
    for (const [name, value] of rule.set ?? []) {
      const before = fields.get(foldName(name))
      if (before !== undefined && before[1] !== value)
        return deny('denied_by_rule', `two values for field ${foldName(name)}`, rule.id)
      fields.set(foldName(name), [name, value])
    }
  }
  return [...fields.values()]
}

type Found = {
  readonly asked: Asked
  readonly body: BodyReading | null
  readonly open: boolean
  readonly rule: Rule | null
  readonly credential: string | null
  readonly foreign: ForeignCredentials
  readonly ranges: boolean
  readonly cookies: CookieChoice
  readonly set: readonly SetField[]
  readonly addresses: readonly (readonly Cidr[])[]
  readonly wouldDeny: Deny | null
}

function finish(found: Found): Decision<RequestPermit> {
  const { asked, body, open, rule, credential, foreign } = found
  const { grant, head } = asked
  const placeholder = credential === null ? null : (grant.placeholders.get(credential) ?? null)
  if (foreign === 'deny') {
    const place = findForeignCredential(head, placeholder, clientIdOf(grant, credential))
    if (place !== null) {
      // Another host's placeholder is no account at all, and whoever sent it is helped by hearing so.
      const others = findPlaceholders(head, grant.placeholders).some((one) => one.placeholder !== placeholder)
      return deny(others ? 'placeholder_elsewhere' : 'foreign_credential', place, rule?.id ?? null)
    }
  }
  const looksAtBody = open || wantsBody(found)
  if (looksAtBody && body !== null) {
    const place = findForeignInBody(body, placeholder)
    if (place === unreadable) return deny('body_unreadable', 'no credential could be looked for', rule?.id ?? null)
    if (place !== null) return deny('foreign_credential', place, rule?.id ?? null)
  }
  return allow(
    new RequestPermit({
      head,
      rule,
      credential,
      foreignCredentials: foreign,
      ranges: found.ranges,
      cookies: found.cookies,
      set: found.set,
      addresses: found.addresses,
      wouldDeny: found.wouldDeny,
      demand: looksAtBody && body === null ? { decide: (read) => conclude(asked, read) } : null,
      body,
    }),
  )
}

function clientIdOf({ clientIds }: Grant, credential: string | null): string | null {
  return credential === null ? null : (clientIds?.get(credential) ?? null)
}

/** Whether a credential could stand in the body that the client is not to bring. */
function wantsBody({ asked, rule, credential, foreign }: Found): boolean {
  const { head, matching } = asked
  if (foreign === 'allow' || !mayHaveBody(head) || head.method === 'WEBSOCKET') return false
  if (foreign === 'strip' && credential === null) return false
  if (rule !== null && matching.every((one) => one.action !== 'allow' || one.unsafeUncheckedBody)) return false
  return bodyKindOf(head.fields) !== 'opaque'
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
