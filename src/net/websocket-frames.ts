/**
 * WebSocket frames (RFC 6455 §5.2): where they begin and end in bytes that pass by, and heads of our own. No I/O.
 *
 * Promises: nothing is kept but a frame's head that has not ended; a stream that is no frames never comes to an end of one.
 */

/** Of a frame's head: two bytes, eight of length, four of mask. */
const headBytesMax = 14

export type FrameHead = {
  readonly fin: boolean
  /** The three bits that only extensions use. */
  readonly reserved: boolean
  readonly opcode: number
  readonly masked: boolean
  readonly payloadBytes: number
}

/** Told of each frame as it passes. */
export type FrameSink = {
  readonly begin: (head: FrameHead) => void
  readonly payload: (piece: Buffer) => void
  readonly end: () => void
}

const deaf: FrameSink = { begin: ignore, payload: ignore, end: ignore }

export class FrameWatch {
  readonly #sink: FrameSink
  readonly #head = Buffer.alloc(headBytesMax)
  /** How much of the head has come, and how much of what follows it is to come. */
  #headBytes = 0
  #payload = 0

  constructor(sink: FrameSink = deaf) {
    this.#sink = sink
  }

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
        this.#sink.payload(bytes.subarray(at, at + passed))
        at += passed
        if (this.#payload === 0) this.#sink.end()
        continue
      }
      this.#head[this.#headBytes] = bytes[at] ?? 0
      this.#headBytes++
      at++
      const head = this.#parseHead()
      if (head === null) continue
      this.#headBytes = 0
      this.#payload = head.payloadBytes
      this.#sink.begin(head)
      if (head.payloadBytes === 0) this.#sink.end()
    }
  }

  /** Null: the head has not ended. */
  #parseHead(): FrameHead | null {
    if (this.#headBytes < 2) return null
    const first = this.#head[0] ?? 0
    const second = this.#head[1] ?? 0
    const masked = second >= 0x80
    const short = second & 0x7f
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0
    if (this.#headBytes < 2 + lengthBytes + (masked ? 4 : 0)) return null
    return {
      fin: first >= 0x80,
      reserved: (first & 0x70) !== 0,
      opcode: first & 0x0f,
      masked,
      payloadBytes: lengthBytes === 0 ? short : this.#longLength(lengthBytes),
    }
  }

  #longLength(lengthBytes: number): number {
    // Beyond 2^53 the last digits go, and nobody lives to see the end of such a frame.
    return lengthBytes === 2 ? this.#head.readUInt16BE(2) : Number(this.#head.readBigUInt64BE(2))
  }
}

/** A frame as a server sends it, unmasked. */
export function serverFrame(opcode: number, fin: boolean, payload: Buffer): Buffer {
  const { length } = payload
  const lengthBytes = length < 126 ? 0 : length < 0x1_0000 ? 2 : 8
  const frame = Buffer.allocUnsafe(2 + lengthBytes + length)
  frame[0] = opcode | (fin ? 0x80 : 0)
  frame[1] = lengthBytes === 0 ? length : lengthBytes === 2 ? 126 : 127
  if (lengthBytes === 2) frame.writeUInt16BE(length, 2)
  if (lengthBytes === 8) frame.writeBigUInt64BE(BigInt(length), 2)
  payload.copy(frame, 2 + lengthBytes)
  return frame
}

export function closeFrame(code: number, reason: string): Buffer {
  const payload = Buffer.from(`  ${reason}`)
  payload.writeUInt16BE(code)
  return serverFrame(8, true, payload)
}

function ignore(): void {}
