/** Session: one sandbox, one run, one agent; what it may do and how it proves itself. */

import type { Budget, Spent } from './budget.ts'
import type { Grant } from '../policy/policy.ts'

/** Where a refused CONNECT is told: as the answer to CONNECT, inside TLS, or by what is known of the client (decision 30). */
export type RefusalMode = 'auto' | 'connect' | 'inside'

/** One snapshot. It is replaced, never changed, so an exchange sees one session from its first question to its last. */
export type Session = Grant & {
  readonly id: string
  /** SHA-256 of the token; null for a session that only its listener proves. */
  readonly tokenHash: Buffer | null
  readonly labels: Readonly<Record<string, string>>
  /** Which configured credential fills each credential name of the policy; a name that is absent is not available. */
  readonly credentials: ReadonlyMap<string, string>
  /** Configured credential to the value that this session brought for it, sealed; null: none. The same object while they stay the same. */
  readonly secrets: Readonly<Record<string, string>> | null
  readonly refusal: RefusalMode
  /** Milliseconds since the epoch; null: never (static sessions). */
  readonly createdAt: number
  readonly expiresAt: number | null
}

/** Why what a session holds open is cut. */
export type CutReason = Spent | 'echoes' | 'expired' | 'narrowed' | 'outlived' | 'revoked' | 'stopped'

/** What a cut must reach: anything that holds bytes of a session open. */
export type Cuttable = {
  /** Whether it may live on under the session's present snapshot; asked when policy or mode change. */
  readonly stillAllowed: (session: Session) => boolean
  /** Cuts those parts of it that the session may no longer do, where the others can go on without them; asked before. */
  readonly narrow?: (session: Session) => void
  /** Resets both sides now (decision 28). */
  readonly cut: (why: CutReason) => void
}

type SessionCounters = { allowed: number; denied: number; bytesUp: number; bytesDown: number; redactions: number }

/** A session while it lives in this process: the present snapshot and everything that hangs on it. */
export type LiveSession = {
  readonly id: string
  current: Session
  /** True from the moment of revocation: nothing new is allowed even where a reference was kept. */
  ended: boolean
  readonly open: Set<Cuttable>
  readonly counters: SessionCounters
  /** What it has spent and holds, and may. */
  readonly budget: Budget
}
