/** What the book of sessions is made of, and how much it holds. */

import type { Grant } from '../policy/policy.ts'
import type { LimitDefaults } from './session-limits.ts'
import type { BookedSession } from './booked-session.ts'
import type { SessionStore, StoredSession } from './session-store.ts'
import type { Random } from './session-token.ts'

/** What a stored session may do, or null when its policy does not resolve at present. */
export type GrantFor = (stored: StoredSession) => Grant | null

/** What is absent: every session, and grants as before. */
export type Refresh = { readonly concerns?: (session: BookedSession) => boolean; readonly grantFor?: GrantFor }

export type SessionBookOptions = {
  readonly store: SessionStore
  readonly grantFor: GrantFor
  /** Where neither a session nor its policy says. */
  readonly limits: LimitDefaults
  readonly log: (message: string) => void
  readonly now: () => number
  readonly random: Random
  /** How often expired sessions are looked for. */
  readonly sweepMs: number
  readonly sessionsMax?: number
  /** How long an expired session is still told that it expired, rather than that nobody knows it. */
  readonly expiredKeptMs?: number
  /** How long an idempotency key is known, should its session end before. */
  readonly keysKeptMs?: number
}
