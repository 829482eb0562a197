/** What the walk can say to a client, whatever protocol carries it. */

import type { Duplex } from 'node:stream'
import type { ResponseHead } from '../net/response-head.ts'
import type { Reply } from './reply.ts'

/** The client's side of what has left HTTP. */
export type ClientEnd = {
  readonly stream: Duplex
  /** What the client was told. */
  readonly status: number
  /**
   * Ends it so that nobody takes it for an end, behind a last word where there is one. Kept when that has gone out; null:
   * at once.
   */
  readonly reset: (word: Buffer | null) => Promise<void> | null
}

export type Answer = {
  readonly protocol: 'h2' | 'http/1.1'
  /** What the client was told; null: nothing so far. */
  readonly status: number | null
  /** Nothing follows this answer on its connection. */
  readonly last: boolean
  /** Said before the head: what follows on the connection, if anything can, will not be read. */
  readonly beLast: () => void
  /** 100: the body is welcome. */
  readonly continue: () => void
  /** A 1xx of the origin's. */
  readonly interim: (head: ResponseHead) => void
  /** What follows is no HTTP any more: nothing more is said here. */
  readonly switchTo: (protocol: string, head: ResponseHead) => ClientEnd
  readonly start: (head: ResponseHead) => void
  /** False: wait until the client takes more. */
  readonly write: (piece: Buffer) => boolean
  /** Trailers go where the client can take them. */
  readonly end: (trailers: readonly string[]) => void
  /** A whole answer of our own. */
  readonly send: (reply: Reply) => void
  /** Ends it so that what was sent cannot pass for complete. */
  readonly abort: () => void
}
