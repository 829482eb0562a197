/**
 * A WebSocket from its handshake on: frames between the client's side, a connection or a stream of one, and the origin's,
 * which are read only where a secret may come back in them.
 *
 * Promises: messages, pings and close codes pass as they are but for what is masked, each direction held back by whoever reads slowly. A cut says
 * why in a close frame of ours where one fits between two of the origin's, and resets both sides; no byte of the origin
 * follows.
 */

import type { Secret } from '../credentials/secret.ts'
import { closeFrame, FrameWatch } from '../net/websocket-frames.ts'
import { failure } from '../upstream/failure.ts'
import type { Switched } from '../upstream/forward-request.ts'
import { joinStreams, type Tunnel } from '../upstream/tunnel.ts'
import type { ClientEnd } from './answer.ts'
import type { Delivery } from './delivery.ts'
import type { Exchange } from './exchange.ts'
import { type InterruptReason, interrupted, type Outcome } from './outcome.ts'
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
  if (exchange.left || connection.cutWhy !== null) {
    origin.reset()
    return { kind: 'abandoned', detail: 'the client left before the answer was complete' }
  }
  const { client, early } = exchange.switchTo('websocket', head)
  const redacting = search === null ? null : new RedactingFrames(search.secrets)
  const frames = redacting ?? new FrameWatch()
  const passDown = (piece: Buffer): Buffer => {
    if (redacting === null) {
      frames.pass(piece)
      return piece
    }
    const before = redacting.redactions
    const bytes = redacting.pass(piece)
    if (redacting.broken !== null) void open.end(closeFrame(1002, 'the origin says what cannot be searched'))
    if (redacting.redactions > before) search?.onMasked(redacting.redactions - before)
    return bytes
  }
  if (!exchange.takeUp(early.length)) {
    origin.reset()
    void client.reset(null)
    return interrupted('upload_limit')
  }
  const beneath = {
    resetClient: () => open.resetClient(),
    resetOrigin: origin.reset,
    passDown,
  }
  const tunnel = joinStreams(client.stream, origin.stream, early, rooms.relayed, beneath, exchange)
  // A stream of HTTP/2 that was reset ends for its reader too.
  client.stream.once('aborted', () => tunnel.cut('reset'))
  const open = new OpenWebSocket({
    client,
    tunnel,
    frames,
    idleMs: connection.patience(connection.start.limits.exchangeIdleMs),
    openMs: () => facts.session?.budget.limits.tunnelDurationMs ?? 0,
    onOver: (why) => exchange.interrupt(interrupted(why)),
    endOrigin: () => rooms.deadlines.lingerThen(origin.stream, origin.reset),
  })
  exchange.carry(open)
  const end = await tunnel.done
  facts.bytesUp += end.bytesUp
  facts.bytesDown += end.bytesDown
  facts.redactions += redacting?.redactions ?? 0
  if (typeof redacting?.broken === 'string') return failure('origin_unsearchable', new Error(redacting.broken))
  return end.how === 'cut'
    ? { kind: 'abandoned', detail: 'the connection was cut' }
    : { kind: 'completed', status: client.status }
}

type Ends = {
  readonly client: ClientEnd
  readonly tunnel: Tunnel
  readonly frames: { readonly between: boolean }
  readonly idleMs: number
  /** How long it may be open, as its session says now. */
  readonly openMs: () => number
  /** Says why, before it is cut. */
  readonly onOver: (why: 'idle' | 'outlived') => void
  readonly endOrigin: () => void
}

class OpenWebSocket implements Delivery {
  readonly #ends: Ends
  /** The last, for the client, and when it has gone out. */
  #word: Buffer | null = null
  #gone: Promise<void> | null = null
  #waits = 0
  #moved = 0
  #movedAt = performance.now()
  readonly #openedAt = this.#movedAt

  constructor(ends: Ends) {
    this.#ends = ends
  }

  /** The client's side is closed: what it said last may still go out. */
  abandon(): void {
    this.#ends.endOrigin()
  }

  /** Beside others on its connection nobody else notices that nothing moves here. */
  check(now: number): void {
    const { client, tunnel, idleMs, openMs } = this.#ends
    const waits = client.stream.writableLength
    if (now - this.#openedAt > openMs()) this.#over('outlived')
    else if (tunnel.bytes() !== this.#moved || waits !== this.#waits) {
      this.#moved = tunnel.bytes()
      this.#waits = waits
      this.#movedAt = now
    } else if (now - this.#movedAt > idleMs) this.#over('idle')
  }

  cut(why: InterruptReason | null): Promise<void> | null {
    return this.end(farewell(why))
  }

  #over(why: 'idle' | 'outlived'): void {
    this.#ends.onOver(why)
    void this.cut(why)
  }

  resetClient(): void {
    this.#gone = this.#ends.client.reset(this.#word)
  }

  end(word: Buffer): Promise<void> | null {
    const { client, tunnel, frames } = this.#ends
    // In the middle of a frame it would be read as part of a message, and behind bytes that wait it would not go out.
    const fits = frames.between && client.stream.writable && client.stream.writableLength === 0
    if (fits) this.#word ??= word
    tunnel.cut('cut')
    return this.#gone
  }
}

/** RFC 6455 §7.4.1: 1001 of one that goes away, 1008 of a policy. */
function farewell(why: InterruptReason | null): Buffer {
  switch (why) {
    case null:
    case 'stopped':
      return closeFrame(1001, 'the proxy ends')
    case 'download_limit':
      return closeFrame(1008, 'the download budget of the session is spent')
    case 'upload_limit':
      return closeFrame(1008, 'the upload budget of the session is spent')
    case 'outlived':
      return closeFrame(1001, 'it was open for as long as it may be')
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
