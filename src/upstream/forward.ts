/**
 * Deliver, last step: one judged request out, its answer streamed back.
 *
 * Promises: the body is framed anew (a length we were told and that must come true, or chunks of our own); nothing is
 * buffered beyond a socket's own; a truncated answer never ends cleanly; redirects are passed on, never followed.
 */

import type { Duplex } from 'node:stream'
import { type Dispatcher, errors } from 'undici'
import { parseInterimHead, parseResponseHead, parseTrailers } from '../net/response-head.ts'
import { FailureError, failure, failureOf } from './failure.ts'
import type { Forward, Forwarded, ForwardRequest } from './forward-request.ts'
import { informationalMax, repeatable } from './origin-rules.ts'
import { resetSocket } from './reset-socket.ts'

const noTrailers: readonly string[] = []

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
    const { head, body, upgrade } = this.#request
    this.#dialsBefore = this.#request.pool.dials
    const headers = ['host', head.host, ...head.fields]
    if (head.body.kind === 'length') headers.push('content-length', String(head.body.length))
    try {
      const method = asDispatchMethod(head.method)
      pool.dispatch({ method, path: head.target, headers, body, upgrade: upgrade?.protocol ?? null }, this)
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
      this.#passInterim(controller, status, statusMessage ?? '')
      return
    }
    const head = parseResponseHead(status, statusMessage ?? '', rawOf(controller), this.#request.cookies)
    if (head === null) {
      this.#refuse(controller, `status ${status}`)
      return
    }
    this.#answeredAt = performance.now()
    if (!this.#request.meter.takeDown(head.bytes)) return
    this.#bytesDown += head.bytes
    try {
      // What the writer does not take (a coding that nobody can search) has not gone out either.
      this.#request.writer.start(head)
      this.#status = status
    } catch (error) {
      controller.abort(new FailureError(failureOf(error, 'origin_malformed')))
    }
  }

  onRequestUpgrade(controller: Dispatcher.DispatchController, status: number, _headers: unknown, stream: Duplex): void {
    // Nobody else listens any more, and an error that nobody hears ends the process.
    stream.on('error', ignore)
    const { cookies, upgrade } = this.#request
    const raw = rawOf(controller)
    const head = parseInterimHead(status, 'Switching Protocols', raw, cookies)
    const problem = upgrade === null ? 'a switch that nobody asked for' : upgrade.problem(textsOf(raw))
    const origin = this.#request.pool.socketOf(stream)
    const fits = head !== null && this.#request.meter.takeDown(head.bytes)
    if (this.#settled || upgrade === null || !fits || problem !== null || origin === null) {
      stream.destroy()
      this.#finish(failure('origin_malformed', new Error(problem ?? `status ${status}`)))
      return
    }
    this.#answeredAt = performance.now()
    this.#bytesDown += head.bytes
    this.#settled = true
    const reset = (): void => resetSocket(origin.raw)
    upgrade.onSwitch({ ...this.#told(), head, origin: { stream: origin.stream, reset } })
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#request.meter.takeDown(chunk.length)) return
    this.#bytesDown += chunk.length
    this.#request.relayed(chunk.length)
    if (!this.#request.writer.write(chunk)) controller.pause()
  }

  onResponseEnd({ rawTrailers }: Dispatcher.DispatchController): void {
    const some = Array.isArray(rawTrailers) && rawTrailers.length > 0
    const rest = this.#request.writer.end(some ? parseTrailers(rawTrailers, this.#request.cookies) : noTrailers)
    if (rest === undefined) this.#finish({ kind: 'completed', status: this.#status })
    else void rest.then(() => this.#finish({ kind: 'completed', status: this.#status }))
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

  #passInterim(controller: Dispatcher.DispatchController, status: number, reason: string): void {
    this.#informational++
    // A switch that fits what was asked for is told of elsewhere.
    const head = status === 101 ? null : parseInterimHead(status, reason, rawOf(controller), this.#request.cookies)
    if (head === null || this.#informational > informationalMax) {
      this.#refuse(controller, head === null ? `status ${status}` : '1xx flood')
      return
    }
    if (!this.#request.meter.takeDown(head.bytes)) return
    this.#bytesDown += head.bytes
    this.#request.writer.interim(head)
  }

  #refuse(controller: Dispatcher.DispatchController, detail: string): void {
    controller.abort(new FailureError(failure('origin_malformed', new Error(detail))))
  }
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

function rawOf({ rawHeaders }: Dispatcher.DispatchController): readonly (Buffer | string)[] {
  return Array.isArray(rawHeaders) ? rawHeaders : []
}

function textsOf(raw: readonly (Buffer | string)[]): string[] {
  return raw.map((one) => (typeof one === 'string' ? one : one.toString('latin1')))
}

function ignore(): void {}
