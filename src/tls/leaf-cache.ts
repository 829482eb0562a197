/**
 * Leaf cache: one ready TLS context per host name.
 *
 * Promises: bounded whatever names are asked for; a leaf is replaced long before it expires; a name is minted once
 * however many connections want it at the same moment, because minting does not wait. Names that were denied live in a
 * cache and under a rate of their own (decision 29), so that a loop over denied names neither costs signatures without
 * end nor pushes out the leaves of allowed ones.
 */

import { constants, createHash, randomBytes } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import { LRUCache } from 'lru-cache'
import type { Host } from '../net/host.ts'
import type { SigningCa } from './signing-ca.ts'

/** What the leaf is for: traffic that may pass, or a refusal told inside TLS. */
export type LeafPurpose = 'allowed' | 'denied'

type LeafCacheStats = {
  readonly hits: number
  readonly misses: number
  readonly evictions: number
  readonly size: number
}

export type LeafCache = {
  /** Null when the rate of denied names is spent, or the CA itself has expired. */
  contextFor(host: Host, purpose: LeafPurpose): SecureContext | null
  stats(): LeafCacheStats
  /** Forgets every leaf and the keys of every ticket. */
  close(): void
}

export type LeafCacheOptions = {
  readonly leavesMax: number
  readonly deniedLeavesMax: number
  readonly deniedPerSecondMax: number
  readonly now: () => Date
  /** 48 bytes that replicas share, so that a client resumes with any of them; absent: random ones of this process. */
  readonly ticketKeys?: Buffer | null
}

type Cached = { readonly context: SecureContext; readonly freshUntil: number }

export function createLeafCache(ca: Pick<SigningCa, 'mint' | 'notAfter'>, options: LeafCacheOptions): LeafCache {
  const counts = { hits: 0, misses: 0, evictions: 0 }
  const dispose = (_cached: Cached, _name: string, reason: string): void => {
    if (reason === 'evict') counts.evictions++
  }
  const caches: Record<LeafPurpose, LRUCache<string, Cached>> = {
    allowed: new LRUCache({ max: options.leavesMax, dispose }),
    denied: new LRUCache({ max: options.deniedLeavesMax, dispose }),
  }
  const mayMintDenied = createRate(options.deniedPerSecondMax)
  // One key for all contexts: a context that was evicted and made anew still resumes its old sessions.
  let ticketKeys = options.ticketKeys ?? randomBytes(48)

  return {
    contextFor(host, purpose) {
      const at = options.now().getTime()
      // A leaf says nothing of what is allowed, so a denied name may use the one that others earned.
      const held = caches[purpose].get(host.name) ?? (purpose === 'denied' ? caches.allowed.peek(host.name) : undefined)
      if (held !== undefined && at < held.freshUntil) {
        counts.hits++
        return held.context
      }
      if (at >= ca.notAfter.getTime()) return null
      if (purpose === 'denied' && !mayMintDenied(at)) return null
      counts.misses++
      const made = makeContext(ca, host, ticketKeys, at)
      caches[purpose].set(host.name, made)
      return made.context
    },
    stats: () => ({ ...counts, size: caches.allowed.size + caches.denied.size }),
    close() {
      caches.allowed.clear()
      caches.denied.clear()
      ticketKeys = randomBytes(48)
    },
  }
}

function makeContext(ca: Pick<SigningCa, 'mint'>, host: Host, ticketKeys: Buffer, at: number): Cached {
  const { key, certificate, notAfter } = ca.mint(host)
  const context = createSecureContext({
    key,
    cert: certificate,
    minVersion: 'TLSv1.2',
    ticketKeys,
    // Of the host: a session of one name is not resumed under another.
    sessionIdContext: createHash('sha256').update(host.name).digest('hex').slice(0, 32),
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  })
  // Half of its life: a connection opened at the last moment still has the other half.
  return { context, freshUntil: at + (notAfter.getTime() - at) / 2 }
}

/** A bucket that holds one second's worth and refills evenly. */
function createRate(perSecondMax: number): (at: number) => boolean {
  let left = perSecondMax
  let filledAt: number | null = null
  return (at) => {
    // A clock set back refills nothing; one that jumps ahead fills the bucket once.
    const elapsedMs = Math.max(0, at - (filledAt ?? at))
    left = Math.min(perSecondMax, left + (elapsedMs * perSecondMax) / 1000)
    filledAt = at
    if (left < 1) return false
    left -= 1
    return true
  }
}
