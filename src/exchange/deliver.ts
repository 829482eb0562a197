/**
 * Equip and deliver one judged request: the last rooms before the record.
 *
 * Promises: the secret is fetched only for a request already allowed; the address judged is the address dialled; nothing
 * is sent for a session that ended while we waited.
 */

import { headBytes, type OutboundHead } from '../net/outbound-head.ts'
import { decideAddress } from '../policy/decide-address.ts'
import { type Handshake, parseHandshake, switchProblem, withHandshake } from '../net/websocket-handshake.ts'
import type { RequestPermit } from '../policy/decide-request.ts'
import { deny } from '../policy/decision.ts'
import { isCredentialSubprotocol } from '../policy/foreign-credential.ts'
import type { LiveSession, Session } from '../sessions/session.ts'
import { type Forwarded, forward } from '../upstream/forward.ts'
import type { OriginPool } from '../upstream/origin-pools.ts'
import type { Exchange } from './exchange.ts'
import type { Facts } from './facts.ts'
import { openWebSocket } from './open-websocket.ts'
import type { Outcome } from './outcome.ts'
import type { Rooms } from './rooms.ts'
import { andThen, type Soon } from './soon.ts'

export function deliver(
  rooms: Rooms,
  exchange: Exchange,
  live: LiveSession,
  session: Session,
  permit: RequestPermit,
): Soon<Outcome> {
  const handshake = permit.head.method === 'WEBSOCKET' ? parseHandshake(exchange.incoming.raw, permit.head) : null
  if (handshake?.kind === 'problem') return deny('malformed_request', handshake.detail)
  return andThen(rooms.equip(permit, session), (equipped) => {
    if (equipped.kind === 'deny') return equipped
    exchange.facts.credentials = equipped.used
    return andThen(rooms.resolve(permit.head.authority.host), (answer) => {
      if (answer.kind === 'failed') return answer
      const address = decideAddress(permit, answer.addresses, rooms.isOwn)
      if (address.kind === 'deny') return address

      // Asked after the last wait: between the decision and here the session may have been revoked.
      if (live.ended) return deny('session_unknown', 'revoked')
      if (exchange.left || exchange.interruption !== null)
        return { kind: 'abandoned', detail: 'the client left before the request was sent' }

      const { scheme } = permit.head
      const key = { scheme, permit: address.permit, addresses: answer.key, policyVersion: session.policy.version }
      const pool = rooms.poolsOf(live).poolFor(key)
      if (handshake === null) return send(rooms, exchange, permit, equipped.head, pool, null)
      const offer = offerOf(handshake, permit, equipped.used.length > 0)
      return send(rooms, exchange, permit, withHandshake(equipped.head, offer), pool, offer)
    })
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
  permit: RequestPermit,
  head: OutboundHead,
  pool: OriginPool,
  handshake: Handshake | null,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const began = performance.now()
    const forwarding = forward({
      pool,
      head,
      body: exchange.openBody(permit.head),
      writer: exchange,
      relayed: rooms.relayed,
      cookies: permit.pinned && permit.foreignCredentials !== 'allow' ? 'strip' : 'pass',
      upgrade:
        handshake === null
          ? null
          : {
              protocol: 'websocket',
              problem: (fields) => switchProblem(handshake, fields),
              onSwitch: (switched) => {
                note(exchange.facts, pool, head, began, switched)
                resolve(openWebSocket(rooms, exchange, switched))
              },
            },
      onEnd: (forwarded) => {
        note(exchange.facts, pool, head, began, forwarded)
        const { end } = forwarded
        resolve(
          end.kind === 'abandoned'
            ? { kind: 'abandoned', detail: 'the client left before the answer was complete' }
            : end,
        )
      },
    })
    exchange.carry(forwarding)
  })
}

type Delivered = Pick<Forwarded, 'answeredAt' | 'bytesDown' | 'bytesUp' | 'sentAt'>

function note(facts: Facts, pool: OriginPool, head: OutboundHead, began: number, forwarded: Delivered): void {
  facts.address = pool.address
  facts.bytesUp = headBytes(head) + forwarded.bytesUp
  facts.bytesDown = forwarded.bytesDown
  facts.connectMs = forwarded.sentAt === null ? null : forwarded.sentAt - began
  facts.firstByteAt = forwarded.answeredAt
}
