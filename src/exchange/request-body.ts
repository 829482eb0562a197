/**
 * A client's request body, still to come: read when somebody asks for it, and given up without giving up the client.
 *
 * Promises: nothing is read from the client before the request is allowed; an origin that answers before the upload ends
 * takes its connection away, not the client's; a body that ends before its framing says so is an error, never an end;
 * nothing is buffered beyond the stream's own mark.
 */

import { Readable } from 'node:stream'
import type { Fields } from '../net/fields.ts'
import type { Meter } from '../upstream/meter.ts'

/** The door's side of it; of a body that is not under way any more it hears nothing. */
export type BodySource = {
  /** The whole body, where all of it has been read already and is one piece; null: it must be streamed. */
  readonly takeWhole: (body: RequestBody) => Buffer | null
  /** From now on pieces are wanted: until `push` says false, and again after every call. */
  readonly resume: (body: RequestBody) => void
  /** Nobody wants the rest: it may be read and dropped. */
  readonly drop: (body: RequestBody) => void
  /** What follows is no HTTP: lets go of the stream, and returns what was read too much. */
  readonly detach: () => Buffer
}

export class RequestBody {
  /** All of it has come from the client. */
  complete = false
  /** What came behind it; known when it has ended. */
  trailers: Fields = noFields
  readonly #source: BodySource
  #stream: Readable | null = null
  /** Asked before a piece goes on; null: nobody counts. */
  #meter: Pick<Meter, 'takeUp'> | null = null

  constructor(source: BodySource) {
    this.#source = source
  }

  /** Called at most once, when the request may go on. */
  open(): Buffer | Readable {
    const whole = this.#source.takeWhole(this)
    if (whole !== null) return whole
    const source = this.#source
    const stream = new Readable({
      highWaterMark: 65_536,
      read: () => source.resume(this),
      destroy: (error, done) => {
        // What the client still sends is read and dropped: its answer is on the way.
        source.drop(this)
        done(error)
      },
    })
    // Whoever reads it hears of it; once nobody does, an error would end the process.
    stream.on('error', ignore)
    this.#stream = stream
    return stream
  }

  /** The client's connection leaves HTTP behind this request. Returns what came behind it already. */
  detach(): Buffer {
    return this.#source.detach()
  }

  /** From now on every piece is counted before it goes on. */
  count(meter: Pick<Meter, 'takeUp'>): void {
    this.#meter = meter
  }

  /** One piece from the client. False: enough for now. */
  push(piece: Buffer): boolean {
    if (this.#meter !== null && !this.#meter.takeUp(piece.length)) return false
    return this.#stream?.push(piece) ?? false
  }

  end(): void {
    this.complete = true
    this.#stream?.push(null)
  }

  fail(error: Error): void {
    this.#stream?.destroy(error)
  }
}

const noFields: Fields = []

function ignore(): void {}
