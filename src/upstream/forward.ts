/**
 * Deliver, last step: one judged request out, its answer streamed back.
 *
 * Promises: the body is framed anew (a length we were told and that must come true, or chunks of our own); nothing is
 * buffered beyond a socket's own; a truncated answer never ends cleanly; redirects are passed on, never followed.
 */

import type { Readable } from 'node:stream'
import { type Dispatcher, errors } from 'undici'
import type { OutboundHead } from '../net/outbound-head.ts'
import { parseResponseHead, type ResponseHead } from '../net/response-head.ts'
import { type Failure, FailureError, failure, failureOf } from './failure.ts'
import type { OriginPool } from './origin-pools.ts'

/** The client's side of the answer. `write` false means: wait until `onDrain` is called. */
export type ResponseWriter = {
  readonly start: (head: ResponseHead) => void
  readonly write: (chunk: Buffer) => boolean
  readonly end: () => void
  /** Cuts the client's connection so that what was sent cannot pass for complete. */
  readonly abort: () => void
  readonly onDrain: (listener: () => void) => void
}

export type Forwarded = {
  readonly end: { readonly kind: 'abandoned' } | { readonly kind: 'completed'; readonly status: number } | Failure
  readonly started: boolean
  readonly bytesUp: number
  readonly bytesDown: number
  /** `performance.now()` when the request was written and when the answer began; null: never. */
  readonly sentAt: number | null
  readonly answeredAt: number | null
}

export type ForwardRequest = {
  readonly pool: OriginPool
  readonly head: OutboundHead
  /** Whole where all of it is here already; null when there is none. */
  readonly body: Buffer | Readable | null
  readonly writer: ResponseWriter
  readonly cookies: 'pass' | 'strip'
  /** Told of the bytes of each read. */
  readonly relayed: (bytes: number) => void
  /** Called exactly once. */
  readonly onEnd: (forwarded: Forwarded) => void
}

/** More 1xx than any server sends are a flood. */
const informationalMax = 10

const repeatable: ReadonlySet<string> = new Set(['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PROPFIND', 'PUT', 'QUERY'])

class Forwarding implements Dispatcher.DispatchHandler, Forward {
  readonly #request: ForwardRequest
  #controller: Dispatcher.DispatchController | null = null
  #status = 0
  #informational = 0
  #settled = false
  #retried = false
  #dialsBefore = 0
  #bytesUp = 0
  #bytesDown = 0
  /** Of the body, at the last sweep, and when that changed. */
  #bytesSeen = 0
  #waitingSince = 0
  #sentAt: number | null = null
  #answeredAt: number | null = null

  constructor(request: ForwardRequest) {
    this.#request = request
    request.writer.onDrain(() => this.#controller?.resume())
  }

  /** Undici frames the body from these: `content-length` when the client said one, chunks otherwise. */
  dispatch(pool: Dispatcher): void {
    const { head, body } = this.#request
    this.#dialsBefore = this.#request.pool.dials
    const headers = ['host', head.host, ...head.fields]
    if (head.body.kind === 'length') headers.push('content-length', String(head.body.length))
    try {
      pool.dispatch({ method: asDispatchMethod(head.method), path: head.target, headers, body }, this)
    } catch (error) {
      this.#finish(failure('origin_malformed', error))
    }
  }

  abandon(): void {
    if (this.#settled) return
    this.#finish({ kind: 'abandoned' })
    this.#controller?.abort(new errors.RequestAbortedError())
  }

  check(now: number): void {
    if (this.#sentAt === null || this.#answeredAt !== null || this.#settled) return
    // While the client has more to say and says nothing, it is not the origin that we wait for.
    const { body } = this.#request
    const silent = body !== null && 'readableEnded' in body && !body.readableEnded && body.readableLength === 0
    if (silent || this.#bytesUp !== this.#bytesSeen) {
      this.#bytesSeen = this.#bytesUp
      this.#waitingSince = now
    } else if (now - Math.max(this.#sentAt, this.#waitingSince) > this.#request.pool.headTimeoutMs) {
      this.#controller?.abort(new FailureError(failure('origin_timeout', new Error('no answer in time'))))
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    this.#sentAt = performance.now()
    if (this.#settled) controller.abort(new errors.RequestAbortedError())
  }

  onBodySent(chunk: Buffer): void {
    this.#bytesUp += chunk.length
    this.#request.relayed(chunk.length)
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    statusMessage?: string,
  ): void {
    if (status < 200) {
      this.#informational++
      if (this.#informational > informationalMax)
        controller.abort(new FailureError(failure('origin_malformed', new Error('1xx flood'))))
      return
    }
    const raw = controller.rawHeaders
    const head = parseResponseHead(status, statusMessage ?? '', Array.isArray(raw) ? raw : [], this.#request.cookies)
    if (head === null) {
      controller.abort(new FailureError(failure('origin_malformed', new Error(`status ${status}`))))
      return
    }
    this.#answeredAt = performance.now()
    this.#bytesDown += head.bytes
    try {
      this.#request.writer.start(head)
      this.#status = status
    } catch (error) {
      controller.abort(new FailureError(failure('origin_malformed', error)))
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytesDown += chunk.length
    this.#request.relayed(chunk.length)
    if (!this.#request.writer.write(chunk)) controller.pause()
  }

  onResponseEnd(): void {
    this.#request.writer.end()
    this.#finish({ kind: 'completed', status: this.#status })
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#settled) return
    if (this.#mayRetry(error)) {
      this.#retried = true
      this.#controller = null
      const fresh = this.#request.pool.fresh()
      this.dispatch(fresh)
      fresh.close().catch(() => undefined)
      return
    }
    if (this.#status !== 0) this.#request.writer.abort()
    // Statuses like 099 end as failed assertions of the client below us: the request was sent, so it was the answer.
    this.#finish(failureOf(error, this.#sentAt === null ? 'connect_failed' : 'origin_malformed'))
  }

  /**
   * Once, on a fresh connection: a reused one may have been closed under the request (RFC 9110 §9.2.2). Where any was made
   * since we asked, it may have been ours, and what failed on a fresh one was no accident of timing.
   */
  #mayRetry(error: Error): boolean {
    if (
      this.#retried ||
      this.#status !== 0 ||
      this.#informational > 0 ||
      this.#sentAt === null ||
      this.#request.pool.dials !== this.#dialsBefore ||
      this.#request.body !== null
    )
      return false
    return repeatable.has(this.#request.head.method) && failureOf(error).code === 'origin_closed'
  }

  #finish(end: Forwarded['end']): void {
    if (this.#settled) return
    this.#settled = true
    this.#request.onEnd({
      end,
      started: this.#status !== 0,
      bytesUp: this.#bytesUp,
      bytesDown: this.#bytesDown,
      sentAt: this.#sentAt,
      answeredAt: this.#answeredAt,
    })
  }
}

/** A request on its way. */
export type Forward = {
  readonly abandon: () => void
  /** Once a sweep, with `performance.now()`: an origin that neither takes the body nor answers is given up. */
  readonly check: (now: number) => void
}

export function forward(request: ForwardRequest): Forward {
  const forwarding = new Forwarding(request)
  forwarding.dispatch(request.pool.pool)
  return forwarding
}

/** Undici's type knows fewer methods than HTTP has; the token was checked against our own closed list. */
function asDispatchMethod(method: string): Dispatcher.HttpMethod {
  return method
}
