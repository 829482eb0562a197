/**
 * Equip and deliver one judged request: the last rooms before the record.
 *
 * Promises: the secret is fetched only for a request already allowed, and masked in what comes back; the address judged is
 * the address dialled; nothing is sent for a session that ended while we waited.
 */

import type { Readable } from 'node:stream'
import type { Equipped } from '../credentials/equip.ts'
import type { TokenRequest } from '../credentials/token-endpoint.ts'
import { headBytes, type OutboundHead } from '../net/outbound-head.ts'
import { decideAddress } from '../policy/decide-address.ts'
import type { CookieRule } from '../net/response-head.ts'
import {
  type Handshake,
  parseHandshake,
  provenFields,
  switchProblem,
  withHandshake,
} from '../net/websocket-handshake.ts'
import type { RequestPermit } from '../policy/decide-request.ts'
import { deny } from '../policy/decision.ts'
import { isCredentialSubprotocol } from '../policy/foreign-credential.ts'
import type { LiveSession, Session } from '../sessions/session.ts'
import type { Forwarded, ForwardRequest } from '../upstream/forward-request.ts'
import { forwardNegotiated } from '../upstream/negotiate.ts'
import type { OriginPool } from '../upstream/origin-pools.ts'
import { answerToken } from './answer-token.ts'
import { cookieRule, openJar } from './cookie-jar.ts'
import type { Exchange } from './exchange.ts'
import type { Facts } from './facts.ts'
import { equipWithBody, type NotEquipped } from './equip-with-body.ts'
import { judgeBody } from './judge-body.ts'
import { openWebSocket } from './open-websocket.ts'
import type { Outcome } from './outcome.ts'
import { RedactingWriter } from './redacting-writer.ts'
import { rewriteBody } from './rewritten-body.ts'
import type { Rooms } from './rooms.ts'
import { andThen, type Soon } from './soon.ts'

export function deliver(
  rooms: Rooms,
  exchange: Exchange,
  live: LiveSession,
  session: Session,
  permit: RequestPermit,
): Soon<Outcome> {
  const { demand } = permit
  if (demand !== null && !rooms.asksForToken(permit, session))
    return andThen(judgeBody(exchange, permit, demand.decide), (judged) =>
      judged.kind === 'allow' ? deliver(rooms, exchange, live, session, judged.permit) : judged,
    )
  const handshake = permit.head.method === 'WEBSOCKET' ? parseHandshake(exchange.incoming.raw, permit.head) : null
  if (handshake?.kind === 'problem') return deny('malformed_request', handshake.detail)
  return andThen(rooms.equip(permit, session), (equipped) =>
    equipped.kind === 'body_wanted'
      ? andThen(equipWithBody(rooms, exchange, permit, session), (whole) =>
          dispatch(rooms, exchange, live, session, permit, handshake, whole),
        )
      : dispatch(rooms, exchange, live, session, permit, handshake, equipped),
  )
}

function dispatch(
  rooms: Rooms,
  exchange: Exchange,
  live: LiveSession,
  session: Session,
  permit: RequestPermit,
  handshake: Handshake | null,
  equipped: Equipped | NotEquipped | TokenRequest,
): Soon<Outcome> {
  if (equipped.kind === 'token_request') return answerToken(rooms, exchange, permit.head, equipped)
  if (equipped.kind !== 'equipped') return equipped
  if (permit.demand !== null) return deny('body_unreadable', 'the body was not judged', permit.rule?.id ?? null)
  exchange.facts.credentials = equipped.used
  return andThen(rooms.resolve(permit.head.authority.host), (answer) => {
    if (answer.kind === 'failed') return answer
    const address = decideAddress(permit, answer.addresses, rooms.isOwn)
    if (address.kind === 'deny') return address

    // Asked after the last wait: between the decision and here the session may have been revoked or changed.
    if (live.ended) return deny('session_unknown', 'revoked')
    exchange.sentBy = permit
    exchange.sentTo = address.permit
    const narrowed = live.current === session ? null : exchange.refusedBy(live.current)
    if (narrowed !== null) return narrowed
    if (exchange.left || exchange.interruption !== null)
      return { kind: 'abandoned', detail: 'the client left before the request was sent' }

    const { scheme } = permit.head
    const key = {
      scheme,
      permit: address.permit,
      addresses: answer.key,
      policyVersion: session.policy.version,
      identity: equipped.identity,
    }
    const pool = rooms.poolsOf(live).poolFor(key)
    const jar = permit.cookies === 'jar' ? openJar(rooms, session, permit) : null
    const whole = jar?.fill(equipped) ?? equipped
    const cookies = jar?.rule ?? cookieRule(permit)
    if (handshake === null) return send(rooms, exchange, live, permit, whole, cookies, pool, null)
    const offer = offerOf(handshake, permit, equipped.used.length > 0)
    const asked = { ...whole, head: withHandshake(whole.head, offer) }
    return send(rooms, exchange, live, permit, asked, cookies, pool, offer)
  })
}

/** Of what the client offers, what may go on. */
function offerOf(handshake: Handshake, { foreignCredentials }: RequestPermit, credential: boolean): Handshake {
  const { protocols, extensions } = handshake
  const kept = (protocols ?? '')
    .split(/[ \t]*,[ \t]*/)
    .filter((token) => token !== '' && !isCredentialSubprotocol(token))
  return {
    ...handshake,
    protocols: foreignCredentials === 'allow' ? protocols : kept.join(', ') || null,
    // Where a secret may come back, messages come as they are (decision 35).
    extensions: credential ? null : extensions,
  }
}

function send(
  rooms: Rooms,
  exchange: Exchange,
  live: LiveSession,
  permit: RequestPermit,
  { body: swapped, head, rewrite, secrets }: Pick<Equipped, 'body' | 'head' | 'rewrite' | 'secrets'>,
  cookies: CookieRule,
  pool: OriginPool,
  handshake: Handshake | null,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const began = performance.now()
    const onMasked = (places: number): void => countMasked(rooms, live, places)
    const opened = open(exchange, permit, head, swapped)
    if (opened === 'spent') {
      resolve({ kind: 'abandoned', detail: 'the upload budget is spent' })
      return
    }
    const rule = permit.rule?.id ?? null
    const rewritten = rewrite === null ? null : rewriteBody(opened ?? nothing, rewrite, rooms.bodies, rule)
    if (rewritten?.kind === 'deny') {
      resolve(rewritten)
      return
    }
    const onFailure = (): void => forwarding.abandon()
    const redacting =
      secrets.length === 0
        ? null
        : new RedactingWriter({
            inner: exchange,
            secrets,
            method: permit.head.method,
            parts: permit.ranges,
            onMasked,
            onFailure,
          })
    const request: ForwardRequest = {
      pool,
      head: exchange.held === null ? head : withLength(head, (swapped ?? exchange.held).length),
      body: rewritten === null ? opened : rewritten.body,
      trailers: exchange,
      writer: redacting ?? exchange,
      meter: exchange,
      relayed: rooms.relayed,
      cookies,
      upgrade:
        handshake === null
          ? null
          : {
              protocol: 'websocket',
              problem: (fields) => switchProblem(handshake, fields),
              proven: (fields) => provenFields(handshake, fields),
              onSwitch: (switched) => {
                note(exchange.facts, pool, began, switched)
                const said = redacting?.masked(switched.head) ?? switched.head
                exchange.facts.redactions = redacting?.redactions ?? 0
                if (exchange.facts.redactions > 0) onMasked(exchange.facts.redactions)
                const search = redacting === null ? null : { secrets, onMasked }
                resolve(openWebSocket(rooms, exchange, { ...switched, head: said }, search))
              },
            },
      onEnd: (forwarded) => {
        note(exchange.facts, pool, began, forwarded)
        if (redacting !== null) exchange.facts.redactions = redacting.redactions
        redacting?.close()
        const failure = redacting?.failure ?? null
        const end = failure ?? (forwarded.end.kind === 'completed' ? null : rewritten?.problem()) ?? forwarded.end
        if (end.kind === 'completed' && end.status === 401)
          for (const name of exchange.facts.credentials) rooms.credentialRefused(name, live)
        resolve(
          end.kind === 'abandoned'
            ? { kind: 'abandoned', detail: 'the client left before the answer was complete' }
            : end,
        )
      },
    }
    const forwarding = forwardNegotiated(request, exchange.incoming.answer.protocol)
    exchange.carry(forwarding)
  })
}

/** Head and body, counted: what is here at once, the rest of a body as it comes. */
function open(
  exchange: Exchange,
  permit: RequestPermit,
  head: OutboundHead,
  swapped: Buffer | null,
): Buffer | Readable | 'spent' | null {
  const bytes = headBytes(head)
  const whole = swapped ?? exchange.held
  if (!exchange.takeUp(bytes + (whole?.length ?? 0))) return 'spent'
  exchange.facts.bytesUp = bytes
  const body = swapped ?? exchange.openBody(permit.head)
  if (whole !== null || body === null) return body
  if (!Buffer.isBuffer(body)) exchange.incoming.body.count(exchange)
  else if (!exchange.takeUp(body.length)) return 'spent'
  return body
}

/** Whoever makes origins say the secret again and again is looking for a way to read it (decision 36). */
function countMasked(rooms: Rooms, live: LiveSession, places: number): void {
  live.counters.redactions += places
  if (live.counters.redactions > rooms.limits.redactionsMax && !live.ended) rooms.endSession(live, 'echoes')
}

/** What was judged is all here, however it was framed when it came. */
function withLength(head: OutboundHead, length: number): OutboundHead {
  return { ...head, body: { kind: 'length', length } }
}

const nothing = Buffer.alloc(0)

type Delivered = Pick<Forwarded, 'answeredAt' | 'bytesDown' | 'bytesUp' | 'sentAt'>

function note(facts: Facts, pool: OriginPool, began: number, forwarded: Delivered): void {
  facts.address = pool.address
  facts.via = pool.via
  facts.bytesUp += forwarded.bytesUp
  facts.bytesDown = forwarded.bytesDown
  facts.connectMs = forwarded.sentAt === null ? null : forwarded.sentAt - began
  facts.firstByteAt = forwarded.answeredAt
}
