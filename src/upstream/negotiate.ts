/**
 * Deliver: which HTTP a request goes on in. Each side speaks what it can; the two need not be the same.
 *
 * Promises: what the client speaks is offered first, since nothing is lost where both speak the same; an origin that has
 * only the other gets that; who asked first makes the connection, and whoever comes meanwhile waits for what is chosen.
 */

import { type Failure, failureOf } from './failure.ts'
import { forward } from './forward.ts'
import type { Forward, ForwardRequest } from './forward-request.ts'
import { forwardH2 } from './forward-h2.ts'
import type { H2Session } from './h2-sessions.ts'
import type { OriginProtocol } from './origin-tls.ts'

export function forwardNegotiated(request: ForwardRequest, client: OriginProtocol): Forward {
  // What leaves HTTP leaves it by a connection of its own where it can, and by a stream where the origin has nothing else.
  const protocol = request.upgrade === null ? client : 'http/1.1'
  const ready = request.pool.ready(protocol)
  if (ready === 'http/1.1') return forward(request)
  return ready === null ? new Negotiating(request, protocol) : forwardH2(request, ready)
}

class Negotiating implements Forward {
  readonly #request: ForwardRequest
  #forward: Forward | null = null
  #settled = false

  constructor(request: ForwardRequest, client: OriginProtocol) {
    this.#request = request
    // What should never be thrown is a failure of this request, and not of the process.
    void request.pool.negotiate(client).then(
      (found) => this.#found(found),
      (error: unknown) => this.#end(failureOf(error)),
    )
  }

  abandon(): void {
    if (this.#forward === null) this.#end({ kind: 'abandoned' })
    else this.#forward.abandon()
  }

  check(now: number): void {
    this.#forward?.check(now)
  }

  #found(found: Failure | H2Session | 'http/1.1'): void {
    if (this.#settled) return
    if (found === 'http/1.1') this.#forward = forward(this.#request)
    else if ('kind' in found) this.#end(found)
    else this.#forward = forwardH2(this.#request, found)
  }

  #end(end: Failure | { readonly kind: 'abandoned' }): void {
    if (this.#settled) return
    this.#settled = true
    const { body, onEnd } = this.#request
    if (body !== null && 'destroy' in body) body.destroy()
    onEnd({ end, started: false, bytesUp: 0, bytesDown: 0, sentAt: null, answeredAt: null })
  }
}
