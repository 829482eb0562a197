/** One CONNECT, door to door: admit, then intercept or tunnel. It is answered once and recorded once, or each request in it is. */

import type net from 'node:net'
import type { Authority } from '../net/authority.ts'
import { decideHost, type HostPermit } from '../policy/decide-host.ts'
import { type Decision, type Deny, deny } from '../policy/decision.ts'
import type { LiveSession } from '../sessions/session.ts'
import type { ConnectVoice } from './connect-voice.ts'
import type { Connection } from './connection.ts'
import { isEgressLocal } from './egress-local.ts'
import type { Facts } from './facts.ts'
import { beginFacts, finishFacts, noteSession, slowLoop, tooManyConnections } from './handle-request.ts'
import { openIntercepted } from './open-intercepted.ts'
import { openTunnel } from './open-tunnel.ts'
import type { Outcome } from './outcome.ts'
import type { Rooms } from './rooms.ts'

/** A CONNECT as a door has read it, in whatever protocol that was. */
export type ConnectAsked = {
  readonly authority: () => Authority | Deny
  readonly who: () => Decision<LiveSession>
  /** What tells one client of a session from another. */
  readonly userAgent: string | null
  /** Bytes that came right behind. */
  readonly early: Buffer
  readonly voice: ConnectVoice
}

/** A CONNECT under way, with what belongs to it. */
export type Connect = Pick<ConnectAsked, 'early' | 'userAgent' | 'voice'> & {
  readonly connection: Connection
  readonly socket: net.Socket
  readonly facts: Facts
}

/** What becomes of a CONNECT that was admitted: `told` when the client has had its answer and the socket is not ours any more. */
export type Opened =
  | { readonly kind: 'told'; readonly outcome: Outcome | null; readonly status: number | null }
  | Outcome

export async function handleConnect(rooms: Rooms, connection: Connection, asked: ConnectAsked): Promise<void> {
  const facts = beginFacts(rooms, connection, 'connect')
  const { early, userAgent, voice } = asked
  // Inside TLS the answer to a CONNECT is said inside too. Whoever accepted the socket hears its errors for life.
  const connect: Connect = { connection, socket: connection.start.stream, facts, userAgent, early, voice }
  let opened: Opened
  try {
    opened = await walk(rooms, connect, asked)
  } catch (error) {
    opened = { kind: 'fault', error }
  }
  if (opened.kind === 'told') {
    if (opened.outcome !== null) finishFacts(rooms, facts, opened.outcome, opened.status)
    return
  }
  if (opened.kind === 'deny') await slowLoop(rooms, facts, opened)
  finishFacts(rooms, facts, opened, refuse(rooms, connect, opened))
}

async function walk(rooms: Rooms, connect: Connect, asked: ConnectAsked): Promise<Opened> {
  const { connection, facts } = connect
  facts.scheme = 'https'
  const authority = asked.authority()
  if ('host' in authority) facts.authority = authority

  const who = asked.who()
  const carried = who.kind === 'allow' && noteSession(facts, connection, who.permit)
  if (!('host' in authority)) return authority
  if (who.kind === 'deny') return who
  if (!carried) return tooManyConnections(who.permit)
  if (!rooms.sink.accepting()) return deny('decision_unavailable', 'the record cannot be written')

  const live = who.permit
  // Some clients open a tunnel for plain HTTP too; nothing is dialled for this one, the request inside is answered by us.
  if (isEgressLocal(authority)) return openIntercepted(rooms, connect, live, authority, null)
  const where = decideHost(live.current, authority)
  if (where.kind === 'deny') return tellDenied(rooms, connect, live, authority, where)
  facts.wouldDeny = where.permit.wouldDeny
  facts.decidedAt = performance.now()
  return open(rooms, connect, live, where.permit)
}

function open(rooms: Rooms, connect: Connect, live: LiveSession, permit: HostPermit): Promise<Opened> {
  switch (permit.route) {
    case 'intercept':
      return openIntercepted(rooms, connect, live, permit.authority, null)
    case 'tunnel':
      return openTunnel(rooms, connect, live, permit)
  }
}

/** A client known to trust our CA is refused inside TLS, where SDKs show the reason and do not retry (decision 30). */
function tellDenied(
  rooms: Rooms,
  connect: Connect,
  live: LiveSession,
  authority: Authority,
  refusal: Deny,
): Opened | Promise<Opened> {
  const { refusal: mode } = live.current
  const inside = mode === 'inside' || (mode === 'auto' && rooms.trust.trusts(live.id, connect.userAgent))
  return inside ? openIntercepted(rooms, connect, live, authority, refusal) : refusal
}

/** The answer to a CONNECT that opens nothing; returns what the client was told. */
function refuse(rooms: Rooms, { connection, facts, socket, voice }: Connect, outcome: Outcome): number | null {
  const refusal = voice.refuse(outcome, facts)
  if (refusal === null || socket.destroyed || !socket.writable) {
    socket.destroy()
    return null
  }
  socket.write(refusal.bytes)
  if (refusal.last) {
    connection.poisoned = true
    // Read on until the client has closed: closing with unread bytes would reset the answer away.
    socket.resume()
    socket.end()
    rooms.deadlines.lingerThenDestroy(socket, connection.start.raw)
  } else {
    connection.challenged = true
    rooms.serve(connection, Buffer.alloc(0))
  }
  return refusal.status
}
