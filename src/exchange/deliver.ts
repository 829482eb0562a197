/**
 * Equip and deliver one judged request: the last rooms before the record.
 *
 * Promises: the secret is fetched only for a request already allowed; the address judged is the address dialled; nothing
 * is sent for a session that ended while we waited.
 */

import { headBytes } from '../net/outbound-head.ts'
import { decideAddress } from '../policy/decide-address.ts'
import type { RequestPermit } from '../policy/decide-request.ts'
import { deny } from '../policy/decision.ts'
import type { LiveSession, Session } from '../sessions/session.ts'
import { forward } from '../upstream/forward.ts'
import type { Exchange } from './exchange.ts'
import type { Outcome } from './outcome.ts'
import type { Rooms } from './rooms.ts'

export async function deliver(
  rooms: Rooms,
  exchange: Exchange,
  live: LiveSession,
  session: Session,
  permit: RequestPermit,
): Promise<Outcome> {
  const { facts } = exchange
  if (permit.head.method === 'WEBSOCKET')
    return deny('method_not_allowed', 'WebSocket handshakes are not forwarded yet')
  const equipped = await rooms.equip(permit, session)
  if (equipped.kind === 'deny') return equipped
  facts.credentials = equipped.used

  const asked = rooms.resolve(permit.head.authority.host)
  const answer = 'then' in asked ? await asked : asked
  if (answer.kind === 'failed') return answer
  const address = decideAddress(permit, answer.addresses, rooms.isOwn)
  if (address.kind === 'deny') return address

  // Asked after the last await: between the decision and here the session may have been revoked.
  if (live.ended) return deny('session_unknown', 'revoked')
  if (exchange.left) return { kind: 'abandoned', detail: 'the client left before the request was sent' }

  const pool = rooms.poolsOf(live).poolFor({
    scheme: permit.head.scheme,
    permit: address.permit,
    addresses: answer.key,
    policyVersion: session.policy.version,
  })
  const began = performance.now()
  const { abandon, done } = forward({
    pool,
    head: equipped.head,
    body: exchange.openBody(permit.head),
    writer: exchange,
    relayed: rooms.relayed,
    cookies: permit.pinned && permit.foreignCredentials !== 'allow' ? 'strip' : 'pass',
  })
  exchange.onAbandon(abandon)
  const forwarded = await done

  facts.address = pool.address
  facts.bytesUp = headBytes(equipped.head) + forwarded.bytesUp
  facts.bytesDown = forwarded.bytesDown
  facts.connectMs = forwarded.sentAt === null ? null : forwarded.sentAt - began
  facts.firstByteAt = forwarded.answeredAt
  return forwarded.end.kind === 'abandoned'
    ? { kind: 'abandoned', detail: 'the client left before the answer was complete' }
    : forwarded.end
}
