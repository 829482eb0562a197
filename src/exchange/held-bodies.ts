/**
 * Request bodies that must be judged before anything of them goes on.
 *
 * Promises: held only where a rule asks for it; one body is bounded in size and in time, all of them together in size; what
 * is held is let go when its exchange ends, however it ends.
 */

import type { Readable } from 'node:stream'
import type { Soon } from './soon.ts'

export type HeldLimits = { readonly bodyBytesMax: number; readonly allBytesMax: number; readonly timeoutMs: number }

/** `gone`: the client left, or its body was not what its framing said. */
export type NotHeld = 'gone' | 'no_room' | 'too_large' | 'too_slow'

export class HeldBodies {
  readonly #limits: HeldLimits
  #bytes = 0

  constructor(limits: HeldLimits) {
    this.#limits = limits
  }

  /** Bytes held now. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether it is no use to wait for it. */
  isTooLarge(bytes: number): boolean {
    return bytes > this.#limits.bodyBytesMax
  }

  /** All of it, or why not; what was held is released by whoever asked. */
  hold(body: Buffer | Readable): Soon<Buffer | NotHeld> {
    if (!Buffer.isBuffer(body)) return this.#gather(body)
    const refused = this.#refusal(0, body.length)
    if (refused !== null) return refused
    this.#bytes += body.length
    return body
  }

  /** For a part of a body that is held. False: there is no room. */
  reserve(bytes: number): boolean {
    if (this.#bytes + bytes > this.#limits.allBytesMax) return false
    this.#bytes += bytes
    return true
  }

  release(bytes: number): void {
    this.#bytes -= bytes
  }

  #refusal(already: number, more: number): 'no_room' | 'too_large' | null {
    if (this.isTooLarge(already + more)) return 'too_large'
    return this.#bytes + more > this.#limits.allBytesMax ? 'no_room' : null
  }

  #gather(stream: Readable): Promise<Buffer | NotHeld> {
    return new Promise((resolve) => {
      const pieces: Buffer[] = []
      let bytes = 0
      let settled = false
      const settle = (result: Buffer | NotHeld): void => {
        if (settled) return
        settled = true
        clearTimeout(timer)
        if (typeof result === 'string') {
          this.#bytes -= bytes
          stream.destroy()
        }
        resolve(result)
      }
      const timer = setTimeout(() => settle('too_slow'), this.#limits.timeoutMs)
      timer.unref()
      stream.on('data', (piece: Buffer) => {
        if (settled) return
        const refused = this.#refusal(bytes, piece.length)
        if (refused !== null) {
          settle(refused)
          return
        }
        bytes += piece.length
        this.#bytes += piece.length
        pieces.push(piece)
      })
      stream.once('end', () => settle(Buffer.concat(pieces, bytes)))
      stream.once('error', () => settle('gone'))
      stream.once('close', () => settle('gone'))
    })
  }
}
