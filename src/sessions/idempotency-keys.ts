/**
 * Idempotency keys of creates: which session each one made, and for how long that is known.
 *
 * Promises: a key makes one session, whatever became of it since: it is kept as long as its session and for a day at least,
 * in the store too; the keys of sessions that are over are bounded, and the oldest goes first.
 */

import { keyOf } from './new-session.ts'
import type { StoredSession } from './session-store.ts'

type Made = { readonly id: string; readonly asked: string | null; readonly until: number }

export type IdempotencyKeysOptions = {
  /** How long after its create a key is kept, though the session is over. */
  readonly keptMs: number
  readonly spentMax: number
}

export class IdempotencyKeys {
  readonly #options: IdempotencyKeysOptions
  readonly #live = new Map<string, string>()
  /** Of sessions that are over, in the order in which they ended. */
  readonly #spent = new Map<string, Made>()
  /** What the store keeps in place of a session, by its id. */
  readonly #graves = new Map<string, StoredSession>()

  constructor(options: IdempotencyKeysOptions) {
    this.#options = options
  }

  /** The session that this key made and that has not ended; null: none. */
  liveOf(owner: string, key: string | null): string | null {
    return key === null ? null : (this.#live.get(keyOf(owner, key)) ?? null)
  }

  /** What was asked for with this key, where its session is over; null: the key may make one. */
  spentOf(owner: string, key: string | null, now: number): Pick<Made, 'asked'> | null {
    const made = key === null ? undefined : this.#spent.get(keyOf(owner, key))
    return made !== undefined && made.until > now ? made : null
  }

  isKept({ createdAt }: StoredSession, now: number): boolean {
    return createdAt + this.#options.keptMs > now
  }

  hold({ owner, idempotencyKey, id }: StoredSession): void {
    if (idempotencyKey === null) return
    this.#live.set(keyOf(owner, idempotencyKey), id)
  }

  /** Its session ended, or did so before the last start. False: nothing has to be kept of it. */
  spend(stored: StoredSession, now: number): boolean {
    const { owner, idempotencyKey, id } = stored
    if (idempotencyKey === null) return false
    const key = keyOf(owner, idempotencyKey)
    if (this.#live.get(key) === id) this.#live.delete(key)
    if (!this.isKept(stored, now)) return false
    this.#spent.set(key, { id, asked: stored.asked ?? null, until: stored.createdAt + this.#options.keptMs })
    this.#graves.set(id, graveOf(stored, now))
    return true
  }

  /** What the store has to keep of this session now that it is over; null: nothing. */
  graveOf(id: string): StoredSession | null {
    return this.#graves.get(id) ?? null
  }

  /** Ids of sessions of which nothing has to be kept any more. */
  expire(now: number): string[] {
    const gone: string[] = []
    for (const [key, made] of this.#spent) {
      const isOver = made.until <= now || this.#spent.size > this.#options.spentMax
      if (!isOver) continue
      this.#spent.delete(key)
      this.#graves.delete(made.id)
      gone.push(made.id)
    }
    return gone
  }
}

/** No more than the key needs: nothing proves it, and it may do nothing. */
function graveOf({ id, owner, idempotencyKey, asked, createdAt, endedAt }: StoredSession, now: number): StoredSession {
  return {
    id,
    owner,
    idempotencyKey,
    ...(asked === undefined ? {} : { asked }),
    createdAt,
    expiresAt: createdAt,
    endedAt: endedAt ?? now,
    tokenHash: null,
    tokenUsed: true,
    policy: { name: 'ended' },
    mode: null,
    labels: {},
    credentials: {},
    refusal: 'auto',
    sources: null,
  }
}
