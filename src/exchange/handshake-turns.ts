/**
 * Turns at handshakes: each session has so many at once, and its others wait.
 *
 * Promises: a session that opens connections by the thousand takes no more of one round of the event loop than any other
 * may; nobody waits for ever, and who has waited too long is told no.
 */

import type { LiveSession } from '../sessions/session.ts'
import type { Soon } from './soon.ts'

type Turns = { taken: number; readonly waiting: Set<(mayGo: boolean) => void> }

export type HandshakeTurnsOptions = { readonly atOnceMax: number; readonly waitMs: number }

export class HandshakeTurns {
  readonly #options: HandshakeTurnsOptions
  readonly #bySession = new WeakMap<LiveSession, Turns>()

  constructor(options: HandshakeTurnsOptions) {
    this.#options = options
  }

  /** False: it waited too long. Whoever got true says so by `leave`. */
  enter(session: LiveSession): Soon<boolean> {
    const turns = this.#of(session)
    if (turns.taken < this.#options.atOnceMax) {
      turns.taken++
      return true
    }
    return new Promise((resolve) => {
      const decide = (mayGo: boolean): void => {
        clearTimeout(timer)
        turns.waiting.delete(decide)
        resolve(mayGo)
      }
      const timer = setTimeout(() => decide(false), this.#options.waitMs)
      timer.unref()
      turns.waiting.add(decide)
    })
  }

  leave(session: LiveSession): void {
    const turns = this.#of(session)
    const [next] = turns.waiting
    // A turn that is handed on stays taken.
    if (next === undefined) turns.taken--
    else next(true)
  }

  #of(session: LiveSession): Turns {
    const known = this.#bySession.get(session)
    if (known !== undefined) return known
    const made: Turns = { taken: 0, waiting: new Set() }
    this.#bySession.set(session, made)
    return made
  }
}
