/**
 * A WebSocket from its handshake on: frames we do not read, between the client's connection and the origin's.
 *
 * Promises: messages, pings and close codes pass as bytes, each direction held back by whoever reads slowly. A cut says
 * why in a close frame of ours where one fits between two of the origin's, and resets both sides; no byte of the origin
 * follows.
 */

import type net from 'node:net'
import { closeFrame, FrameWatch } from '../net/websocket-frames.ts'
import type { Switched } from '../upstream/forward.ts'
import { resetSocket } from '../upstream/reset-socket.ts'
import { joinTunnel, type Tunnel } from '../upstream/tunnel.ts'
import type { Delivery, Exchange } from './exchange.ts'
import type { InterruptReason, Outcome } from './outcome.ts'
import type { Rooms } from './rooms.ts'

export async function openWebSocket(rooms: Rooms, exchange: Exchange, { head, origin }: Switched): Promise<Outcome> {
  const { connection, facts } = exchange
  const { stream, raw } = connection.start
  if (exchange.left || connection.cutWhy !== null) {
    resetSocket(origin.raw)
    return { kind: 'abandoned', detail: 'the client left before the answer was complete' }
  }
  const early = exchange.switchTo('websocket', head)
  const frames = new FrameWatch()
  const beneath = { client: raw, origin: origin.raw, onDown: (piece: Buffer) => frames.pass(piece) }
  const tunnel = joinTunnel(stream, origin.stream, early, rooms.relayed, beneath)
  exchange.carry(
    new OpenWebSocket(stream, tunnel, frames, () => rooms.deadlines.lingerThenDestroy(origin.stream, origin.raw)),
  )
  const end = await tunnel.done
  facts.bytesUp += end.bytesUp
  facts.bytesDown += end.bytesDown
  return end.how === 'cut'
    ? { kind: 'abandoned', detail: 'the connection was cut' }
    : { kind: 'completed', status: head.status }
}

class OpenWebSocket implements Delivery {
  readonly #client: net.Socket
  readonly #tunnel: Tunnel
  readonly #frames: FrameWatch
  readonly #endOrigin: () => void

  constructor(client: net.Socket, tunnel: Tunnel, frames: FrameWatch, endOrigin: () => void) {
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
    // In the middle of a frame it would be read as part of a message, and behind bytes that wait it would not go out.
    const fits = this.#frames.between && this.#client.writable && this.#client.writableLength === 0
    if (fits) this.#client.write(farewell(why))
    this.#tunnel.cut('cut')
  }
}

/** RFC 6455 §7.4.1: 1001 of one that goes away, 1008 of a policy. */
function farewell(why: InterruptReason | null): Buffer {
  switch (why) {
    case null:
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
