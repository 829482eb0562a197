/**
 * Where WebSocket frames begin and end (RFC 6455 §5.2), in bytes that pass by. No I/O.
 *
 * Promises: nothing is kept but a frame's head that has not ended; a stream that is no frames never comes to an end of one.
 */

/** Of a frame's head: two bytes, eight of length, four of mask. */
const headBytesMax = 14

export class FrameWatch {
  readonly #head = Buffer.alloc(headBytesMax)
  /** How much of the head has come, and how much of what follows it is to come. */
  #headBytes = 0
  #payload = 0

  /** Whether the next byte is the first of a frame. */
  get between(): boolean {
    return this.#payload === 0 && this.#headBytes === 0
  }

  pass(bytes: Buffer): void {
    let at = 0
    while (at < bytes.length) {
      if (this.#payload > 0) {
        const passed = Math.min(this.#payload, bytes.length - at)
        this.#payload -= passed
        at += passed
        continue
      }
      this.#head[this.#headBytes] = bytes[at] ?? 0
      this.#headBytes++
      at++
      const length = this.#payloadLength()
      if (length === null) continue
      this.#headBytes = 0
      this.#payload = length
    }
  }

  /** Null: the head has not ended. */
  #payloadLength(): number | null {
    if (this.#headBytes < 2) return null
    const second = this.#head[1] ?? 0
    const short = second & 0x7f
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0
    if (this.#headBytes < 2 + lengthBytes + (second >= 0x80 ? 4 : 0)) return null
    if (lengthBytes === 0) return short
    // Beyond 2^53 the last digits go, and nobody lives to see the end of such a frame.
    return lengthBytes === 2 ? this.#head.readUInt16BE(2) : Number(this.#head.readBigUInt64BE(2))
  }
}

/** A close frame as a server sends it, unmasked. */
export function closeFrame(code: number, reason: string): Buffer {
  const text = Buffer.from(reason)
  const frame = Buffer.alloc(4 + text.length)
  frame[0] = 0x88
  frame[1] = 2 + text.length
  frame.writeUInt16BE(code, 2)
  text.copy(frame, 4)
  return frame
}
