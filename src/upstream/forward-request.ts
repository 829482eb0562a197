/** What is asked of the way to an origin, by any HTTP, and what it tells. */

import type { Duplex, Readable } from 'node:stream'
import type { Fields } from '../net/fields.ts'
import type { OutboundHead } from '../net/outbound-head.ts'
import type { RequestTrailers } from '../net/request-trailers.ts'
import type { CookieRule, ResponseHead } from '../net/response-head.ts'
import type { Failure } from './failure.ts'
import type { Meter } from './meter.ts'
import type { OriginPool } from './origin-pools.ts'

/** The client's side of the answer. `write` false means: wait until `onDrain` is called. */
export type ResponseWriter = {
  /** A 1xx that goes before it. */
  readonly interim: (head: ResponseHead) => void
  /** Throws a `FailureError` where the answer may not pass. */
  readonly start: (head: ResponseHead) => void
  readonly write: (chunk: Buffer) => boolean
  /** A promise where something of what was written is still on its way; kept when it has gone on. */
  readonly end: (trailers: readonly string[]) => Promise<void> | undefined
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

/** The origin's side of what has left HTTP, a connection or a stream of one. */
export type OriginEnd = {
  readonly stream: Duplex
  /** At once; a stream is reset alone. */
  readonly reset: () => void
}

/** The origin has taken its connection, or this stream of it, out of HTTP. */
export type Switched = Omit<Forwarded, 'end' | 'started'> & {
  /** As HTTP/1.1 says it. */
  readonly head: ResponseHead
  readonly origin: OriginEnd
}

/** What a request asks to switch to. */
export type Upgrade = {
  readonly protocol: 'websocket'
  /** What is wrong with the origin's 101; null: nothing. */
  readonly problem: (fields: Fields) => string | null
  /** Of a yes of HTTP/2, the fields that HTTP/1.1 would have said it with. */
  readonly proven: (fields: Fields) => Fields
  /** Called instead of `onEnd`. */
  readonly onSwitch: (switched: Switched) => void
}

export type ForwardRequest = {
  readonly pool: OriginPool
  readonly head: OutboundHead
  /** Whole where all of it is here already; null when there is none. */
  readonly body: Buffer | Readable | null
  /** HTTP/1.1 carries none on (RFC 9112 §7.1.2). */
  readonly trailers: RequestTrailers
  readonly writer: ResponseWriter
  readonly cookies: CookieRule
  readonly upgrade: Upgrade | null
  /** Asked before anything of the answer goes on. */
  readonly meter: Pick<Meter, 'takeDown'>
  /** Told of the bytes of each read. */
  readonly relayed: (bytes: number) => void
  /** Called exactly once. */
  readonly onEnd: (forwarded: Forwarded) => void
}

/** A request on its way. */
export type Forward = {
  readonly abandon: () => void
  /** Once a sweep, with `performance.now()`: an origin that neither takes the body nor answers is given up. */
  readonly check: (now: number) => void
}
