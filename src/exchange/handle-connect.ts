/** One CONNECT, door to door: admit, then intercept or tunnel. It is answered once and recorded once, or each request in it is. */

import type net from 'node:net'
import { type Authority, parseAuthority } from '../net/authority.ts'
import { fieldValue } from '../net/fields.ts'
import { checkConnectFields, type RawHead } from '../net/request-head.ts'
import { decideHost, type HostPermit } from '../policy/decide-host.ts'
import { type Deny, deny } from '../policy/decision.ts'
import type { LiveSession } from '../sessions/session.ts'
import type { Connection } from './connection.ts'
import { isEgressLocal } from './egress-local.ts'
import type { Facts } from './facts.ts'
import { beginFacts, finishFacts, identify, noteSession, slowLoop } from './handle-request.ts'
import { openIntercepted } from './open-intercepted.ts'
import { openTunnel } from './open-tunnel.ts'
import type { Outcome } from './outcome.ts'
import { replyTo } from './reply.ts'
import type { Rooms } from './rooms.ts'

/** A CONNECT under way, with what belongs to it. */
export type Connect = {
  readonly connection: Connection
  readonly socket: net.Socket
  readonly facts: Facts
  readonly userAgent: string | null
  /** Bytes that came right behind the head. */
  readonly early: Buffer
}

/** What becomes of a CONNECT that was admitted: `told` when the client has had its answer and the socket is not ours any more. */
export type Opened =
  | { readonly kind: 'told'; readonly outcome: Outcome | null; readonly status: number | null }
  | Outcome

export async function handleConnect(
  rooms: Rooms,
  connection: Connection,
  request: RawHead,
  early: Buffer,
): Promise<void> {
  const facts = beginFacts(rooms, connection, 'connect')
  // Inside TLS the answer to a CONNECT is said inside too. Whoever accepted the socket hears its errors for life.
  const socket = connection.start.stream
  const userAgent = fieldValue(request.fields, 'user-agent')
  const connect: Connect = { connection, socket, facts, userAgent, early }
  let opened: Opened
  try {
    opened = await walk(rooms, connect, request)
  } catch (error) {
    opened = { kind: 'fault', error }
  }
  if (opened.kind === 'told') {
    if (opened.outcome !== null) finishFacts(rooms, facts, opened.outcome, opened.status)
    return
  }
  if (opened.kind === 'deny') await slowLoop(rooms, facts, opened)
  const status = refuse(rooms, connect, opened, request.httpVersion)
  finishFacts(rooms, facts, opened, status)
}

async function walk(rooms: Rooms, connect: Connect, request: RawHead): Promise<Opened> {
  const { connection, facts } = connect
  facts.scheme = 'https'
  const authority = readAuthority(connection, request)
  if ('host' in authority) facts.authority = authority

  const who = identify(rooms, connection, request.fields)
  if (who.kind === 'allow') noteSession(facts, connection, who.permit)
  if (!('host' in authority)) return authority
  if (who.kind === 'deny') return who
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

function readAuthority(connection: Connection, request: RawHead): Authority | Deny {
  if (connection.start.place.kind === 'tunnel') return deny('malformed_request', 'CONNECT inside a tunnel')
  const authority = parseAuthority(request.target)
  if (authority === null) return deny('malformed_request', 'CONNECT target is not host:port')
  const problem = checkConnectFields(request.fields, authority)
  return problem === null ? authority : deny(problem.reason, problem.detail)
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

/**
 * The answer to a CONNECT that opens nothing. After a challenge the connection stays open for a moment, because clients
 * answer it there; after anything else it ends: Node's https agent forgets the socket of a refused CONNECT without closing
 * it, and its process would not end before we do.
 */
function refuse(rooms: Rooms, connect: Connect, outcome: Outcome, httpVersion: string): number | null {
  const { connection, facts, socket, early } = connect
  const reply = replyTo(outcome, facts)
  if (reply === null || socket.destroyed || !socket.writable) {
    socket.destroy()
    return null
  }
  // What was sent before we answered is no next request.
  const last = reply.status !== 407 || early.length > 0 || httpVersion !== '1.1'
  const body = Buffer.from(reply.body)
  const lines = [`HTTP/1.1 ${reply.status} ${reply.reason}`]
  for (let i = 0; i < reply.fields.length; i += 2) lines.push(`${reply.fields[i]}: ${reply.fields[i + 1]}`)
  lines.push(`Content-Length: ${body.length}`, `Connection: ${last ? 'close' : 'keep-alive'}`, '', '')
  socket.write(Buffer.concat([Buffer.from(lines.join('\r\n'), 'latin1'), body]))
  if (last) {
    connection.poisoned = true
    // Read on until the client has closed: closing with unread bytes would reset the answer away.
    socket.resume()
    socket.end()
    rooms.deadlines.lingerThenDestroy(socket, connection.start.raw)
  } else {
    connection.challenged = true
    rooms.serve(connection, Buffer.alloc(0))
  }
  return reply.status
}
