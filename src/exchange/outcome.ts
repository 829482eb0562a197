/** How an exchange ended: exactly one of these, and record, counters and reply are all functions of it. */

import type { Deny } from '../policy/decision.ts'
import type { Spent } from '../sessions/budget.ts'
import type { CutReason } from '../sessions/session.ts'
import type { FailureCode } from '../upstream/failure.ts'

export type Outcome =
  /** We said no. */
  | Deny
  /** The client left before the answer was complete. */
  | { readonly kind: 'abandoned'; readonly detail: string }
  /** The origin answered, or the tunnel ended; `status` is what the client was told. */
  | { readonly kind: 'completed'; readonly status: number }
  /** The network said no. */
  | { readonly kind: 'failed'; readonly code: FailureCode; readonly cause: unknown }
  /** We ended it under way. */
  | { readonly kind: 'interrupted'; readonly reason: Spent | null; readonly detail: string }
  /** We have a bug. */
  | { readonly kind: 'fault'; readonly error: unknown }

export type InterruptReason = CutReason | 'idle'

const interruptions = {
  download_limit: 'the download budget was spent on the way',
  echoes: 'origins sent its secrets back too often',
  expired: 'the session expired',
  idle: 'no byte moved for too long',
  narrowed: 'the policy no longer allows it',
  outlived: 'it was open for as long as it may be',
  revoked: 'the session was revoked',
  stopped: 'the gateway stops',
  upload_limit: 'the upload budget was spent on the way',
} as const satisfies Record<InterruptReason, string>

export function interrupted(why: InterruptReason): Extract<Outcome, { kind: 'interrupted' }> {
  const reason = why === 'download_limit' || why === 'upload_limit' ? why : null
  return { kind: 'interrupted', reason, detail: interruptions[why] }
}
