/**
 * What an origin says on a WebSocket that a credential was put on: nothing of the credential goes through.
 *
 * Promises: messages and control frames are searched and masked, wherever they were cut into frames; lengths of messages
 * stay, frames within one are ours (RFC 6455 §5.4 lets whoever stands between do so where no extension is spoken). What
 * is held back is held by position, to the end of the message at most (decision 34); what could not be searched breaks the
 * whole. Whatever is passed on is whole frames.
 */

import { Masker } from '../credentials/redact/masker.ts'
import type { Secret } from '../credentials/secret.ts'
import { type FrameHead, FrameWatch, serverFrame } from '../net/websocket-frames.ts'

const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const
const known: ReadonlySet<number> = new Set(Object.values(opcodes))
const controlBytesMax = 125

const nothing = Buffer.alloc(0)

/** A data message under way, or a control frame. */
type Part = { readonly masker: Masker; pieces: Buffer[] }

export class RedactingFrames {
  /** Our frames are whole: a word of our own fits behind any of them. */
  readonly between = true
  /** Why nothing passes any more. */
  broken: string | null = null
  readonly #secrets: readonly Secret[]
  readonly #frames: FrameWatch
  #frame: FrameHead | null = null
  #message: Part | null = null
  /** Of the next frame of the message: what it is, and then that it goes on. */
  #opcode: number = opcodes.continuation
  #control: Part | null = null
  #out: Buffer[] = []
  /** Places masked in what has ended. */
  #redactions = 0

  constructor(secrets: readonly Secret[]) {
    this.#secrets = secrets
    this.#frames = new FrameWatch({
      begin: (head) => this.#begin(head),
      payload: (piece) => this.#payload(piece),
      end: () => this.#end(),
    })
  }

  /** Places masked so far. */
  get redactions(): number {
    return this.#redactions + (this.#message?.masker.redactions ?? 0) + (this.#control?.masker.redactions ?? 0)
  }

  /** The bytes are ours from here on. Returns what goes on instead of them. */
  pass(bytes: Buffer): Buffer {
    if (this.broken !== null) return nothing
    this.#frames.pass(bytes)
    if (this.#message !== null && this.#message.pieces.length > 0) this.#say(this.#message, false)
    const out = this.#out
    this.#out = []
    return out.length === 1 ? (out[0] ?? nothing) : Buffer.concat(out)
  }

  #begin(head: FrameHead): void {
    this.broken ??= this.#whyUnfit(head)
    if (this.broken !== null) return
    this.#frame = head
    if (head.opcode >= opcodes.close) {
      this.#control = this.#newPart()
    } else if (head.opcode !== opcodes.continuation) {
      this.#opcode = head.opcode
      this.#message = this.#newPart()
    }
  }

  /** What is not exactly of the protocol is read by some clients so and by others otherwise, and not by us. */
  #whyUnfit({ fin, masked, opcode, payloadBytes, reserved }: FrameHead): string | null {
    if (reserved) return 'a frame of an extension that nobody offered'
    if (masked) return 'a masked frame of a server'
    if (!known.has(opcode)) return `a frame of kind ${opcode}`
    if (payloadBytes > Number.MAX_SAFE_INTEGER) return 'a frame without measure'
    if (opcode >= opcodes.close) return fin && payloadBytes <= controlBytesMax ? null : 'a control frame that is none'
    const goesOn = opcode === opcodes.continuation
    return goesOn === (this.#message !== null) ? null : 'a message within another, or the rest of none'
  }

  #payload(piece: Buffer): void {
    if (this.broken !== null) return
    const part = this.#control ?? this.#message
    const free = part?.masker.push(piece) ?? nothing
    if (free.length > 0) part?.pieces.push(free)
  }

  #end(): void {
    if (this.broken !== null || this.#frame === null) return
    const control = this.#control
    if (control !== null) {
      // Between the frames of a message; what of it is free goes first.
      if (this.#message !== null && this.#message.pieces.length > 0) this.#say(this.#message, false)
      this.#control = null
      this.#finish(control)
      this.#out.push(serverFrame(this.#frame.opcode, true, Buffer.concat(control.pieces)))
    } else if (this.#frame.fin && this.#message !== null) {
      const message = this.#message
      this.#message = null
      this.#finish(message)
      this.#say(message, true)
    }
  }

  #finish({ masker, pieces }: Part): void {
    pieces.push(masker.finish())
    this.#redactions += masker.redactions
  }

  #say(message: Part, fin: boolean): void {
    this.#out.push(serverFrame(this.#opcode, fin, Buffer.concat(message.pieces)))
    this.#opcode = opcodes.continuation
    message.pieces = []
  }

  #newPart(): Part {
    return { masker: new Masker(this.#secrets), pieces: [] }
  }
}
