/**
 * Deliver, last step, by HTTP/2: one judged request out on a stream of its own, its answer streamed back.
 *
 * Promises: those of `forward.ts`; whatever becomes of one stream, the others on its connection go on; a body that broke
 * off never looks whole to the origin, nor an answer that did to the client.
 */

import type { ClientHttp2Stream } from 'node:http2'
import type { Readable } from 'node:stream'
import { parseInterimHead, parseResponseHead, parseTrailers, type ResponseHead } from '../net/response-head.ts'
import { type Failure, failure, failureOf } from './failure.ts'
import type { Forward, Forwarded, ForwardRequest, Upgrade } from './forward-request.ts'
import { connectList, headerList, lengthOf, reasonOf, sortFields } from './h2-fields.ts'
import type { H2Session } from './h2-sessions.ts'
import { leaveHttp, readYes } from './leave-http.ts'
import { informationalMax, repeatable } from './origin-rules.ts'

const none: readonly string[] = []
/** RFC 9113 §7: what is said, by us or by them, of what is not well-formed. */
const malformedCodes: ReadonlySet<number> = new Set([0x1, 0x3, 0x6, 0x9, 0xb])
const refusedStream = 0x7

export function forwardH2(request: ForwardRequest, session: H2Session): Forward {
  const forwarding = new H2Forwarding(request, session)
  forwarding.begin(session)
  return forwarding
}

class H2Forwarding implements Forward {
  readonly #request: ForwardRequest
  #session: H2Session
  #stream: ClientHttp2Stream | null = null
  #status = 0
  #informational = 0
  #trailers: readonly string[] = []
  /** Of the body that the head promised; null: it did not say. */
  #length: number | null = null
  #bodyBytes = 0
  /** The origin has said that this is all. */
  #whole = false
  /** All of the answer has come, and the rest of it is on its way to the client. */
  #complete = false
  #settled = false
  #retried = false
  #bytesUp = 0
  #bytesDown = 0
  #movedBefore = 0
  #movedAt = 0
  #sentAt: number | null = null
  #answeredAt: number | null = null

  constructor(request: ForwardRequest, session: H2Session) {
    this.#request = request
    this.#session = session
    request.writer.onDrain(() => this.#stream?.resume())
  }

  /** What leaves HTTP waits for the origin's SETTINGS, which say whether it may; nothing else does. */
  begin(session: H2Session): void {
    if (this.#request.upgrade === null) this.#send(session)
    else void this.#sendOnceTold(session)
  }

  async #sendOnceTold(session: H2Session): Promise<void> {
    this.#session = session
    this.#sentAt = performance.now()
    this.#movedAt = this.#sentAt
    const why = await session.refusesConnect()
    if (why !== null) this.#fail(why)
    else if (!this.#settled) this.#send(session)
  }

  #send(session: H2Session): void {
    const { head, body, trailers, upgrade } = this.#request
    const announced = body === null ? none : trailers.announced()
    this.#session = session
    let stream: ClientHttp2Stream
    try {
      const waitForTrailers = announced.length > 0
      const list = upgrade === null ? headerList(head, announced) : connectList(head, upgrade.protocol)
      stream = session.open(list, { endStream: body === null && upgrade === null, waitForTrailers })
    } catch (error) {
      this.#fail(failureOf(error, 'origin_closed'))
      return
    }
    this.#stream = stream
    this.#hearEnd(stream)
    this.#sentAt = performance.now()
    this.#movedAt = this.#sentAt
    stream.on('headers', (_fields, _flags, raw) => this.#onInterim(raw))
    if (announced.length > 0) stream.once('wantTrailers', () => stream.sendTrailers(trailers.received()))
    stream.once('response', (_fields, flags, raw) => this.#onResponse(stream, flags, raw))
    stream.on('data', (piece: Buffer) => this.#onData(stream, piece))
    stream.once('trailers', (_fields, _flags, raw) => (this.#trailers = parseTrailers(raw, this.#request.cookies)))
    stream.once('end', () => this.#onEnd(stream))
    stream.on('error', (error) => this.#onError(stream, error))
    stream.once('close', () => this.#onError(stream, new Error('the origin ended the stream')))
    if (body !== null) this.#sendBody(stream, body)
  }

  abandon(): void {
    this.#finish({ kind: 'abandoned' })
  }

  check(now: number): void {
    if (this.#sentAt === null || this.#settled) return
    const { body, pool } = this.#request
    const moved = this.#bytesUp + this.#bytesDown
    // While the client has more to say and says nothing, or takes nothing, it is not the origin that we wait for.
    const silent = body !== null && 'readableEnded' in body && !body.readableEnded && body.readableLength === 0
    const waits = this.#answeredAt === null ? silent : this.#stream?.isPaused() === true
    if (waits || moved !== this.#movedBefore) {
      this.#movedBefore = moved
      this.#movedAt = now
      return
    }
    if (now - this.#movedAt <= (this.#answeredAt === null ? pool.headTimeoutMs : pool.bodyIdleMs)) return
    // Nobody knows whether anybody is still there: the next request asks on another connection.
    this.#session.retire()
    this.#fail(failure('origin_timeout', new Error('no answer in time')))
  }

  #sendBody(stream: ClientHttp2Stream, body: Buffer | Readable): void {
    if (!('readableEnded' in body)) {
      this.#sent(body)
      stream.end(body)
      return
    }
    body.on('data', (piece: Buffer) => {
      this.#sent(piece)
      if (!stream.destroyed && !stream.write(piece)) body.pause()
    })
    stream.on('drain', () => body.resume())
    body.once('end', () => stream.end())
    body.once('error', () => this.abandon())
  }

  #sent(piece: Buffer): void {
    this.#bytesUp += piece.length
    this.#request.relayed(piece.length)
  }

  #onInterim(raw: readonly string[]): void {
    if (this.#settled) return
    this.#informational++
    const { status, regular } = sortFields(raw)
    const head = parseInterimHead(status, reasonOf(status), regular, this.#request.cookies)
    if (head === null || this.#informational > informationalMax) {
      this.#malformed(head === null ? `status ${status}` : '1xx flood')
      return
    }
    if (!this.#request.meter.takeDown(head.bytes)) return
    this.#bytesDown += head.bytes
    this.#request.writer.interim(head)
  }

  #onResponse(stream: ClientHttp2Stream, flags: number, raw: readonly string[]): void {
    if (this.#settled) return
    const { status, regular } = sortFields(raw)
    const head = parseResponseHead(status, reasonOf(status), regular, this.#request.cookies)
    if (head === null) {
      this.#malformed(`status ${status}`)
      return
    }
    this.#session.answered++
    this.#answeredAt = performance.now()
    if (!this.#request.meter.takeDown(head.bytes)) return
    this.#bytesDown += head.bytes
    const ended = (flags & endStream) !== 0
    const { cookies, upgrade } = this.#request
    // Any of them is a yes (RFC 8441 §4).
    if (upgrade !== null && status < 300)
      return this.#switch(stream, upgrade, readYes(upgrade, regular, cookies, ended))
    this.#length = this.#request.head.method === 'HEAD' || status === 304 ? null : lengthOf(head.fields)
    try {
      this.#request.writer.start(ended ? { ...head, ended } : head)
      this.#status = status
    } catch (error) {
      this.#fail(failureOf(error, 'origin_malformed'))
      return
    }
    if (upgrade !== null) stream.end()
    if (ended) stream.resume()
  }

  #switch(stream: ClientHttp2Stream, upgrade: Upgrade, yes: ResponseHead | string): void {
    if (typeof yes === 'string') return this.#malformed(yes)
    this.#settled = true
    this.#stream = null
    upgrade.onSwitch({ ...this.#told(), head: yes, origin: leaveHttp(stream) })
  }

  #onData(stream: ClientHttp2Stream, piece: Buffer): void {
    if (this.#settled || !this.#request.meter.takeDown(piece.length)) return
    this.#bodyBytes += piece.length
    this.#bytesDown += piece.length
    this.#request.relayed(piece.length)
    if (!this.#request.writer.write(piece)) stream.pause()
  }

  /**
   * END_STREAM comes while the stream is open still, a reset once it is closed; to the reader both are an end. By the time
   * that is heard, an answer cut short by a reset without an error (RFC 9113 §8.1 has a use for those) looks like any other.
   */
  #hearEnd(stream: ClientHttp2Stream): void {
    const push = stream.push.bind(stream)
    stream.push = (piece: unknown, encoding?: BufferEncoding): boolean => {
      if (piece === null && !stream.closed) this.#whole = true
      return push(piece, encoding)
    }
  }

  /** A stream that broke off ends for its reader too, by a reset or with its connection. */
  #onEnd(stream: ClientHttp2Stream): void {
    if (this.#settled || stream.destroyed || stream.rstCode !== 0 || !this.#whole || this.#status === 0) return
    if (this.#length !== null && this.#length !== this.#bodyBytes) {
      this.#malformed('the answer is not as long as its head said')
      return
    }
    const rest = this.#request.writer.end(this.#trailers)
    if (rest === undefined) this.#finish({ kind: 'completed', status: this.#status })
    else {
      this.#complete = true
      void rest.then(() => this.#finish({ kind: 'completed', status: this.#status }))
    }
  }

  #onError(stream: ClientHttp2Stream, error: Error): void {
    if (this.#settled || this.#complete || stream !== this.#stream) return
    const code = stream.rstCode ?? 0
    if (this.#mayRetry(code)) {
      this.#retry()
      return
    }
    const broke = malformedCodes.has(code) || ('code' in error && error.code === 'ERR_HTTP2_ERROR')
    this.#fail(failure(broke ? 'origin_malformed' : 'origin_closed', error))
  }

  /**
   * Once: where the origin has said that it did nothing with the request (RFC 9113 §8.7), or, of a request that may be
   * repeated, where the connection stood before and may have ended under it (RFC 9110 §9.2.2).
   */
  #mayRetry(code: number): boolean {
    if (this.#retried || this.#status !== 0 || this.#informational > 0 || this.#request.body !== null) return false
    if (code === refusedStream) return true
    return this.#session.answered > 0 && this.#session.session.destroyed && repeatable.has(this.#request.head.method)
  }

  #retry(): void {
    this.#retried = true
    this.#stream = null
    this.#whole = false
    this.#session.retire()
    const { h2 } = this.#request.pool
    void (async () => {
      const found = h2.find() ?? (await h2.connect().catch((error: unknown) => failureOf(error)))
      if (this.#settled) return
      if (found === 'http/1.1') this.#fail(failure('origin_closed', new Error('the origin now speaks HTTP/1.1 only')))
      else if ('kind' in found) this.#fail(found)
      else this.begin(found)
    })()
  }

  #malformed(detail: string): void {
    this.#fail(failure('origin_malformed', new Error(detail)))
  }

  #fail(end: Failure): void {
    if (this.#settled) return
    if (this.#status !== 0) this.#request.writer.abort()
    this.#finish(end)
  }

  #finish(end: Forwarded['end']): void {
    if (this.#settled) return
    this.#settled = true
    const { body } = this.#request
    const stream = this.#stream
    // What is not ended yet must not look as if it were: `close` would end it first.
    if (stream !== null && !stream.destroyed && !(stream.writableEnded && stream.readableEnded))
      stream.destroy(new Error('given up'))
    if (body !== null && 'readableEnded' in body && !body.readableEnded) body.destroy()
    this.#request.onEnd({ end, started: this.#status !== 0, ...this.#told() })
  }

  #told(): Pick<Forwarded, 'answeredAt' | 'bytesDown' | 'bytesUp' | 'sentAt'> {
    return {
      bytesUp: this.#bytesUp,
      bytesDown: this.#bytesDown,
      sentAt: this.#sentAt,
      answeredAt: this.#answeredAt,
    }
  }
}

/** RFC 9113 §6.2. */
const endStream = 0x1
