/**
 * Equip and deliver one judged request: the last rooms before the record.
 *
 * Promises: the secret is fetched only for a request already allowed; the address judged is the address dialled; nothing
 * is sent for a session that ended while we waited.
 */

import { headBytes, type OutboundHead } from '../net/outbound-head.ts'
import { decideAddress } from '../policy/decide-address.ts'
import type { RequestPermit } from '../policy/decide-request.ts'
import { deny } from '../policy/decision.ts'
import type { LiveSession, Session } from '../sessions/session.ts'
import { type Forwarded, forward } from '../upstream/forward.ts'
import type { OriginPool } from '../upstream/origin-pools.ts'
import type { Exchange } from './exchange.ts'
import type { Facts } from './facts.ts'
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
  if (permit.head.method === 'WEBSOCKET')
    return deny('method_not_allowed', 'WebSocket handshakes are not forwarded yet')
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
      return send(rooms, exchange, permit, equipped.head, rooms.poolsOf(live).poolFor(key))
    })
  })
}

function send(
  rooms: Rooms,
  exchange: Exchange,
  permit: RequestPermit,
  head: OutboundHead,
  pool: OriginPool,
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

function note(facts: Facts, pool: OriginPool, head: OutboundHead, began: number, forwarded: Forwarded): void {
  facts.address = pool.address
  facts.bytesUp = headBytes(head) + forwarded.bytesUp
  facts.bytesDown = forwarded.bytesDown
  facts.connectMs = forwarded.sentAt === null ? null : forwarded.sentAt - began
  facts.firstByteAt = forwarded.answeredAt
}
