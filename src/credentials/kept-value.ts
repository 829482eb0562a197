/**
 * A secret that is fetched and kept for a while: the part that sources share which ask somebody for it.
 *
 * Promises: one fetch at a time, however many wait for it; no value is given once `ttlMs` has passed since the beginning of
 * the fetch that brought it; a failure is not repeated for each request of a burst.
 */

import type { Secret } from './secret.ts'
import type { SecretSource } from './secret-source.ts'

const retryMs = 1000
/** An origin that refuses whatever it is given would otherwise make every request a fetch. */
const refusalMs = 30_000

export type KeptValueOptions = {
  readonly ttlMs: number
  readonly now: () => number
  /** The secret, or a sentence about why there is none. Never rejects. */
  readonly obtain: () => Promise<Secret | string>
  readonly close: () => void
}

type Held = { readonly secret: Secret | string; readonly until: number }

export function createKeptValue({ ttlMs, now, obtain, close }: KeptValueOptions): SecretSource {
  let held: Held | null = null
  let waiting: Promise<void> | null = null
  let refusedAt = Number.NEGATIVE_INFINITY
  let closed = false

  async function renew(): Promise<void> {
    const began = now()
    const secret = await obtain()
    waiting = null
    if (closed) return
    held = { secret, until: typeof secret === 'string' ? now() + retryMs : began + ttlMs }
  }

  const given = (): Secret | null => (held === null || typeof held.secret === 'string' ? null : held.secret)
  return {
    read: () => {
      if (held !== null && now() < held.until) return given()
      if (closed) return null
      held = null
      waiting ??= renew()
      return waiting.then(given)
    },
    problem: () => (typeof held?.secret === 'string' ? held.secret : null),
    refused: () => {
      if (given() === null || now() - refusedAt < refusalMs) return
      refusedAt = now()
      held = null
    },
    close: () => {
      closed = true
      held = null
      close()
    },
  }
}
