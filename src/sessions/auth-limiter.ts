/**
 * Failed proofs per peer. Guessing 256 bits is hopeless; what this saves is the work and the records of trying.
 *
 * Promises: only failures count and only failures are refused, so a good session behind the same address (a NAT, the
 * loopback of a shared host) is never shut out by its neighbour; memory is bounded whatever the number of peers (SES-03).
 */

import { type Deny, deny } from '../policy/decision.ts'
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

type Bucket = { left: number; at: number }

export function createAuthLimiter(options: AuthLimiterOptions): AuthLimiter {
  const { now, failuresPerMinute = 60, peersMax = 10_000 } = options
  const buckets = new Map<string, Bucket>()

  function spend(peer: string): boolean {
    const at = now()
    const known = buckets.get(peer) ?? { left: failuresPerMinute, at }
    const refilled = known.left + (Math.max(0, at - known.at) * failuresPerMinute) / 60_000
    const left = Math.min(failuresPerMinute, refilled)
    // Deleted and set again: the map's order is then the order of last failure, and its first is the one to forget.
    buckets.delete(peer)
    buckets.set(peer, { left: left < 1 ? left : left - 1, at })
    const [oldest] = buckets.keys()
    if (buckets.size > peersMax && oldest !== undefined) buckets.delete(oldest)
    return left >= 1
  }

  return {
    temper: (refusal, peer) => {
      if (refusal.reason !== 'session_unknown' || refusal.detail === noCredentials) return refusal
      // All of a Unix socket is one peer.
      return spend(peer ?? 'unix') ? refusal : tooMany
    },
    close: () => buckets.clear(),
  }
}
