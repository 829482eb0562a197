/**
 * A WebSocket from its handshake on: frames between the client's connection and the origin's, which are read only where a
 * secret may come back in them.
 *
 * Promises: messages, pings and close codes pass as they are but for what is masked, each direction held back by whoever reads slowly. A cut says
 * why in a close frame of ours where one fits between two of the origin's, and resets both sides; no byte of the origin
 * follows.
 */

import type net from 'node:net'
import type { Secret } from '../credentials/secret.ts'
import { closeFrame, FrameWatch } from '../net/websocket-frames.ts'
import { failure } from '../upstream/failure.ts'
import type { Switched } from '../upstream/forward.ts'
import { resetSocket } from '../upstream/reset-socket.ts'
import { joinTunnel, type Tunnel } from '../upstream/tunnel.ts'
import type { Delivery, Exchange } from './exchange.ts'
import type { InterruptReason, Outcome } from './outcome.ts'
import { RedactingFrames } from './redacting-frames.ts'
import type { Rooms } from './rooms.ts'

/** What must not come back in messages, and who is told of places masked. */
export type MessageSearch = { readonly secrets: readonly Secret[]; readonly onMasked: (places: number) => void }

export async function openWebSocket(
  rooms: Rooms,
  exchange: Exchange,
  { head, origin }: Switched,
  search: MessageSearch | null,
): Promise<Outcome> {
  const { connection, facts } = exchange
  const { stream, raw } = connection.start
  if (exchange.left || connection.cutWhy !== null) {
    resetSocket(origin.raw)
    return { kind: 'abandoned', detail: 'the client left before the answer was complete' }
  }
  const early = exchange.switchTo('websocket', head)
  const redacting = search === null ? null : new RedactingFrames(search.secrets)
  const frames = redacting ?? new FrameWatch()
  const passDown = (piece: Buffer): Buffer => {
    if (redacting === null) {
      frames.pass(piece)
      return piece
    }
    const before = redacting.redactions
    const bytes = redacting.pass(piece)
    if (redacting.broken !== null) open.end(closeFrame(1002, 'the origin says what cannot be searched'))
    if (redacting.redactions > before) search?.onMasked(redacting.redactions - before)
    return bytes
  }
  const beneath = { client: raw, origin: origin.raw, passDown }
  const tunnel = joinTunnel(stream, origin.stream, early, rooms.relayed, beneath)
  const endOrigin = (): void => rooms.deadlines.lingerThenDestroy(origin.stream, origin.raw)
  const open = new OpenWebSocket(stream, tunnel, frames, endOrigin)
  exchange.carry(open)
  const end = await tunnel.done
  facts.bytesUp += end.bytesUp
  facts.bytesDown += end.bytesDown
  facts.redactions += redacting?.redactions ?? 0
  if (typeof redacting?.broken === 'string') return failure('origin_unsearchable', new Error(redacting.broken))
  return end.how === 'cut'
    ? { kind: 'abandoned', detail: 'the connection was cut' }
    : { kind: 'completed', status: head.status }
}

class OpenWebSocket implements Delivery {
  readonly #client: net.Socket
  readonly #tunnel: Tunnel
  readonly #frames: { readonly between: boolean }
  readonly #endOrigin: () => void

  constructor(client: net.Socket, tunnel: Tunnel, frames: { readonly between: boolean }, endOrigin: () => void) {
    this.#client = client
    this.#tunnel = tunnel
    this.#frames = frames
    this.#endOrigin = endOrigin
  }

  /** The client's side is closed: what it said last may still go out. */
  abandon(): void {
    this.#endOrigin()
  }

  check(): void {}

  cut(why: InterruptReason | null): void {
    this.end(farewell(why))
  }

  end(word: Buffer): void {
    // In the middle of a frame it would be read as part of a message, and behind bytes that wait it would not go out.
    const fits = this.#frames.between && this.#client.writable && this.#client.writableLength === 0
    if (fits) this.#client.write(word)
    this.#tunnel.cut('cut')
  }
}

/** RFC 6455 §7.4.1: 1001 of one that goes away, 1008 of a policy. */
function farewell(why: InterruptReason | null): Buffer {
  switch (why) {
    case null:
    case 'stopped':
      return closeFrame(1001, 'the proxy ends')
    case 'idle':
      return closeFrame(1001, 'nothing was said for too long')
    case 'echoes':
      return closeFrame(1008, 'the secrets of the session came back too often')
    case 'expired':
      return closeFrame(1008, 'the session has expired')
    case 'narrowed':
      return closeFrame(1008, 'the policy no longer allows it')
    case 'revoked':
      return closeFrame(1008, 'the session was revoked')
  }
}
