/**
 * Sessions without a token: those that a client's certificate or its source address alone proves.
 *
 * Promises: what proves one proves no other; of two that claim the same address none is proven.
 */

import { contains, type Ip } from '../net/ip.ts'
import { type BookedSession, overlaps } from './booked-session.ts'
import type { StoredSession } from './session-store.ts'

export class TokenlessSessions {
  readonly #bySource = new Set<BookedSession>()
  readonly #byCertificate = new Map<string, BookedSession>()

  add(session: BookedSession): void {
    const { certificate = null, tokenHash } = session.stored
    if (tokenHash !== null) return
    if (certificate !== null) this.#byCertificate.set(certificate, session)
    else if (session.sources !== null) this.#bySource.add(session)
  }

  delete(session: BookedSession): void {
    this.#bySource.delete(session)
    const { certificate = null } = session.stored
    if (certificate !== null && this.#byCertificate.get(certificate) === session)
      this.#byCertificate.delete(certificate)
  }

  /** `change` may change what proves it. */
  renew(session: BookedSession, change: () => void): void {
    this.delete(session)
    change()
    this.add(session)
  }

  /** The session that this address alone proves. Two that claim it prove nothing. */
  bySource(ip: Ip): BookedSession | null {
    const found = [...this.#bySource].filter((session) => session.sources?.some((block) => contains(block, ip)))
    return found.length === 1 ? (found[0] ?? null) : null
  }

  /** The session that a certificate of this name alone proves. */
  byCertificate(peer: string): BookedSession | null {
    return this.#byCertificate.get(peer) ?? null
  }

  /** Whom something proves already that would prove this one. */
  rivalOf(stored: StoredSession): BookedSession | null {
    if (stored.tokenHash !== null) return null
    const { certificate = null } = stored
    if (certificate !== null) return this.byCertificate(certificate)
    return [...this.#bySource].find((one) => overlaps(one, stored)) ?? null
  }
}
