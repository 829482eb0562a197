/** What is asked of the book, and what it answers: a session made, or the one reason why not. */

import type { BookedSession } from './booked-session.ts'
import type { StoredSession } from './session-store.ts'

/** What a session is asked to be; the rest the book adds. */
export type NewSession = Pick<
  StoredSession,
  | 'credentials'
  | 'idempotencyKey'
  | 'labels'
  | 'limits'
  | 'mode'
  | 'owner'
  | 'policy'
  | 'refusal'
  | 'secrets'
  | 'sources'
> & { readonly ttlMs: number }

/** A session of the configuration. Without a token its listener or its sources prove it. */
export type StaticSession = Pick<
  StoredSession,
  'credentials' | 'id' | 'labels' | 'mode' | 'policy' | 'refusal' | 'sources'
> & { readonly token: string | null }

/** Only what is named changes; `ttlMs` counts from now. */
export type SessionChanges = Partial<
  Pick<
    NewSession,
    'credentials' | 'labels' | 'limits' | 'mode' | 'policy' | 'refusal' | 'secrets' | 'sources' | 'ttlMs'
  >
>

export type RefusalReason =
  | 'id_taken'
  | 'idempotency_conflict'
  | 'policy_unresolved'
  | 'sessions_full'
  | 'sources_overlap'
  | 'static_session'
export type Refusal = { readonly kind: 'refused'; readonly reason: RefusalReason; readonly detail: string }
/** The token is here and nowhere else: it is told once. */
export type Created = { readonly kind: 'created'; readonly session: BookedSession; readonly token: string }

export function refusal(reason: RefusalReason, detail: string): Refusal {
  return { kind: 'refused', reason, detail }
}

/** Idempotency keys belong to who sent them. */
export function keyOf(owner: string, idempotencyKey: string): string {
  return JSON.stringify([owner, idempotencyKey])
}

export function policyText({ policy }: StoredSession): string {
  return 'name' in policy ? `policy ${policy.name}` : 'the inline policy'
}
