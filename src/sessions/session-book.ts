/**
 * The sessions that live in this process, over a store that outlives it.
 *
 * Promises: a session's snapshot is replaced, never changed; when `revoke`, `patch` or `refresh` resolves, everything open
 * that the session may no longer do has been cut; a session whose policy does not resolve allows nothing. What the
 * store has not taken does not exist, and what it could not forget is forgotten again until it is.
 */

import assert from 'node:assert/strict'
import type { Grant } from '../policy/policy.ts'
import { type BookedSession, bookSession, cutWhere, resolveSession } from './booked-session.ts'
import { IdempotencyKeys } from './idempotency-keys.ts'
import {
  type Created,
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
import { hashToken, mintSessionId, mintToken } from './session-token.ts'
import type { CutReason } from './session.ts'
import type { GrantFor, Refresh, SessionBookOptions } from './session-book-options.ts'
import type { StoredSession } from './session-store.ts'
import { TokenlessSessions } from './tokenless-sessions.ts'
import { UsageLedger } from './usage-ledger.ts'

export type { Created, NewSession, Refusal, SessionChanges, StaticSession } from './new-session.ts'

export class SessionBook {
  readonly #options: Required<SessionBookOptions>
  readonly #ledger: UsageLedger
  #grantFor: GrantFor
  readonly #sessions = new Map<string, BookedSession>()
  readonly #keys: IdempotencyKeys
  /** Idempotency keys of creates that are under way. */
  readonly #making = new Set<string>()
  readonly tokenless = new TokenlessSessions()
  /** Ended, but the store could not forget them yet. */
  readonly #unforgotten = new Set<string>()
  /** Changes to the store, one after the other, so that the last one asked for is the last one written. */
  #last: Promise<unknown> = Promise.resolve()
  #timer: NodeJS.Timeout | null = null

  constructor(options: SessionBookOptions) {
    this.#options = { sessionsMax: 10_000, expiredKeptMs: 3_600_000, keysKeptMs: 86_400_000, ...options }
    const { keysKeptMs, sessionsMax } = this.#options
    this.#keys = new IdempotencyKeys({ keptMs: keysKeptMs, spentMax: 2 * sessionsMax })
    this.#grantFor = options.grantFor
    this.#ledger = new UsageLedger(options)
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
    if (spec.idempotencyKey === null) return this.#inTurn(() => this.#make(spec))
    const key = keyOf(spec.owner, spec.idempotencyKey)
    if (this.#making.has(key)) return refusal('idempotency_busy', spec.idempotencyKey)
    this.#making.add(key)
    return this.#inTurn(() => this.#again(spec) ?? this.#make(spec)).finally(() => this.#making.delete(key))
  }

  /** Never expires and is not stored: the configuration brings it back. */
  addStatic(spec: StaticSession): BookedSession | Refusal {
    if (this.#sessions.has(spec.id)) return refusal('id_taken', spec.id)
    const stored = storedStatic(spec, this.#options.now())
    const rival = this.tokenless.rivalOf(stored)
    if (rival !== null) return refusal('sources_overlap', `${spec.id} and ${rival.id}`)
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
  async rotate(id: string): Promise<string | null> {
    const token = mintToken(this.#options.random)
    return (await this.#prove(id, hashToken(token).toString('hex'))) ? token : null
  }

  /** Its sources alone prove it from then on. False: no such session, or none that they would prove. */
  dropToken(id: string): Promise<boolean> {
    return this.#prove(id, null)
  }

  /** After policies changed: every session that is concerned anew, cutting exactly what its new snapshot does not allow. */
  refresh({ concerns, grantFor = this.#grantFor }: Refresh = {}): void {
    this.#grantFor = grantFor
    for (const session of this.#sessions.values())
      if (session.unresolved || concerns?.(session) !== false) this.#replace(session, session.stored)
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
    for (const id of this.#keys.expire(this.#options.now())) this.#unforgotten.add(id)
    for (const id of this.#unforgotten) {
      await this.#inTurn(() => this.#forget(id)).catch((error: unknown) =>
        this.#options.log(`session ${id}: over, but still in the store: ${text(error)}`),
      )
    }
  }

  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer)
    await this.#inTurn(() => this.#ledger.close(this.list()).then(() => this.#options.store.close()))
  }

  async #make(spec: NewSession): Promise<Created | Refusal> {
    if (this.#sessions.size >= this.#options.sessionsMax) this.#endExpired(this.#options.now())
    if (this.#sessions.size >= this.#options.sessionsMax) return refusal('sessions_full', `${this.#sessions.size}`)
    const token = mintToken(this.#options.random)
    const stored = storedNew(spec, mintSessionId(this.#options.random), token, this.#options.now())
    if (this.#sessions.has(stored.id)) return refusal('id_taken', stored.id)
    if (this.#grant(stored) === null) return refusal('policy_unresolved', policyText(stored))
    await this.#options.store.put(stored)
    return { kind: 'created', session: this.#adopt(stored, 'store'), token }
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
    await this.#write(session, { ...stored, tokenHash: hashToken(token).toString('hex') })
    return { kind: 'created', session, token }
  }

  #prove(id: string, tokenHash: string | null): Promise<boolean> {
    return this.#inTurn(async () => {
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
    const session = bookSession(stored, this.#grant(stored), kept, { ...this.#options, ledger: this.#ledger })
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
    resolveSession(session, stored, this.#grant(stored), this.#options.limits)
    this.#cut(session, 'narrowed', (one) => {
      if (session.unresolved) return true
      one.narrow?.(session.current)
      return !one.stillAllowed(session.current)
    })
  }

  #end(session: BookedSession, why: CutReason): void {
    session.ended = true
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

const text = (error: unknown): string => (error instanceof Error ? error.message : String(error))
