/**
 * One clock for everything that may take too long.
 *
 * Promises: no phase waits for ever, on any path. One interval for all instead of a timer each: an idle tunnel costs no
 * timer, and a deadline is kept to within `sweepMs`.
 */

import type net from 'node:net'
import type { Duplex } from 'node:stream'
import { resetSocket } from '../upstream/reset-socket.ts'

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

  /** For a socket (on top of `raw`) that was told its last answer: it may take it at its own pace, read on for a moment, and is gone then. */
  lingerThenDestroy(socket: net.Socket, raw: net.Socket): void {
    this.lingerThen(socket, () => resetSocket(raw))
  }

  /** The same of what may be no socket. */
  lingerThen(socket: Duplex, reset: () => void): void {
    let since = performance.now()
    let waiting = socket.writableLength
    const lingering: Watched = {
      check: (now) => {
        if (socket.writableLength !== waiting) {
          waiting = socket.writableLength
          since = now
        }
        // Whoever has said its last word and takes nothing either is gone: the reset after it is seen by nobody.
        if (now - since < (waiting > 0 && !socket.readableEnded ? stalledMs : lingerMs)) return
        // What was not taken whole must not end like something that was.
        if (waiting > 0) reset()
        else socket.destroy()
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
