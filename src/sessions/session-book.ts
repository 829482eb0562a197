/**
 * The sessions that live in this process, over a store that outlives it.
 *
 * Promises: a session's snapshot is replaced, never changed; when `revoke`, `patch` or `refresh` resolves, everything open
 * that the session may no longer do has been cut; a session whose policy does not resolve allows nothing. What the
 * store has not taken does not exist, and what it could not forget is forgotten again until it is.
 */

import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { contains, type Ip } from '../net/ip.ts'
import type { Grant } from '../policy/policy.ts'
import { type BookedSession, bookSession, cutWhere, overlaps, resolveSession } from './booked-session.ts'
import {
  type Created,
  keyOf,
  type NewSession,
  policyText,
  type Refusal,
  refusal,
  type SessionChanges,
  type StaticSession,
} from './new-session.ts'
import { hashToken, mintSessionId, mintToken, type Random } from './session-token.ts'
import type { CutReason } from './session.ts'
import type { SessionStore, StoredSession } from './session-store.ts'

/** What a stored session may do, or null when its policy does not resolve at present. */
export type GrantFor = (stored: StoredSession) => Grant | null

export type { Created, NewSession, Refusal, SessionChanges, StaticSession } from './new-session.ts'

export type SessionBookOptions = {
  readonly store: SessionStore
  readonly grantFor: GrantFor
  readonly log: (message: string) => void
  readonly now: () => number
  readonly random: Random
  /** How often expired sessions are looked for. */
  readonly sweepMs: number
  readonly sessionsMax?: number
  /** How long an expired session is still told that it expired, rather than that nobody knows it. */
  readonly expiredKeptMs?: number
}

export class SessionBook {
  readonly #options: Required<SessionBookOptions>
  #grantFor: GrantFor
  readonly #sessions = new Map<string, BookedSession>()
  /** Owner and idempotency key to session id. */
  readonly #byKey = new Map<string, string>()
  /** Sessions that nothing but their source address proves. */
  readonly #bySource = new Set<BookedSession>()
  /** Ended, but the store could not forget them yet. */
  readonly #unforgotten = new Set<string>()
  /** Changes to the store, one after the other, so that the last one asked for is the last one written. */
  #last: Promise<unknown> = Promise.resolve()
  #timer: NodeJS.Timeout | null = null

  constructor(options: SessionBookOptions) {
    this.#options = { sessionsMax: 10_000, expiredKeptMs: 3_600_000, ...options }
    this.#grantFor = options.grantFor
  }

  /** Takes in what the store kept, and begins to sweep. */
  async load(): Promise<void> {
    for (const stored of await this.#options.store.load()) {
      if (this.#sessions.has(stored.id))
        this.#options.log(`session ${stored.id}: configured and stored; the stored one is left out`)
      else this.#adopt(stored, 'store')
    }
    this.#timer = setInterval(() => void this.sweep(), this.#options.sweepMs).unref()
  }

  get(id: string): BookedSession | undefined {
    return this.#sessions.get(id)
  }

  list(): readonly BookedSession[] {
    return [...this.#sessions.values()]
  }

  isExpired(session: BookedSession): boolean {
    const { expiresAt } = session.current
    return expiresAt !== null && expiresAt <= this.#options.now()
  }

  /** The session that this address alone proves. Two that claim it prove nothing. */
  bySource(ip: Ip): BookedSession | null {
    const found = [...this.#bySource].filter((session) => session.sources?.some((block) => contains(block, ip)))
    return found.length === 1 ? (found[0] ?? null) : null
  }

  create(spec: NewSession): Promise<Created | Refusal> {
    assert(Number.isSafeInteger(spec.ttlMs) && spec.ttlMs > 0)
    return this.#inTurn(async () => {
      const known = spec.idempotencyKey === null ? undefined : this.#byKey.get(keyOf(spec.owner, spec.idempotencyKey))
      const replayed = known === undefined ? undefined : this.#sessions.get(known)
      if (replayed !== undefined && !this.isExpired(replayed)) return this.#replay(replayed, spec)
      if (this.#sessions.size >= this.#options.sessionsMax) this.#endExpired(this.#options.now())
      if (this.#sessions.size >= this.#options.sessionsMax) return refusal('sessions_full', `${this.#sessions.size}`)

      const { ttlMs, ...kept } = spec
      const id = mintSessionId(this.#options.random)
      const token = mintToken(this.#options.random)
      const createdAt = this.#options.now()
      const tokenHash = hashToken(token).toString('hex')
      const stored = { ...kept, id, tokenHash, createdAt, expiresAt: createdAt + ttlMs, tokenUsed: false }
      if (this.#sessions.has(id)) return refusal('id_taken', id)
      if (this.#grant(stored) === null) return refusal('policy_unresolved', policyText(stored))
      await this.#options.store.put(stored)
      return { kind: 'created', session: this.#adopt(stored, 'store'), token }
    })
  }

  /** Never expires and is not stored: the configuration brings it back. */
  addStatic(spec: StaticSession): BookedSession | Refusal {
    const { token, ...kept } = spec
    if (this.#sessions.has(spec.id)) return refusal('id_taken', spec.id)
    const stored: StoredSession = {
      ...kept,
      tokenHash: token === null ? null : hashToken(token).toString('hex'),
      createdAt: this.#options.now(),
      expiresAt: null,
      tokenUsed: false,
      idempotencyKey: null,
      owner: 'static',
    }
    const other = stored.tokenHash === null ? [...this.#bySource].find((one) => overlaps(one, stored)) : undefined
    if (other !== undefined) return refusal('sources_overlap', `${spec.id} and ${other.id}`)
    if (this.#grant(stored) === null) return refusal('policy_unresolved', policyText(stored))
    return this.#adopt(stored, 'process')
  }

  /** Null: there is no such session, or it is over. */
  patch(id: string, changes: SessionChanges): Promise<BookedSession | Refusal | null> {
    return this.#inTurn(async () => {
      const session = this.#sessions.get(id)
      if (session === undefined || this.isExpired(session)) return null
      if (session.kept === 'process') return refusal('static_session', id)
      const { ttlMs, ...rest } = changes
      const expiresAt = ttlMs === undefined ? session.stored.expiresAt : this.#options.now() + ttlMs
      const stored = { ...session.stored, ...rest, expiresAt }
      if (this.#grant(stored) === null) return refusal('policy_unresolved', policyText(stored))
      await this.#write(session, stored)
      return session.ended ? null : session
    })
  }

  /** Resolves when every connection of the session is cut and the store has forgotten it; false: there is none. */
  async revoke(id: string, why: CutReason = 'revoked'): Promise<boolean> {
    const session = this.#sessions.get(id)
    if (session === undefined) {
      if (!this.#unforgotten.has(id)) return false
    } else {
      this.#end(session, why)
      if (session.kept === 'process') return true
    }
    await this.#inTurn(() => this.#forget(id))
    return true
  }

  /** Everything that any session holds open, and nothing else of it: they go on where the store is read again. */
  cutAll(why: CutReason): void {
    for (const session of this.#sessions.values()) this.#cut(session, why, () => true)
  }

  /** A new token; the old one proves nothing from the moment this resolves. Null: no such session, or a static one. */
  rotate(id: string): Promise<string | null> {
    return this.#inTurn(async () => {
      const session = this.#sessions.get(id)
      if (session === undefined || session.kept === 'process' || this.isExpired(session)) return null
      const token = mintToken(this.#options.random)
      await this.#write(session, {
        ...session.stored,
        tokenHash: hashToken(token).toString('hex'),
        tokenUsed: false,
      })
      return session.ended ? null : token
    })
  }

  /** After policies changed: every session anew, cutting exactly what its new snapshot does not allow. */
  refresh(grantFor: GrantFor = this.#grantFor): void {
    this.#grantFor = grantFor
    for (const session of this.#sessions.values()) this.#replace(session, session.stored)
  }

  /** Told by `identify` when a token proved its session. Lost in a crash, it costs a replay that could have been a 409. */
  noteTokenUse(session: BookedSession): void {
    if (session.stored.tokenUsed) return
    session.stored = { ...session.stored, tokenUsed: true }
    if (session.kept === 'process') return
    this.#inTurn(async () => {
      if (!session.ended) await this.#options.store.put(session.stored)
    }).catch((error: unknown) => this.#options.log(`session ${session.id}: first use not stored: ${text(error)}`))
  }

  /** Cuts what expired sessions hold open, and forgets those that expired long ago. */
  async sweep(): Promise<void> {
    for (const session of this.#sessions.values())
      if (this.isExpired(session)) this.#cut(session, 'expired', () => true)
    this.#endExpired(this.#options.now() - this.#options.expiredKeptMs)
    for (const id of this.#unforgotten) {
      await this.#inTurn(() => this.#forget(id)).catch((error: unknown) =>
        this.#options.log(`session ${id}: over, but still in the store: ${text(error)}`),
      )
    }
  }

  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer)
    await this.#inTurn(() => this.#options.store.close())
  }

  async #replay(session: BookedSession, spec: NewSession): Promise<Created | Refusal> {
    const { stored } = session
    const { ttlMs, ...asked } = spec
    const same = Object.entries(asked).every(([key, value]) => isDeepStrictEqual(Reflect.get(stored, key), value))
    if (stored.tokenUsed || !same || stored.expiresAt !== stored.createdAt + ttlMs) {
      return refusal('idempotency_conflict', `the key belongs to ${session.id}`)
    }
    const token = mintToken(this.#options.random)
    await this.#write(session, { ...stored, tokenHash: hashToken(token).toString('hex') })
    return { kind: 'created', session, token }
  }

  #adopt(stored: StoredSession, kept: BookedSession['kept']): BookedSession {
    const session = bookSession(stored, this.#grant(stored), kept)
    this.#sessions.set(session.id, session)
    if (stored.idempotencyKey !== null) this.#byKey.set(keyOf(stored.owner, stored.idempotencyKey), session.id)
    if (stored.tokenHash === null && session.sources !== null) this.#bySource.add(session)
    return session
  }

  /** Store first: a change that would be gone after a restart has not happened. */
  async #write(session: BookedSession, stored: StoredSession): Promise<void> {
    await this.#options.store.put(stored)
    // The token may have been used while the store was writing.
    const tokenUsed = stored.tokenUsed || (session.stored.tokenUsed && session.stored.tokenHash === stored.tokenHash)
    if (!session.ended) this.#replace(session, { ...stored, tokenUsed })
  }

  #replace(session: BookedSession, stored: StoredSession): void {
    resolveSession(session, stored, this.#grant(stored))
    this.#cut(session, 'narrowed', (one) => session.unresolved || !one.stillAllowed(session.current))
  }

  #end(session: BookedSession, why: CutReason): void {
    session.ended = true
    this.#sessions.delete(session.id)
    this.#bySource.delete(session)
    const { owner, idempotencyKey } = session.stored
    if (idempotencyKey !== null) this.#byKey.delete(keyOf(owner, idempotencyKey))
    this.#cut(session, why, () => true)
  }

  /** The sweep that follows makes the store forget them. */
  #endExpired(before: number): void {
    for (const session of this.#sessions.values()) {
      const { expiresAt } = session.current
      if (expiresAt === null || expiresAt > before) continue
      this.#end(session, 'expired')
      if (session.kept === 'store') this.#unforgotten.add(session.id)
    }
  }

  async #forget(id: string): Promise<void> {
    this.#unforgotten.add(id)
    await this.#options.store.remove(id)
    this.#unforgotten.delete(id)
  }

  #cut(session: BookedSession, why: CutReason, isDoomed: Parameters<typeof cutWhere>[2]): void {
    for (const error of cutWhere(session, why, isDoomed))
      this.#options.log(`session ${session.id}: cut: ${text(error)}`)
  }

  #grant(stored: StoredSession): Grant | null {
    try {
      return this.#grantFor(stored)
    } catch (error) {
      this.#options.log(`session ${stored.id}: its policy cannot be read: ${text(error)}`)
      return null
    }
  }

  #inTurn<Result>(deed: () => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(deed)
    this.#last = turn.catch(() => null)
    return turn
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
