/**
 * One request of a client under way: its facts, its client's side, and how it may be ended from outside.
 *
 * Promises: it is answered at most once and recorded exactly once, whoever ends it first.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RequestHead } from '../net/request-head.ts'
import type { ResponseHead } from '../net/response-head.ts'
import { decideHost } from '../policy/decide-host.ts'
import { decideRequest } from '../policy/decide-request.ts'
import type { Deny } from '../policy/decision.ts'
import type { Session } from '../sessions/session.ts'
import type { ResponseWriter } from '../upstream/forward.ts'
import type { ActiveExchange, Connection } from './connection.ts'
import type { Facts } from './facts.ts'
import type { Outcome } from './outcome.ts'
import { type Reply, replyTo } from './reply.ts'
import type { Rooms } from './rooms.ts'

/** The largest body that waits for its end within one tick, to go out in one write. */
const heldBytesMax = 16_384

/** When a line says that an exchange is under way. */
const openRecordAfterMs = 1000

export class Exchange implements ActiveExchange, ResponseWriter {
  readonly facts: Facts
  readonly request: IncomingMessage
  readonly connection: Connection
  /** The head once it is a value. */
  head: RequestHead | null = null
  readonly #response: ServerResponse
  readonly #rooms: Rooms
  #onAbandon: (() => void) | null = null
  #interruption: Deny | null = null
  #left = false
  #headWaits = false
  #continued = false
  #held: Buffer | null = null

  constructor(rooms: Rooms, connection: Connection, request: IncomingMessage, response: ServerResponse, facts: Facts) {
    this.#rooms = rooms
    this.connection = connection
    this.request = request
    this.#response = response
    this.facts = facts
    // Attached before the first await: a client that vanishes now would otherwise end the process.
    request.on('error', ignore)
    response.on('error', ignore)
    response.on('close', () => {
      if (!response.writableFinished) this.#leave()
    })
  }

  /** Why the connection ended it, when it did: it overrides what the walk says. */
  get interruption(): Deny | null {
    return this.#interruption
  }

  get left(): boolean {
    return this.#left
  }

  /** Called at most once, when the client leaves or the connection interrupts. */
  onAbandon(listener: () => void): void {
    this.#onAbandon = listener
    if (this.#left || this.#interruption !== null) this.#abandon()
  }

  interrupt(deny: Deny): void {
    this.#interruption ??= deny
    this.#abandon()
  }

  stillAllowed(session: Session): boolean {
    if (this.facts.session?.id !== session.id || this.head === null) return true
    const where = decideHost(session, this.head.authority)
    return where.kind === 'allow' && decideRequest(session, where.permit, this.head).kind === 'allow'
  }

  check(now: number): void {
    if (this.facts.opened || this.facts.decidedAt === null || now - this.facts.startedAt < openRecordAfterMs) return
    this.facts.opened = true
    this.#rooms.sink.append(this.facts.openRecord(now))
  }

  /** After the decision, and only then (RFC 9110 §10.1.1). */
  continueBody(): void {
    if (this.#left) return
    this.#continued = true
    this.#response.writeContinue()
  }

  start(head: ResponseHead): void {
    this.#response.sendDate = false
    this.#response.writeHead(head.status, head.reason, [...head.fields])
    this.#headWaits = true
    // A body that comes with its head goes out with it, in one write; a head that comes alone goes out alone, at once.
    process.nextTick(() => this.#flush())
  }

  write(chunk: Buffer): boolean {
    if (this.#headWaits && this.#held === null && chunk.length <= heldBytesMax) {
      this.#held = chunk
      return true
    }
    this.#flush()
    return this.#response.write(chunk)
  }

  end(): void {
    const held = this.#held
    this.#held = null
    this.#headWaits = false
    // As text in the head's own encoding Node joins the two into one write; as bytes they would be two.
    if (held === null) this.#response.end()
    else this.#response.end(held.toString('latin1'), 'latin1')
  }

  abort(): void {
    // A reset, since the end of a connection is how an answer without framing ends.
    this.connection.cut()
  }

  onDrain(listener: () => void): void {
    this.#response.on('drain', listener)
  }

  /** Answers what was not streamed. Returns the status the client was told; null when it was not there to hear it. */
  reply(outcome: Outcome): number | null {
    if (outcome.kind === 'completed') return outcome.status
    if (this.#left) return null
    const reply = replyTo(outcome, this.facts)
    if (reply === null || this.#response.headersSent) {
      this.abort()
      return this.#response.headersSent ? this.#response.statusCode : null
    }
    // After an ambiguous head nobody knows where the next one begins, nor after a body that was announced, and whose sender
    // may or may not send it now that it was not asked to.
    if (reply.status === 400 || (this.head?.expectContinue === true && !this.#continued))
      this.connection.poisoned = true
    this.#send(reply)
    return reply.status
  }

  /** An answer of the proxy's own that is no refusal. */
  say(reply: Reply): Outcome {
    if (this.#left) return { kind: 'abandoned', detail: 'the client left before the answer' }
    this.#send(reply)
    return { kind: 'completed', status: reply.status }
  }

  #send(reply: Reply): void {
    const body = Buffer.from(reply.body)
    const fields = [...reply.fields, 'Content-Length', String(body.length)]
    if (this.connection.poisoned) fields.push('Connection', 'close')
    this.#response.writeHead(reply.status, reply.reason, fields)
    this.#response.end(this.request.method === 'HEAD' ? undefined : body)
  }

  #flush(): void {
    if (!this.#headWaits) return
    this.#headWaits = false
    const held = this.#held
    this.#held = null
    if (held === null) this.#response.flushHeaders()
    else this.#response.write(held)
  }

  #leave(): void {
    this.#left = true
    this.#abandon()
  }

  #abandon(): void {
    const listener = this.#onAbandon
    this.#onAbandon = null
    listener?.()
  }
}

function ignore(): void {}
