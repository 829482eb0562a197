/**
 * The bytes of a stream that have come and not gone on: kept as they came, masked in place, released from the front.
 *
 * Promises: nothing is copied but small pieces that leave together; each byte is masked once and leaves once.
 */

/** Keeps lengths, stands in every text, and is in no alphabet that the secret could be read from. */
const mask = 0x2a

const crumbBytesMax = 512
const piecesMax = 32
const blockBytes = 16_384

const nothing = Buffer.alloc(0)

/** A place in the stream; both ends belong to it. */
export type Span = { readonly start: number; readonly end: number }

type Piece = { readonly bytes: Buffer; readonly start: number }

export class HeldBytes {
  /** Bytes that have come, and those that have gone on: positions count from the start of the stream. */
  end = 0
  #released = 0
  #pieces: Piece[] = []
  /** Where crumbs are gathered, once there are many; what is written there is never written again. */
  #block = nothing
  #blockUsed = 0
  /** Pieces before it are gone. */
  #first = 0
  /** The last place masked: what is found again within it costs nothing. */
  #maskedFrom = 0
  #maskedTo = -1

  append(bytes: Buffer): void {
    if (bytes.length > crumbBytesMax || this.#pieces.length - this.#first < piecesMax)
      this.#pieces.push({ bytes, start: this.end })
    else this.#gather(bytes)
    this.end += bytes.length
  }

  /** A stream of crumbs would cost many times its bytes if each were kept on its own. */
  #gather(bytes: Buffer): void {
    const last = this.#pieces.at(-1)
    const fits = this.#blockUsed + bytes.length <= this.#block.length
    if (!fits) {
      this.#block = Buffer.alloc(blockBytes)
      this.#blockUsed = 0
    }
    const from = this.#blockUsed
    bytes.copy(this.#block, from)
    this.#blockUsed += bytes.length
    const grows = fits && last?.bytes.buffer === this.#block.buffer && last.start + last.bytes.length === this.end
    if (grows) {
      const piece = { bytes: this.#block.subarray(from - last.bytes.length, this.#blockUsed), start: last.start }
      this.#pieces[this.#pieces.length - 1] = piece
    } else this.#pieces.push({ bytes: this.#block.subarray(from, this.#blockUsed), start: this.end })
  }

  /** Both ends are masked. True: a place of its own, not part of the last one. */
  mask({ start, end }: Span): boolean {
    if (start > this.#maskedTo) {
      this.#fill(start, end)
      this.#maskedFrom = start
      this.#maskedTo = end
      return true
    }
    if (start < this.#maskedFrom) {
      this.#fill(start, Math.min(end, this.#maskedFrom - 1))
      if (end < this.#maskedFrom - 1) return true
      this.#maskedFrom = start
    }
    if (end > this.#maskedTo) {
      this.#fill(this.#maskedTo + 1, end)
      this.#maskedTo = end
    }
    return false
  }

  /** 0 for what is gone. */
  byteAt(position: number): number {
    for (let i = this.#pieces.length - 1; i >= this.#first; i--) {
      const piece = this.#pieces[i]
      if (piece !== undefined && piece.start <= position) return piece.bytes[position - piece.start] ?? 0
    }
    return 0
  }

  /** All bytes before `until` that have not gone on yet. */
  release(until: number): Buffer {
    if (until <= this.#released) return nothing
    this.#released = until
    const leaving: Buffer[] = []
    for (;;) {
      const piece = this.#pieces[this.#first]
      if (piece === undefined || piece.start >= until) break
      const count = until - piece.start
      if (count < piece.bytes.length) {
        leaving.push(piece.bytes.subarray(0, count))
        this.#pieces[this.#first] = { bytes: piece.bytes.subarray(count), start: until }
        break
      }
      leaving.push(piece.bytes)
      this.#first++
    }
    this.#compact()
    const [only = nothing] = leaving
    return leaving.length === 1 ? only : Buffer.concat(leaving)
  }

  #compact(): void {
    if (this.#first < 64 || this.#first * 2 < this.#pieces.length) return
    this.#pieces = this.#pieces.slice(this.#first)
    this.#first = 0
  }

  #fill(start: number, end: number): void {
    for (let i = this.#pieces.length - 1; i >= this.#first; i--) {
      const piece = this.#pieces[i]
      if (piece === undefined) continue
      const from = Math.max(0, start - piece.start)
      const to = Math.min(piece.bytes.length, end - piece.start + 1)
      if (from < to) piece.bytes.fill(mask, from, to)
      if (piece.start <= start) return
    }
  }
}
