/** What is asked of the book, and what it answers: a session made, or the one reason why not. */

import { isDeepStrictEqual } from 'node:util'
import type { BookedSession } from './booked-session.ts'
import type { StoredSession } from './session-store.ts'
import { hashToken } from './session-token.ts'

/** What a session is asked to be; the rest the book adds. */
export type NewSession = Pick<
  StoredSession,
  | 'asked'
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
  'certificate' | 'credentials' | 'id' | 'labels' | 'mode' | 'policy' | 'refusal' | 'sources'
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
  | 'idempotency_busy'
  | 'idempotency_conflict'
  | 'idempotency_mismatch'
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

export function storedNew(spec: NewSession, id: string, token: string, createdAt: number): StoredSession {
  const { ttlMs, ...kept } = spec
  return { ...kept, id, tokenHash: hashed(token), createdAt, expiresAt: createdAt + ttlMs, tokenUsed: false }
}

export function storedStatic({ token, ...kept }: StaticSession, createdAt: number): StoredSession {
  const tokenHash = token === null ? null : hashed(token)
  return { ...kept, tokenHash, createdAt, expiresAt: null, tokenUsed: false, idempotencyKey: null, owner: 'static' }
}

/** Whether the session that a key made may be handed out once more; null: it may (decision 6). */
export function refuseReplay(stored: StoredSession, spec: NewSession): Refusal | null {
  if (stored.asked !== spec.asked) return refusal('idempotency_mismatch', `the key belongs to ${stored.id}`)
  const { ttlMs, ...asked } = spec
  const isAsMade =
    Object.entries(asked).every(([key, value]) => isDeepStrictEqual(Reflect.get(stored, key), value)) &&
    stored.expiresAt === stored.createdAt + ttlMs
  return isAsMade && !stored.tokenUsed ? null : refusal('idempotency_conflict', `the key belongs to ${stored.id}`)
}

/** The session that the key made is over. */
export function refuseSpent(asked: string | null | undefined, spec: NewSession): Refusal {
  const isSame = (asked ?? null) === (spec.asked ?? null)
  return refusal(isSame ? 'idempotency_conflict' : 'idempotency_mismatch', 'its session is over')
}

export function hashed(token: string): string {
  return hashToken(token).toString('hex')
}

/** Idempotency keys belong to who sent them. */
export function keyOf(owner: string, idempotencyKey: string): string {
  return JSON.stringify([owner, idempotencyKey])
}

export function policyText({ policy }: StoredSession): string {
  return 'name' in policy ? `policy ${policy.name}` : 'the inline policy'
}
