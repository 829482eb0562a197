/**
 * A session as the book holds it: the live one, beside what is stored of it.
 *
 * Promises: a session whose policy does not resolve has a policy without rules, so even a reference kept from before
 * allows nothing; a cut reaches every connection, whatever the one before it threw.
 */

import { isDeepStrictEqual } from 'node:util'
import { type Cidr, contains, type Ip, parseCidr } from '../net/ip.ts'
import { noLimits } from '../policy/parse-limits.ts'
import { type Grant, Policy } from '../policy/policy.ts'
import { Budget, type Ledger } from './budget.ts'
import { type LimitDefaults, limitsInForce } from './session-limits.ts'
import type { Cuttable, CutReason, LiveSession, Session } from './session.ts'
import type { StoredSession } from './session-store.ts'

export type BookedSession = LiveSession & {
  stored: StoredSession
  /** Present sources of `stored`; null: anywhere. */
  sources: readonly Cidr[] | null
  /** True while its policy does not resolve: the session is there and refuses. */
  unresolved: boolean
  /** Static sessions are kept by the process only. */
  readonly kept: 'process' | 'store'
}

export function bookSession(
  stored: StoredSession,
  grant: Grant | null,
  kept: BookedSession['kept'],
  { limits, ledger }: { readonly limits: LimitDefaults; readonly ledger: Ledger },
): BookedSession {
  const inForce = limitsInForce((grant ?? nothing).policy.limits, stored.limits, limits)
  return {
    id: stored.id,
    current: snapshotOf(stored, grant ?? nothing),
    ended: false,
    open: new Set(),
    counters: { allowed: 0, denied: 0, bytesUp: 0, bytesDown: 0, redactions: 0 },
    budget: new Budget(stored.id, inForce, kept === 'store' ? ledger : null),
    stored,
    sources: sourcesOf(stored),
    unresolved: grant === null,
    kept,
  }
}

/** Gives the session its next snapshot. */
export function resolveSession(
  session: BookedSession,
  written: StoredSession,
  grant: Grant | null,
  defaults: LimitDefaults,
): void {
  const { secrets } = session.stored
  // What was made of the secrets is kept by them, so equal ones stay the very same.
  const isSame = secrets !== undefined && secrets !== written.secrets && isDeepStrictEqual(secrets, written.secrets)
  const stored = isSame ? { ...written, secrets } : written
  session.stored = stored
  session.sources = sourcesOf(stored)
  session.unresolved = grant === null
  session.current = snapshotOf(stored, grant ?? nothing)
  session.budget.limits = limitsInForce(session.current.policy.limits, stored.limits, defaults)
}

/** Cuts what is doomed, and what cannot say whether it is; returns what went wrong on the way. */
export function cutWhere(session: BookedSession, why: CutReason, isDoomed: (one: Cuttable) => boolean): unknown[] {
  const errors: unknown[] = []
  for (const one of session.open) {
    try {
      if (!isDoomed(one)) continue
    } catch (error) {
      errors.push(error)
    }
    session.open.delete(one)
    try {
      one.cut(why)
    } catch (error) {
      errors.push(error)
    }
  }
  return errors
}

/** A block that does not parse holds nobody. */
function sourcesOf(stored: StoredSession): readonly Cidr[] | null {
  return stored.sources?.flatMap((text) => parseCidr(text) ?? []) ?? null
}

/** Two blocks overlap when one holds the first address of the other. */
export function overlaps(session: BookedSession, stored: StoredSession): boolean {
  const others = sourcesOf(stored) ?? []
  return (session.sources ?? []).some((a) => others.some((b) => contains(a, firstOf(b)) || contains(b, firstOf(a))))
}

function firstOf({ bits, base, text }: Cidr): Ip {
  return { bits, value: base, text }
}

const noClientIds: ReadonlyMap<string, string> = new Map()

function snapshotOf(stored: StoredSession, grant: Grant): Session {
  return {
    policy: grant.policy,
    mode: grant.mode,
    placeholders: grant.placeholders,
    clientIds: grant.clientIds ?? noClientIds,
    id: stored.id,
    tokenHash: stored.tokenHash === null ? null : Buffer.from(stored.tokenHash, 'hex'),
    labels: stored.labels,
    credentials: new Map(Object.entries(stored.credentials)),
    secrets: stored.secrets ?? null,
    refusal: stored.refusal,
    createdAt: stored.createdAt,
    expiresAt: stored.expiresAt,
  }
}

const nothing: Grant = {
  policy: new Policy({
    name: 'unresolved',
    version: 0,
    mode: 'enforce',
    rules: [],
    limits: noLimits,
    label: 'unresolved',
  }),
  mode: 'enforce',
  placeholders: new Map(),
}
