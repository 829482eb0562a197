/**
 * Request bodies that must be judged before anything of them goes on.
 *
 * Promises: held only where a rule asks for it; one body is bounded in size and in time, those of a session
 * and all of them together in size; what
 * is held is let go when its exchange ends, however it ends.
 */

import type { Readable } from 'node:stream'
import type { Soon } from './soon.ts'

export type HeldLimits = { readonly bodyBytesMax: number; readonly allBytesMax: number; readonly timeoutMs: number }

/** `gone`: the client left, or its body was not what its framing said. */
export type NotHeld = 'gone' | 'no_room' | 'too_large' | 'too_slow'

/** Whose bodies they are: a session, which holds a share of all at most. */
export type Holder = { heldBytes: number }

/** Among so many sessions at least all room is shared. */
const sharesMin = 4

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
  hold(body: Buffer | Readable, holder: Holder | null = null): Soon<Buffer | NotHeld> {
    if (!Buffer.isBuffer(body)) return this.#gather(body, holder)
    const refused = this.#refusal(0, body.length, holder)
    if (refused !== null) return refused
    this.#add(body.length, holder)
    return body
  }

  /** For a part of a body that is held. False: there is no room. */
  reserve(bytes: number, holder: Holder | null = null): boolean {
    if (!this.#hasRoom(bytes, holder)) return false
    this.#add(bytes, holder)
    return true
  }

  release(bytes: number, holder: Holder | null = null): void {
    this.#add(-bytes, holder)
  }

  #add(bytes: number, holder: Holder | null): void {
    this.#bytes += bytes
    if (holder !== null) holder.heldBytes += bytes
  }

  #refusal(already: number, more: number, holder: Holder | null): 'no_room' | 'too_large' | null {
    if (this.isTooLarge(already + more)) return 'too_large'
    return this.#hasRoom(more, holder) ? null : 'no_room'
  }

  #hasRoom(more: number, holder: Holder | null): boolean {
    const { bodyBytesMax, allBytesMax } = this.#limits
    // What one session fills the others still need; its largest body always has room where nobody else has any.
    const share = Math.max(bodyBytesMax, allBytesMax / sharesMin)
    if (holder !== null && holder.heldBytes + more > share) return false
    return this.#bytes + more <= allBytesMax
  }

  #gather(stream: Readable, holder: Holder | null): Promise<Buffer | NotHeld> {
    return new Promise((resolve) => {
      const pieces: Buffer[] = []
      let bytes = 0
      let settled = false
      const settle = (result: Buffer | NotHeld): void => {
        if (settled) return
        settled = true
        clearTimeout(timer)
        if (typeof result === 'string') {
          this.#add(-bytes, holder)
          stream.destroy()
        }
        resolve(result)
      }
      const timer = setTimeout(() => settle('too_slow'), this.#limits.timeoutMs)
      timer.unref()
      stream.on('data', (piece: Buffer) => {
        if (settled) return
        const refused = this.#refusal(bytes, piece.length, holder)
        if (refused !== null) {
          settle(refused)
          return
        }
        bytes += piece.length
        this.#add(piece.length, holder)
        pieces.push(piece)
      })
      stream.once('end', () => settle(Buffer.concat(pieces, bytes)))
      stream.once('error', () => settle('gone'))
      stream.once('close', () => settle('gone'))
    })
  }
}
