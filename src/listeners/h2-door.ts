/**
 * Accept: HTTP/2 out of a decrypted tunnel, each stream as a request of its own (RFC 9113).
 *
 * Promises: a stream walks the rooms that a request of HTTP/1.1 walks, and has its record; what the library below us refused
 * before it could become a request has one too; floods end the connection that they come on, and nothing else.
 */

import { randomBytes } from 'node:crypto'
import http2 from 'node:http2'
import { setTimeout as delay } from 'node:timers/promises'
import type { ActiveExchange, Connection } from '../exchange/connection.ts'
import { beginFacts, finishFacts, handleRequest, identify, noteSession } from '../exchange/handle-request.ts'
import type { Rooms } from '../exchange/rooms.ts'
import { parseH2Head } from '../net/h2-head.ts'
import { fieldCountMax } from '../net/request-head.ts'
import { deny } from '../policy/decision.ts'
import { FloodGauge, type FloodKind } from './h2-floods.ts'
import { brokeRules, H2Lane, type LaneEnd, type LaneListener } from './h2-lane.ts'
import { StreamsUnderWay } from './streams-under-way.ts'

export type H2Door = {
  readonly serve: (connection: Connection) => void
  /** No client begins anything more, and is told so. */
  readonly goAway: () => void
  /** Resolves when no client is left, or it was long enough. */
  readonly left: (msMax: number) => Promise<void>
  /** Resolves when every exchange under way has its record. */
  readonly settled: () => Promise<void>
}

const streamsMax = 100
/**
 * What may be on its way of one body, and of all. With the 64 KiB of RFC 9113 §6.9.2 an upload costs twice the CPU. A stream
 * that nobody reads keeps no more than this; the library takes it off the connection's at once.
 */
const streamWindow = 256 * 1024
const connectionWindow = 1024 * 1024
/** Of frames, header tables and answers that wait for one client, in MiB. */
const sessionMemoryMax = 16
/** RFC 9113 §7. */
const enhanceYourCalm = 11
/** Refused heads told one by one where several came between two that were fit to be read. */
const unseenMax = 100

export function createH2Door(rooms: Rooms, { headBytesMax }: { readonly headBytesMax: number }): H2Door {
  const count = new ExchangeCount()
  const visits = new Set<H2Visit>()
  return {
    serve: (connection) => {
      const { place, stream } = connection.start
      // Nothing but a tunnel is offered HTTP/2.
      if (place.kind !== 'tunnel' || stream.destroyed) {
        connection.cut()
        return
      }
      const visit = new H2Visit({ rooms, connection, place, headBytesMax, count })
      visits.add(visit)
      stream.once('close', () => visits.delete(visit))
      visit.read()
    },
    goAway: () => {
      for (const visit of visits) visit.goAway()
    },
    left: async (msMax) => {
      const until = performance.now() + msMax
      while (visits.size > 0 && performance.now() < until) await delay(10)
    },
    settled: () => count.settled(),
  }
}

class ExchangeCount {
  #open = 0
  #onSettled: (() => void) | null = null

  begun(): void {
    this.#open++
  }

  over(): void {
    this.#open--
    if (this.#open === 0) this.#onSettled?.()
  }

  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#onSettled = resolve
      if (this.#open === 0) resolve()
    })
  }
}

type VisitStart = {
  readonly rooms: Rooms
  readonly connection: Connection
  readonly place: Parameters<typeof parseH2Head>[1]['place']
  readonly headBytesMax: number
  readonly count: ExchangeCount
}

/** One connection, as long as HTTP/2 is read from it. Its deadlines are its own: bytes may move and nothing with them. */
class H2Visit implements LaneListener {
  readonly #start: VisitStart
  readonly #session: http2.ServerHttp2Session
  readonly #lanes = new Set<H2Lane>()
  readonly #underWay = new StreamsUnderWay()
  readonly #gauge = new FloodGauge(performance.now())
  #idleSince = performance.now()
  /** The highest stream that became a request, or was recorded as none. */
  #seen = -1
  #blamed = false
  #ending = false
  #over = false

  constructor(start: VisitStart) {
    this.#start = start
    const { connection, headBytesMax } = start
    const { stream } = connection.start
    connection.active = this.#underWay
    // Before the session's own: what it still knows of refused heads is gone with it.
    stream.once('close', () => this.#closed())
    this.#session = http2.performServerHandshake(stream, {
      // Twice of what a head may have: what is a little too much is read, and refused with a reason.
      maxHeaderListPairs: 2 * fieldCountMax,
      maxSessionInvalidFrames: 100,
      maxSessionMemory: sessionMemoryMax,
      settings: {
        // Whoever is not told asks for WebSockets by HTTP/1.1. Node 26's own client, which has no name when it asks for its
        // tunnel, would take the offer, and let its process end meanwhile.
        enableConnectProtocol: connection.start.userAgent !== null,
        enablePush: false,
        initialWindowSize: streamWindow,
        maxConcurrentStreams: streamsMax,
        maxHeaderListSize: 2 * headBytesMax,
      },
      strictSingleValueFields: false,
    })
  }

  read(): void {
    const { rooms, connection } = this.#start
    const { stream } = connection.start
    const session = this.#session
    // HTTP/2 has no use for half a connection.
    stream.once('end', () => {
      this.#underWay.leave()
      this.#end()
    })
    session.setLocalWindowSize(connectionWindow)
    session.on('stream', (lane, _headers, _flags, list) => this.#open(lane, list))
    session.on('ping', () => this.#note('ping'))
    session.on('remoteSettings', () => this.#note('settings'))
    session.on('error', ignore)
    // Of the session's own errors too: its socket hears them first.
    stream.on('error', (error) => this.#failed(error))
    rooms.deadlines.add(this)
    stream.resume()
  }

  check(now: number): void {
    const { connection } = this.#start
    const { raw, stream, limits } = connection.start
    this.#tellUnseen(this.#session.state.lastProcStreamID ?? 0)
    this.#underWay.check(now)
    for (const lane of this.#lanes) lane.check(now)
    if (!this.#gauge.allowsBytes(stream.bytesRead, raw.bytesWritten, now)) this.#flooded('frames that carry nothing')
    else if (this.#lanes.size === 0 && now - this.#idleSince > connection.patience(limits.keepAliveMs)) this.#end()
  }

  /** Streams under way go on; the connection ends behind the last of them. */
  goAway(): void {
    this.#session.close()
  }

  onBegin(active: ActiveExchange): void {
    this.#start.connection.begin(active)
    this.#start.connection.active = this.#underWay
    this.#underWay.exchanges.add(active)
  }

  onOver(active: ActiveExchange): void {
    this.#underWay.exchanges.delete(active)
  }

  onBytes(bytes: number): void {
    this.#gauge.useful(bytes)
  }

  onClose(lane: H2Lane, end: LaneEnd): void {
    this.#lanes.delete(lane)
    this.#idleSince = performance.now()
    if (end === 'blamed') this.#blamed = true
    else if (end === 'reset') this.#note('reset')
  }

  #open(stream: http2.ServerHttp2Stream, list: readonly string[]): void {
    const { rooms, connection, place, headBytesMax, count } = this.#start
    if (this.#over) {
      // It came behind the flood, is reset with the rest, and an error that nobody hears ends the process.
      stream.on('error', ignore)
      return
    }
    const id = stream.id ?? 0
    // Whoever begins with a later number has skipped those before it (RFC 9113 §5.1.1), and many clients do.
    if (this.#seen < 0) this.#seen = id - 2
    this.#tellUnseen(id - 2)
    this.#seen = Math.max(this.#seen, id)
    for (const text of list) this.#gauge.useful(text.length)
    const { raw, head } = parseH2Head(list, { place, bodiless: stream.endAfterHeaders, headBytesMax, newKey })
    const length = 'kind' in head || head.body.kind !== 'length' ? null : head.body.length
    const asks = 'kind' in head || head.method !== 'WEBSOCKET' ? 'answer' : 'websocket'
    const idleMs = connection.patience(connection.start.limits.exchangeIdleMs)
    const lane = new H2Lane({ stream, raw, idleMs, length, asks }, this)
    this.#lanes.add(lane)
    if ('kind' in head) this.#note('malformed')
    count.begun()
    handleRequest(rooms, connection, { raw, head, body: lane.body, answer: lane.answer }, lane).then(
      () => count.over(),
      () => {
        count.over()
        connection.cut()
      },
    )
  }

  /** Heads that the library refused by itself, by a reset without a word, up to this stream. */
  #tellUnseen(last: number): void {
    if (this.#seen < 0 && last > 0) this.#seen = last - 2
    const unseen = Math.min(unseenMax, Math.floor((last - this.#seen) / 2))
    this.#seen = Math.max(this.#seen, last)
    for (let i = 0; i < unseen && !this.#over; i++) {
      this.#tell('a head that HTTP/2 itself forbids')
      this.#note('malformed')
    }
  }

  #note(kind: FloodKind): void {
    if (!this.#gauge.allows(kind, performance.now())) this.#flooded(`${kind} frames`)
  }

  #flooded(what: string): void {
    if (this.#over) return
    this.#over = true
    this.#tell(`a flood of HTTP/2: ${what}`)
    const { rooms, connection } = this.#start
    rooms.deadlines.delete(this)
    this.#session.goaway(enhanceYourCalm)
    // Not from within a read of the socket that is reset; and what was said goes out before.
    setImmediate(() => setImmediate(() => connection.cut()))
  }

  /** A refusal without a request to answer still is an exchange, and recorded like any other. */
  #tell(detail: string): void {
    const { rooms, connection, place } = this.#start
    connection.requests++
    const facts = beginFacts(rooms, connection, 'request')
    const who = identify(rooms, connection, [])
    if (who.kind === 'allow') noteSession(facts, connection, who.permit)
    facts.authority = place.authority
    facts.scheme = place.scheme
    finishFacts(rooms, facts, deny('malformed_request', detail), null)
  }

  /** The library has ended the connection. Where streams were under way, their records say why. */
  #failed(error: Error): void {
    if (this.#over || this.#blamed || !brokeRules(error)) return
    this.#over = true
    this.#tell('the client broke the rules of HTTP/2')
  }

  /** Says that nothing more is read, lets what is under way come to its end, and goes. */
  #end(): void {
    const { rooms, connection } = this.#start
    const { stream } = connection.start
    if (this.#ending || this.#session.destroyed) return
    this.#ending = true
    this.#tellUnseen(this.#session.state.lastProcStreamID ?? 0)
    this.#session.close()
    rooms.deadlines.lingerThenDestroy(stream, connection.start.raw)
  }

  #closed(): void {
    const { rooms, connection } = this.#start
    if (!this.#session.destroyed) this.#tellUnseen(this.#session.state.lastProcStreamID ?? 0)
    this.#over = true
    rooms.deadlines.delete(this)
    connection.active?.leave()
    connection.closed()
  }
}

/** RFC 6455 §4.1: sixteen bytes that nobody has asked with before. */
function newKey(): string {
  return randomBytes(16).toString('base64')
}

function ignore(): void {}
