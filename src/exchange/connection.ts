/**
 * One client connection on which HTTP is read: on the proxy's own port, or inside a tunnel.
 *
 * Promises: it is always in one phase with one deadline; whatever of a session it carries can be cut at once; when the
 * HTTP parser in front of us has lost its place, nothing that follows is read.
 */

import type net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { HeadPlace } from '../net/request-head.ts'
import { decideHost } from '../policy/decide-host.ts'
import type { Deny } from '../policy/decision.ts'
import type { Cuttable, LiveSession, Session } from '../sessions/session.ts'
import { resetSocket } from '../upstream/reset-socket.ts'
import type { Watched } from './deadlines.ts'
import type { InterruptReason, Outcome } from './outcome.ts'
import { Outbox } from './outbox.ts'

/** Milliseconds. */
export type ConnectionLimits = {
  /** From the first byte of a head to its end. */
  readonly headMs: number
  /** Silence between requests, and before the first. */
  readonly keepAliveMs: number
  /** An exchange in which no byte moves in either direction. */
  readonly exchangeIdleMs: number
}

export type ConnectionStart = {
  readonly listener: string
  readonly client: string | null
  /** Who the certificate of the client names; null: it showed none. */
  readonly peer: string | null
  /** The session that this listener stands for; null: clients prove theirs. */
  readonly listenerSession: string | null
  /** The TCP or Unix socket: what a cut resets. */
  readonly raw: net.Socket
  /** What HTTP is read from: `raw`, or the TLS inside it. */
  readonly stream: net.Socket
  readonly place: HeadPlace
  /** Inside a tunnel: the session that opened it. */
  readonly bound: LiveSession | null
  /** What every request here is refused with, because the tunnel itself was. */
  readonly refusal: Deny | null
  /** User-Agent of the CONNECT: with the session, what tells one client from another. */
  readonly userAgent: string | null
  readonly limits: ConnectionLimits
}

/** An exchange under way, as its connection sees it. */
export type ActiveExchange = {
  readonly stillAllowed: (session: Session) => boolean
  /** Of several that are under way: ends those that are not. */
  readonly narrow?: (session: Session) => void
  /** Once a sweep. */
  readonly check: (now: number) => void
  /** Ends it from the connection's side: its body is not what its head said, or nothing moved for too long. */
  readonly interrupt: (why: Interruption) => void
  /** The connection is about to be reset. A promise: a last word is on its way, and kept when it has gone out. */
  readonly cut: (why: InterruptReason | null) => Promise<void> | null
  /** The client takes more of its answer. */
  readonly drained: () => void
  /** The client is gone. */
  readonly leave: () => void
}

export type Interruption = Extract<Outcome, { kind: 'deny' | 'interrupted' }>

/** Where one exchange after the other, or beside the other, is under way. */
export type Lane = {
  readonly begin: (active: ActiveExchange) => void
  /** It has its record. */
  readonly over: () => void
}

type Drain = { readonly until: number; readonly bytesMax: number }
const drainMs = 5000
const drainBytesMax = 16 * 1024 * 1024

const challengeMs = 3000
/** How long a reset waits for what is said before it. */
const lastWordMsMax = 100
/** A client that has said its last word may still be listening, or be gone: nobody can tell until something is written. */
const halfClosedMs = 5000

export class Connection implements Cuttable, Lane, Watched {
  readonly start: ConnectionStart
  readonly out: Outbox
  /** Of HTTP/2: all that is under way, as one. */
  active: ActiveExchange | null = null
  /** Requests seen, refused ones too. */
  requests = 0
  /** Nothing more is read here: a head was ambiguous, or the parser lost its place. */
  poisoned = false
  /** Why an exchange under way here was ended by us, when it was. */
  cutWhy: InterruptReason | null = null
  /** The client has said its last word. */
  ended = false
  /** A CONNECT was challenged: the answer comes at once, or by another connection. */
  challenged = false
  /** The head did not come to its end in time; set by the door that reads here. */
  onHeadTimeout: () => void = () => this.cut()
  /** It is known whose it is; set by the listener that counts those of nobody. */
  onProven: () => void = nothing
  #sessions: Set<LiveSession> | null = null
  #proof: { readonly value: string | undefined; readonly session: LiveSession; readonly snapshot: Session } | null =
    null
  #phaseSince = performance.now()
  #bytesBefore: number
  #bytesSeen = 0
  /** What waited to be taken by the client at the last sweep. */
  #unsent = 0
  #drain: Drain | null = null

  constructor(start: ConnectionStart) {
    this.start = start
    this.out = new Outbox(start.stream)
    this.#bytesBefore = start.stream.bytesRead
    if (start.bound !== null) this.#hold(start.bound)
  }

  /** What these very credentials proved on this connection before, if nothing about the session has changed since. */
  proven([value, second]: readonly string[], now: number): LiveSession | null {
    const proof = this.#proof
    if (proof === null || second !== undefined || value !== proof.value) return null
    const { session, snapshot } = proof
    if (session.ended || session.current !== snapshot) return null
    return snapshot.expiresAt === null || snapshot.expiresAt > now ? session : null
  }

  prove([value]: readonly string[], session: LiveSession): void {
    // A copy: a part of a text keeps all of it, and this one stays as long as the connection.
    const copy = value === undefined ? undefined : Buffer.from(value, 'latin1').toString('latin1')
    this.#proof = { value: copy, session, snapshot: session.current }
  }

  /** From now on the end of this session cuts this connection. False: it has no room for one more, which ends with its answer. */
  carry(session: LiveSession): boolean {
    if (this.#sessions?.has(session) === true) return true
    if (!session.budget.hasRoom()) {
      this.poisoned = true
      return false
    }
    this.#hold(session)
    return true
  }

  /** What stands within this connection carries the session now, and is the first to hear of a cut. */
  handOver(session: LiveSession): void {
    if (this.#sessions?.delete(session) === true) this.#letGo(session)
  }

  /** How long nothing may move: as the process says, or less where a session that is carried here does. */
  patience(ms: number): number {
    let least = ms
    for (const { budget } of this.#sessions ?? []) least = Math.min(least, budget.limits.idleTimeoutMs)
    return least
  }

  begin(active: ActiveExchange): void {
    this.active = active
    this.challenged = false
    this.requests++
    this.#phaseSince = performance.now()
    // Counted at the first sweep that finds it: most exchanges are over by then.
    this.#bytesSeen = -1
  }

  over(): void {
    this.active = null
  }

  /** `unreadBytes` were read from the stream already and put back: the beginning of a head counts, however it came. */
  finish(unreadBytes: number = 0): void {
    this.active = null
    this.#phaseSince = performance.now()
    this.#bytesSeen = 0
    this.#bytesBefore = this.start.stream.bytesRead - unreadBytes
  }

  /** The rest of a body that nobody wants: read and dropped, for a moment and to a bound, so that the answer arrives. */
  drain(): void {
    this.#drain = { until: performance.now() + drainMs, bytesMax: this.start.stream.bytesRead + drainBytesMax }
  }

  /** All of it has come. */
  drained(unreadBytes: number): void {
    this.#drain = null
    this.finish(unreadBytes)
  }

  closed(): void {
    for (const session of this.#sessions ?? []) this.#letGo(session)
    this.#sessions = null
  }

  stillAllowed(session: Session): boolean {
    const { place, bound } = this.start
    if (bound?.id === session.id && place.kind === 'tunnel' && decideHost(session, place.authority).kind === 'deny')
      return false
    return this.active?.stillAllowed(session) ?? true
  }

  narrow(session: Session): void {
    this.active?.narrow?.(session)
  }

  cut(why: InterruptReason | null = null): void {
    this.cutWhy ??= why
    this.poisoned = true
    this.out.drop()
    const { raw } = this.start
    const word = this.active?.cut(why) ?? null
    if (word === null) resetSocket(raw)
    else void Promise.race([word, delay(lastWordMsMax, undefined, { ref: false })]).then(() => resetSocket(raw))
  }

  check(now: number): void {
    const { limits, stream } = this.start
    if (this.#drain !== null) {
      if (now > this.#drain.until || stream.bytesRead > this.#drain.bytesMax) this.cut()
      return
    }
    if (this.active !== null) {
      this.active.check(now)
      if (this.#bytes() !== this.#bytesSeen) {
        this.#bytesSeen = this.#bytes()
        this.#phaseSince = now
      } else if (this.ended && now - this.#phaseSince > halfClosedMs) this.cut()
      else if (now - this.#phaseSince > this.patience(limits.exchangeIdleMs)) this.cut('idle')
      return
    }
    if (stream.writableLength > 0) {
      // Answered, and the answer is still on its way: the client may take its time, as long as it takes something.
      if (stream.writableLength !== this.#unsent) {
        this.#unsent = stream.writableLength
        this.#phaseSince = now
      } else if (now - this.#phaseSince > this.patience(limits.exchangeIdleMs)) this.cut('idle')
      return
    }
    if (stream.bytesRead === this.#bytesBefore) {
      // Between requests: silence is allowed, for a while.
      if (now - this.#phaseSince > (this.challenged ? challengeMs : this.patience(limits.keepAliveMs))) stream.destroy()
      this.#bytesSeen = 0
    } else if (this.#bytesSeen === 0) {
      // A head has begun since the last sweep.
      this.#bytesSeen = 1
      this.#phaseSince = now
    } else if (now - this.#phaseSince > limits.headMs) this.onHeadTimeout()
  }

  #hold(session: LiveSession): void {
    this.onProven()
    this.#sessions = (this.#sessions ?? new Set()).add(session)
    session.open.add(this)
    session.budget.openConnection()
  }

  #letGo(session: LiveSession): void {
    session.open.delete(this)
    session.budget.closeConnection()
  }

  #bytes(): number {
    return this.start.raw.bytesRead + this.start.raw.bytesWritten
  }
}

function nothing(): void {}
