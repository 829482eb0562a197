/**
 * One request of a client under way: its facts, its client's side, and how it may be ended from outside.
 *
 * Promises: it is answered at most once and recorded exactly once, whoever ends it first.
 */

import type { Readable } from 'node:stream'
import { announcedOf, announcedTrailers, type RequestTrailers } from '../net/request-trailers.ts'
import type { RequestHead } from '../net/request-head.ts'
import type { ResponseHead } from '../net/response-head.ts'
import { type AddressPermit, decideAddress } from '../policy/decide-address.ts'
import { decideHost } from '../policy/decide-host.ts'
import { decideRequest, type RequestPermit } from '../policy/decide-request.ts'
import { type Deny, deny } from '../policy/decision.ts'
import { isCredentialField } from '../policy/foreign-credential.ts'
import type { Budget, Spent } from '../sessions/budget.ts'
import type { HostBudget } from '../sessions/host-budget.ts'
import type { LiveSession, Session } from '../sessions/session.ts'
import type { ResponseWriter } from '../upstream/forward-request.ts'
import type { Meter } from '../upstream/meter.ts'
import type { Answer, ClientEnd } from './answer.ts'
import type { ActiveExchange, Connection, Interruption } from './connection.ts'
import { type Decoded, decodeBody } from './decoded-body.ts'
import type { Delivery } from './delivery.ts'
import type { Facts } from './facts.ts'
import type { NotHeld } from './held-bodies.ts'
import type { Incoming } from './incoming.ts'
import { type InterruptReason, interrupted, type Outcome } from './outcome.ts'
import { type Reply, replyTo } from './reply.ts'
import type { Rooms } from './rooms.ts'
import { andThen, type Soon } from './soon.ts'

/** When a line says that an exchange is under way. */
const openRecordAfterMs = 1000

export class Exchange implements ActiveExchange, Meter, RequestTrailers, ResponseWriter {
  readonly facts: Facts
  readonly connection: Connection
  readonly incoming: Incoming
  /** By which permits it went out; null: it has not. */
  sentBy: RequestPermit | null = null
  sentTo: AddressPermit | null = null
  readonly #rooms: Rooms
  readonly #answer: Answer
  /** Of its session, with its host; null: it was not admitted, and nothing of it may flow. */
  budget: HostBudget | null = null
  #entered: Budget | null = null
  #delivery: Delivery | null = null
  #onDrain: (() => void) | null = null
  #interruption: Interruption | null = null
  #left = false
  #continued = false
  #switched = false
  #held: Buffer | null = null
  #holding = false
  #decodedBytes = 0

  constructor(rooms: Rooms, connection: Connection, incoming: Incoming, facts: Facts) {
    this.#rooms = rooms
    this.connection = connection
    this.incoming = incoming
    this.facts = facts
    this.#answer = incoming.answer
  }

  /** Why the connection ended it, when it did: it overrides what the walk says. */
  get interruption(): Interruption | null {
    return this.#interruption
  }

  takeUp(bytes: number): boolean {
    const fits = this.budget?.takeUp(bytes) === true
    if (!fits) this.#overspend('upload_limit')
    return fits
  }

  takeDown(bytes: number): boolean {
    const fits = this.budget?.takeDown(bytes) === true
    if (!fits) this.#overspend('download_limit')
    return fits
  }

  /** The whole body, where it was judged or signed. */
  get held(): Buffer | null {
    return this.#held
  }

  /** Of trailers: no account goes in there, whatever the rule says of the client's own. */
  announced(): readonly string[] {
    return announcedTrailers(this.incoming.raw.fields, isCredentialField)
  }

  received(): Readonly<Record<string, string>> {
    return announcedOf(this.incoming.body.trailers, this.announced())
  }

  get left(): boolean {
    return this.#left
  }

  /** Under way from here on: given up when the client leaves or the connection interrupts. */
  carry(delivery: Delivery): void {
    this.#delivery = delivery
    if (this.#left || this.#interruption !== null) this.#abandon()
  }

  cut(why: InterruptReason | null): Promise<void> | null {
    return this.#delivery?.cut?.(why) ?? null
  }

  interrupt(why: Interruption): void {
    this.#interruption ??= why
    this.#abandon()
  }

  /** The client is gone. */
  leave(): void {
    this.#left = true
    this.#abandon()
  }

  /** The client takes more. */
  drained(): void {
    this.#onDrain?.()
  }

  stillAllowed(session: Session): boolean {
    return this.refusedBy(session) === null
  }

  /** Whether this session, as it is now, would be refused it: with the body, the address and the credential that it was sent with. */
  refusedBy(session: Session): Deny | null {
    const { head } = this.incoming
    if (this.facts.session?.id !== session.id || 'kind' in head) return null
    const where = decideHost(session, head.authority)
    if (where.kind === 'deny') return where
    const what = decideRequest(session, where.permit, head)
    if (what.kind === 'deny') return what
    // What waits to be sent is asked of again when all of this is known.
    if (this.sentBy === null || this.sentTo === null) return null
    const { body } = this.sentBy
    const { demand } = what.permit
    const whole = demand === null ? what : body === null ? unknowable : demand.decide(body)
    if (whole.kind === 'deny') return whole
    const slot = whole.permit.credential
    const account = slot === null ? null : (session.credentials.get(slot) ?? null)
    if (this.facts.credentials.some((name) => name !== account)) return unknowable
    const dialled = decideAddress(whole.permit, this.sentTo.addresses, this.#rooms.isOwn)
    return dialled.kind === 'deny' ? dialled : null
  }

  check(now: number): void {
    this.#delivery?.check(now)
    const { facts } = this
    if (facts.decidedAt === null) return
    const late = !facts.opened && now - facts.startedAt >= openRecordAfterMs
    if (!facts.nearsLimits() && !late) return
    facts.opened = true
    this.#rooms.sink.append(facts.openRecord(now))
  }

  /** The body on its way to the origin; after the decision, and only then (RFC 9110 §10.1.1). Null: there is none. */
  openBody(head: RequestHead): Buffer | Readable | null {
    if (this.#held !== null) return this.#held.length === 0 ? null : this.#held
    if (head.expectContinue && !this.#left) {
      this.#continued = true
      this.#answer.continue()
    }
    return this.incoming.body.complete ? null : this.incoming.body.open()
  }

  /** All of the body, to be judged or signed; it is let go with the exchange. */
  holdBody(head: RequestHead): Soon<Buffer | NotHeld> {
    const { bodies } = this.#rooms
    if (head.body.kind === 'length' && bodies.isTooLarge(head.body.length)) return 'too_large'
    this.#holding = true
    return andThen(bodies.hold(this.openBody(head) ?? nothing, this.#entered), (held) => {
      this.#holding = false
      if (typeof held !== 'string') this.#held = held
      return held
    })
  }

  /** What is held, without its content coding; it is let go with the exchange too. */
  decodeHeld({ fields }: RequestHead): Soon<Decoded> {
    return andThen(decodeBody(fields, this.#held ?? nothing, this.#rooms.bodies, this.#entered), (decoded) => {
      if (Buffer.isBuffer(decoded)) this.#decodedBytes += decoded.length
      return decoded
    })
  }

  /** Of this session from here on. False: it has as many requests under way as it may. */
  enter({ budget }: LiveSession): boolean {
    if (budget.exchanges >= this.#rooms.limits.exchangesPerSessionMax) return false
    budget.exchanges++
    this.#entered = budget
    return true
  }

  release(): void {
    if (this.#held !== null) this.#rooms.bodies.release(this.#held.length, this.#entered)
    this.#rooms.bodies.release(this.#decodedBytes, this.#entered)
    this.#held = null
    this.#decodedBytes = 0
    if (this.#entered !== null) this.#entered.exchanges--
    this.#entered = null
  }

  interim(head: ResponseHead): void {
    this.#answer.interim(head)
  }

  /** From here on the client's side carries what it is joined to. `early`: what the client sent ahead. */
  switchTo(protocol: string, head: ResponseHead): { readonly client: ClientEnd; readonly early: Buffer } {
    this.#switched = true
    const client = this.#answer.switchTo(protocol, head)
    if (this.#answer.last) this.connection.poisoned = true
    return { client, early: this.incoming.body.detach() }
  }

  start(head: ResponseHead): void {
    this.#answer.start(head)
  }

  write(piece: Buffer): boolean {
    return this.#answer.write(piece)
  }

  end(trailers: readonly string[]): undefined {
    this.#answer.end(trailers)
    if (this.#answer.last) this.connection.poisoned = true
  }

  abort(): void {
    this.#answer.abort()
  }

  onDrain(listener: () => void): void {
    this.#onDrain = listener
  }

  /** Answers what was not streamed. Returns the status the client was told; null when it was not there to hear it. */
  reply(outcome: Outcome): number | null {
    if (outcome.kind === 'completed') return outcome.status
    if (this.#left) return null
    const reply = replyTo(outcome, this.facts)
    if (reply === null || this.#answer.status !== null) {
      this.abort()
      return this.#answer.status
    }
    const { head } = this.incoming
    // After an ambiguous head nobody knows where the next one begins, nor after a body that was announced, and whose sender
    // may or may not send it now that it was not asked to.
    if ('kind' in head || reply.status === 400 || (head.expectContinue && !this.#continued)) this.#answer.beLast()
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
    if (this.connection.poisoned) this.#answer.beLast()
    this.#answer.send(reply)
    if (this.#answer.last) this.connection.poisoned = true
  }

  /** It is refused as long as it can be, and cut where it has begun to be answered. */
  #overspend(why: Spent): void {
    if (this.#switched) {
      this.#interruption ??= interrupted(why)
      void this.cut(why)
    } else this.interrupt(this.#answer.status === null ? deny(why, 'on the way') : interrupted(why))
  }

  #abandon(): void {
    const delivery = this.#delivery
    this.#delivery = null
    delivery?.abandon()
    if (this.#holding) this.incoming.body.fail(new Error('nobody waits for it any more'))
  }
}

const nothing = Buffer.alloc(0)

/** Sent by a policy that is gone, with what the present one would have done otherwise. */
const unknowable = deny('decision_unavailable', 'the policy changed while it was under way')
