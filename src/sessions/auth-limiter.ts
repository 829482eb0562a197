/**
 * Failed proofs per peer. Guessing 256 bits is hopeless; what this saves is the work and the records of trying.
 *
 * Promises: only failures count and only failures are refused, so a good session behind the same address (a NAT, the
 * loopback of a shared host) is never shut out by its neighbour; memory is bounded whatever the number of peers (SES-03).
 */

import { type Deny, deny } from '../policy/decision.ts'
import { FailureBuckets } from './failure-buckets.ts'
import { noCredentials } from './identify.ts'

export type AuthLimiterOptions = {
  readonly now: () => number
  readonly failuresPerMinute?: number
  readonly peersMax?: number
}

export type AuthLimiter = {
  /** The refusal to give: the same one, or `rate_limited` once this peer has failed too often. */
  readonly temper: (refusal: Deny, peer: string | null) => Deny
  readonly close: () => void
}

const tooMany: Deny = {
  ...deny('rate_limited', 'too many failed proxy credentials from this peer'),
  retryAfterSeconds: 60,
}

export function createAuthLimiter(options: AuthLimiterOptions): AuthLimiter {
  const { now, failuresPerMinute = 60, peersMax = 10_000 } = options
  const buckets = new FailureBuckets({ now, perMinute: failuresPerMinute, peersMax })

  return {
    temper: (refusal, peer) => {
      if (refusal.reason !== 'session_unknown' || refusal.detail === noCredentials) return refusal
      // All of a Unix socket is one peer.
      return buckets.spend(peer ?? 'unix') ? refusal : tooMany
    },
    close: () => buckets.clear(),
  }
}
