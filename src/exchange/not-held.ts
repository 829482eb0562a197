/** What becomes of a request whose whole body was wanted, and is not to be had. */

import type { DenyReason } from '../policy/deny-reason.ts'
import { type Deny, deny } from '../policy/decision.ts'
import type { NotHeld } from './held-bodies.ts'
import type { Outcome } from './outcome.ts'

/** What the body was wanted for: the reason to refuse by, and the words for the record. */
export type Want = { readonly reason: DenyReason; readonly body: string; readonly to: string }

export function withoutBody(
  why: NotHeld,
  { reason, body, to }: Want,
  rule: string | null,
): Deny | Extract<Outcome, { readonly kind: 'abandoned' }> {
  switch (why) {
    case 'gone':
      return { kind: 'abandoned', detail: 'the client left before its body was whole' }
    case 'no_room':
      return deny('overloaded', `too many bodies wait to be ${to}`, rule)
    case 'too_large':
      return deny(reason, `${body} is larger than what is held`, rule)
    case 'too_slow':
      return deny(reason, `${body} did not come in time`, rule)
  }
}
