/**
 * Which clients trust our CA, learnt from what they do.
 *
 * Promises: only a decrypted byte counts as trust (clients that reject our leaf still finish the handshake on our side);
 * a rejection holds for a while and then is forgotten. Keys are session and CONNECT User-Agent, bounded in number.
 */

import { LRUCache } from 'lru-cache'

export type ClientTrust = {
  readonly trusts: (session: string, userAgent: string | null) => boolean
  readonly learn: (session: string, userAgent: string | null, trust: 'rejects' | 'trusts') => void
}

const clientsMax = 10_000
const rejectionMs = 600_000

export function createClientTrust(): ClientTrust {
  const known = new LRUCache<string, 'rejects' | 'trusts'>({ max: clientsMax })
  const keyOf = (session: string, userAgent: string | null): string => `${session} ${(userAgent ?? '').slice(0, 200)}`
  return {
    trusts: (session, userAgent) => known.get(keyOf(session, userAgent)) === 'trusts',
    learn: (session, userAgent, trust) => {
      known.set(keyOf(session, userAgent), trust, trust === 'rejects' ? { ttl: rejectionMs } : {})
    },
  }
}
