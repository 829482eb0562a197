/**
 * The sessions that live in this process, over a store that outlives it.
 *
 * Promises: a session's snapshot is replaced, never changed; when `revoke`, `patch` or `refresh` resolves, everything open
 * that the session may no longer do has been cut; a session whose policy does not resolve allows nothing. What the
 * store has not taken does not exist, and what it could not forget is forgotten again until it is.
 */

import assert from 'node:assert/strict'
import { type BookedSession, bookSession, cutWhere, resolveSession } from './booked-session.ts'
import { IdempotencyKeys } from './idempotency-keys.ts'
import {
  type Created,
  hashed,
  keyOf,
  type NewSession,
  policyText,
  type Refusal,
  refusal,
  refuseReplay,
  refuseSpent,
  type SessionChanges,
  type StaticSession,
  storedNew,
  storedStatic,
} from './new-session.ts'
import { Grants } from './grants.ts'
import { mintSessionId, mintToken } from './session-token.ts'
import type { CutReason } from './session.ts'
import type { Refresh, SessionBookOptions } from './session-book-options.ts'
import type { SharedStore, StoredSession } from './session-store.ts'
import { ledgerOf } from './lease-ledger.ts'
import { alone, createNews } from './store-news.ts'
import { TokenlessSessions } from './tokenless-sessions.ts'
import { Turns } from './turns.ts'

export type { Created, NewSession, Refusal, SessionChanges, StaticSession } from './new-session.ts'

export class SessionBook {
  /** Of the store, where other replicas write it too. */
  readonly shared: SharedStore
  readonly #options: Required<SessionBookOptions>
  readonly #ledger: ReturnType<typeof ledgerOf>
  readonly #grants: Grants
  readonly #sessions = new Map<string, BookedSession>()
  readonly #keys: IdempotencyKeys
  /** Idempotency keys of creates that are under way. */
  readonly #making = new Set<string>()
  readonly tokenless = new TokenlessSessions()
  /** Ended, but the store could not forget them yet. */
  readonly #unforgotten = new Set<string>()
  /** Ended here while a shared store could still bring them back; until when. */
  readonly #over = new Map<string, number>()
  readonly #turns = new Turns()
  #timer: NodeJS.Timeout | null = null

  constructor(options: SessionBookOptions) {
    this.#options = { sessionsMax: 10_000, expiredKeptMs: 3_600_000, keysKeptMs: 86_400_000, ...options }
    this.#keys = new IdempotencyKeys({ keptMs: this.#options.keysKeptMs, spentMax: 2 * this.#options.sessionsMax })
    this.shared = options.store.shared ?? alone
    this.#grants = new Grants(options.grantFor, this.shared, options.log)
    this.#ledger = ledgerOf(options, () => this.list())
  }

  /** Takes in what the store kept, and begins to sweep. */
  async load(): Promise<void> {
    for (const stored of await this.#options.store.load()) {
      if (stored.endedAt !== undefined) {
        if (!this.#keys.spend(stored, this.#options.now())) this.#unforgotten.add(stored.id)
      } else if (this.#sessions.has(stored.id))
        this.#options.log(`session ${stored.id}: configured and stored; the stored one is left out`)
      else this.#adopt(stored, 'store')
    }
    await this.#ledger.load(this.list())
    const news = createNews(this, {
      isOver: (id) => this.#over.has(id),
      adopt: (stored) => void this.#adopt(stored, 'store'),
      replace: (session, stored) => this.tokenless.renew(session, () => this.#replace(session, stored)),
      end: (session) => this.#end(session, 'revoked'),
      forget: (id) => void this.#unforgotten.add(id),
      bury: (stored) => void this.#keys.spend(stored, this.#options.now()),
    })
    this.shared.follow(news)
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

  /** Of two calls at once with one idempotency key the second is refused: its answer would undo that of the first. */
  async create(spec: NewSession): Promise<Created | Refusal> {
    assert(Number.isSafeInteger(spec.ttlMs) && spec.ttlMs > 0)
    if (spec.idempotencyKey === null) return this.#turns.take(() => this.#make(spec))
    const key = keyOf(spec.owner, spec.idempotencyKey)
    if (this.#making.has(key)) return refusal('idempotency_busy', spec.idempotencyKey)
    this.#making.add(key)
    return this.#turns.take(() => this.#again(spec) ?? this.#make(spec)).finally(() => this.#making.delete(key))
  }

  /** Never expires and is not stored: the configuration brings it back. */
  addStatic(spec: StaticSession): BookedSession | Refusal {
    if (this.#sessions.has(spec.id)) return refusal('id_taken', spec.id)
    const stored = storedStatic(spec, this.#options.now())
    const rival = this.tokenless.rivalOf(stored)
    if (rival !== null) return refusal('sources_overlap', `${spec.id} and ${rival.id}`)
    if (this.#grants.of(stored) === null) return refusal('policy_unresolved', policyText(stored))
    return this.#adopt(stored, 'process')
  }

  /** Null: there is no such session, or it is over. */
  patch(id: string, changes: SessionChanges): Promise<BookedSession | Refusal | null> {
    return this.#turns.take(async () => {
      const session = this.#sessions.get(id)
      if (session === undefined || this.isExpired(session)) return null
      if (session.kept === 'process') return refusal('static_session', id)
      const { ttlMs, ...rest } = changes
      const expiresAt = ttlMs === undefined ? session.stored.expiresAt : this.#options.now() + ttlMs
      const stored = { ...session.stored, ...rest, expiresAt }
      if (this.#grants.of(stored) === null) return refusal('policy_unresolved', policyText(stored))
      await this.#write(session, stored)
      return session.ended ? null : session
    })
  }

  /** Resolves when every connection of the session is cut and the store has forgotten it; false: there is none. */
  async revoke(id: string, why: CutReason = 'revoked'): Promise<boolean> {
    const session = this.#sessions.get(id)
    if (session === undefined && !this.#unforgotten.has(id)) return false
    if (session !== undefined) this.#end(session, why)
    if (session?.kept === 'process') return true
    await this.#turns.take(() => this.#forget(id))
    return true
  }

  /** Everything that any session holds open, and nothing else of it: they go on where the store is read again. */
  cutAll(why: CutReason): void {
    for (const session of this.#sessions.values()) this.#cut(session, why, () => true)
  }

  /** A new token; the old one proves nothing from the moment this resolves. Null: no such session, or a static one. */
  async rotate(id: string): Promise<string | null> {
    const token = mintToken(this.#options.random)
    return (await this.#prove(id, hashed(token))) ? token : null
  }

  /** Its sources alone prove it from then on. False: no such session, or none that they would prove. */
  dropToken(id: string): Promise<boolean> {
    return this.#prove(id, null)
  }

  /** After policies changed: every session that is concerned anew, cutting exactly what its new snapshot does not allow. */
  refresh({ concerns, grantFor = this.#grants.grantFor }: Refresh = {}): void {
    this.#grants.grantFor = grantFor
    for (const session of this.#sessions.values())
      if (session.unresolved || concerns?.(session) !== false) this.#replace(session, session.stored)
  }

  /** Told by `identify` when a token proved its session. Lost in a crash, it costs a replay that could have been a 409. */
  noteTokenUse(session: BookedSession): void {
    if (session.stored.tokenUsed) return
    session.stored = { ...session.stored, tokenUsed: true }
    if (session.kept === 'process') return
    this.#turns
      .take(() => (session.ended ? Promise.resolve() : this.#options.store.put(session.stored)))
      .catch((error: unknown) => this.#options.log(`session ${session.id}: first use not stored: ${text(error)}`))
  }

  /** Cuts what expired sessions hold open, and forgets those that expired long ago. */
  async sweep(): Promise<void> {
    for (const session of this.#sessions.values())
      if (this.isExpired(session)) this.#cut(session, 'expired', () => true)
    this.#endExpired(this.#options.now() - this.#options.expiredKeptMs)
    for (const id of this.#keys.expire(this.#options.now())) this.#unforgotten.add(id)
    for (const [id, until] of this.#over) if (until <= this.#options.now()) this.#over.delete(id)
    for (const id of this.#unforgotten) {
      await this.#turns
        .take(() => this.#forget(id))
        .catch((error: unknown) => this.#options.log(`session ${id}: over, but still in the store: ${text(error)}`))
    }
  }

  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer)
    await this.#turns.take(() => this.#ledger.close(this.list()).then(() => this.#options.store.close()))
  }

  async #make(spec: NewSession): Promise<Created | Refusal> {
    if (this.#sessions.size >= this.#options.sessionsMax) this.#endExpired(this.#options.now())
    if (this.#sessions.size >= this.#options.sessionsMax) return refusal('sessions_full', `${this.#sessions.size}`)
    const token = mintToken(this.#options.random)
    const stored = storedNew(spec, mintSessionId(this.#options.random), token, this.#options.now())
    if (this.#sessions.has(stored.id)) return refusal('id_taken', stored.id)
    if (this.#grants.of(stored) === null) return refusal('policy_unresolved', policyText(stored))
    await this.#options.store.put(stored)
    // Where many write, word of it may have been here first.
    const session = this.#sessions.get(stored.id) ?? this.#adopt(stored, 'store')
    return { kind: 'created', session, token }
  }

  /** Null: this key has made nothing. */
  #again(spec: NewSession): Promise<Created | Refusal> | null {
    const { owner, idempotencyKey } = spec
    const now = this.#options.now()
    const session = this.#sessions.get(this.#keys.liveOf(owner, idempotencyKey) ?? '')
    if (session !== undefined && !this.isExpired(session)) return this.#replay(session, spec)
    const over = session !== undefined && this.#keys.isKept(session.stored, now) ? session.stored : null
    const spent = over ?? this.#keys.spentOf(owner, idempotencyKey, now)
    return spent === null ? null : Promise.resolve(refuseSpent(spent.asked, spec))
  }

  async #replay(session: BookedSession, spec: NewSession): Promise<Created | Refusal> {
    const { stored } = session
    const refused = refuseReplay(stored, spec)
    if (refused !== null) return refused
    const token = mintToken(this.#options.random)
    await this.#write(session, { ...stored, tokenHash: hashed(token) })
    return { kind: 'created', session, token }
  }

  #prove(id: string, tokenHash: string | null): Promise<boolean> {
    return this.#turns.take(async () => {
      const session = this.#sessions.get(id)
      if (session === undefined || session.kept === 'process' || this.isExpired(session)) return false
      // No token is one that may not be handed out again.
      const stored = { ...session.stored, tokenHash, tokenUsed: tokenHash === null }
      if (tokenHash === null && (session.sources === null || this.tokenless.rivalOf(stored) !== null)) return false
      await this.#write(session, stored)
      return !session.ended
    })
  }

  #adopt(stored: StoredSession, kept: BookedSession['kept']): BookedSession {
    const session = bookSession(stored, this.#grants.standing(stored), kept, { ...this.#options, ledger: this.#ledger })
    this.#sessions.set(session.id, session)
    this.#keys.hold(stored)
    this.tokenless.add(session)
    return session
  }

  /** Store first: a change that would be gone after a restart has not happened. */
  async #write(session: BookedSession, stored: StoredSession): Promise<void> {
    await this.#options.store.put(stored)
    // The token may have been used while the store was writing.
    const tokenUsed = stored.tokenUsed || (session.stored.tokenUsed && session.stored.tokenHash === stored.tokenHash)
    if (!session.ended) this.tokenless.renew(session, () => this.#replace(session, { ...stored, tokenUsed }))
  }

  #replace(session: BookedSession, stored: StoredSession): void {
    resolveSession(session, stored, this.#grants.standing(stored), this.#options.limits)
    this.#cut(session, 'narrowed', (one) => {
      if (session.unresolved) return true
      one.narrow?.(session.current)
      return !one.stillAllowed(session.current)
    })
  }

  #end(session: BookedSession, why: CutReason): void {
    session.ended = true
    if (this.shared !== alone) this.#over.set(session.id, session.current.expiresAt ?? 0)
    this.#ledger.forget(session.budget)
    this.#sessions.delete(session.id)
    this.tokenless.delete(session)
    this.#keys.spend(session.stored, this.#options.now())
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
    const grave = this.#keys.graveOf(id)
    await (grave === null ? this.#options.store.remove(id) : this.#options.store.put(grave))
    this.#unforgotten.delete(id)
  }

  #cut(session: BookedSession, why: CutReason, isDoomed: Parameters<typeof cutWhere>[2]): void {
    const errors = cutWhere(session, why, isDoomed)
    for (const error of errors) this.#options.log(`session ${session.id}: cut: ${text(error)}`)
  }
}

const text = (error: unknown): string => (error instanceof Error ? error.message : String(error))
