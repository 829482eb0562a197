/**
 * One stream of HTTP/2, as the lane of one exchange: its body, its end, its own deadline.
 *
 * Promises: nothing of its body is read before somebody wants it; what stalls here stalls nothing else; whoever ends it,
 * its exchange hears of it once.
 */

import type { ServerHttp2Stream } from 'node:http2'
import type { ActiveExchange, Lane } from '../exchange/connection.ts'
import { H2Answer } from '../exchange/h2-answer.ts'
import { interrupted } from '../exchange/outcome.ts'
import { type BodySource, RequestBody } from '../exchange/request-body.ts'
import type { RawHead } from '../net/request-head.ts'
import { deny } from '../policy/decision.ts'

/** RFC 9113 §7. */
const protocolError = 1

export type LaneListener = {
  readonly onBegin: (active: ActiveExchange) => void
  readonly onOver: (active: ActiveExchange) => void
  /** Bytes of the body that came. */
  readonly onBytes: (bytes: number) => void
  readonly onClose: (lane: H2Lane, end: LaneEnd) => void
}

/**
 * `reset`: before its end, and not by us. `blamed`: with the whole connection, because of what the client said on it, while an
 * exchange was under way here to say so.
 */
export type LaneEnd = 'blamed' | 'ended' | 'reset'

export type LaneStart = {
  readonly stream: ServerHttp2Stream
  readonly raw: RawHead
  readonly idleMs: number
  /** As announced; null: not. */
  readonly length: number | null
  /** What comes behind the head of a WebSocket handshake is no body. */
  readonly asks: 'answer' | 'websocket'
}

export class H2Lane implements BodySource, Lane {
  readonly answer: H2Answer
  readonly body: RequestBody
  readonly #start: LaneStart
  readonly #listener: LaneListener
  #active: ActiveExchange | null = null
  #received = 0
  #reading = false
  /** Read by somebody else, who watches over it too. */
  #detached = false
  #brokenConnection = false
  #movedBefore = 0
  #movedAt = performance.now()

  constructor(start: LaneStart, listener: LaneListener) {
    const { stream, raw, asks } = start
    this.#start = start
    this.#listener = listener
    this.answer = new H2Answer(stream, raw, asks)
    this.body = new RequestBody(this)
    this.body.complete = stream.endAfterHeaders || asks === 'websocket'
    stream.on('error', (error) => {
      this.#brokenConnection = brokeRules(error)
    })
    stream.once('close', () => this.#closed())
    stream.on('drain', () => this.#active?.drained())
    if (stream.endAfterHeaders) stream.resume()
    // They may be here before anybody reads what is in front of them.
    else stream.once('trailers', (_fields, _flags, list: readonly string[]) => (this.body.trailers = list))
  }

  begin(active: ActiveExchange): void {
    this.#active = active
    this.#listener.onBegin(active)
  }

  over(): void {
    const active = this.#active
    this.#active = null
    if (active !== null) this.#listener.onOver(active)
  }

  /** A body has as many pieces as it has frames: it is never here whole. */
  takeWhole(): null {
    return null
  }

  resume(): void {
    const { stream } = this.#start
    if (!this.#reading) {
      this.#reading = true
      stream.on('data', (piece: Buffer) => this.#receive(piece))
      stream.once('end', () => this.#ended())
    }
    stream.resume()
  }

  /** The rest stays with the client: its window closes, and the end of the answer tells it to stop. */
  drop(): void {
    this.#start.stream.pause()
  }

  /** From here on whoever reads the stream has all of it. */
  detach(): Buffer {
    this.#detached = true
    this.#start.stream.on('data', (piece: Buffer) => this.#listener.onBytes(piece.length))
    return nothing
  }

  check(now: number): void {
    const { stream, idleMs } = this.#start
    if (this.#detached) return
    const moved = this.#received + this.answer.written - stream.writableLength
    if (moved !== this.#movedBefore) {
      this.#movedBefore = moved
      this.#movedAt = now
    } else if (now - this.#movedAt > idleMs) {
      this.#active?.interrupt(interrupted('idle'))
      this.answer.abort()
    }
  }

  #receive(piece: Buffer): void {
    this.#received += piece.length
    this.#listener.onBytes(piece.length)
    if (!this.body.push(piece)) this.#start.stream.pause()
  }

  /** A stream that was reset ends for its reader too: only a clean end is one. */
  #ended(): void {
    const { stream, length } = this.#start
    if (!stream.aborted && stream.rstCode === 0 && (length === null || length === this.#received)) this.body.end()
  }

  #closed(): void {
    const { stream, length } = this.#start
    // Not `writableFinished`: the library ends a stream before it says that of the last write.
    const reset = stream.rstCode !== 0 || !(this.answer.ended || this.#detached)
    this.body.fail(new Error('the client reset the stream'))
    const active = this.#active
    if (active !== null && reset && !this.answer.aborted) {
      const short = length !== null && length !== this.#received && stream.rstCode === protocolError
      if (this.#brokenConnection) active.interrupt(deny('malformed_request', 'the client broke the rules of HTTP/2'))
      else if (short) active.interrupt(deny('malformed_request', 'the body is not as long as its head said'))
      active.leave()
    }
    const blamed = this.#brokenConnection && active !== null
    this.#listener.onClose(this, blamed ? 'blamed' : reset && !this.answer.aborted ? 'reset' : 'ended')
  }
}

const nothing = Buffer.alloc(0)

/** What the library says when it gives up a connection for what came on it; anything else is the network's. */
export function brokeRules(error: Error): boolean {
  if (!('code' in error)) return false
  return error.code === 'ERR_HTTP2_ERROR' || error.code === 'ERR_HTTP2_TOO_MANY_INVALID_FRAMES'
}
