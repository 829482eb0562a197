/**
 * One clock for everything that may take too long.
 *
 * Promises: no phase waits for ever, on any path. One interval for all instead of a timer each: an idle tunnel costs no
 * timer, and a deadline is kept to within `sweepMs`.
 */

import type net from 'node:net'

export type Watched = {
  /** Called every `sweepMs` with `performance.now()`; ends what has waited too long. */
  readonly check: (now: number) => void
}

const lingerMs = 2000
/** For a client that does not take the last answer at all. */
const stalledMs = 30_000

export class Deadlines {
  readonly #watched = new Set<Watched>()
  readonly #timer: NodeJS.Timeout

  constructor(sweepMs: number) {
    this.#timer = setInterval(() => this.#sweep(), sweepMs)
    this.#timer.unref()
  }

  add(watched: Watched): void {
    this.#watched.add(watched)
  }

  delete(watched: Watched): void {
    this.#watched.delete(watched)
  }

  /** For a socket that was told its last answer: it may take it at its own pace, read on for a moment, and is gone then. */
  lingerThenDestroy(socket: net.Socket): void {
    let since = performance.now()
    let waiting = socket.writableLength
    const lingering: Watched = {
      check: (now) => {
        if (socket.writableLength !== waiting) {
          waiting = socket.writableLength
          since = now
        }
        if (now - since < (waiting > 0 ? stalledMs : lingerMs)) return
        socket.destroy()
        this.#watched.delete(lingering)
      },
    }
    this.#watched.add(lingering)
    socket.once('close', () => this.#watched.delete(lingering))
  }

  close(): void {
    clearInterval(this.#timer)
    this.#watched.clear()
  }

  #sweep(): void {
    const now = performance.now()
    for (const watched of this.#watched) watched.check(now)
  }
}
