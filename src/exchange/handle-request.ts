/** One request, door to door. Whatever happens inside, it is answered once and recorded once. */

import { setTimeout as delay } from 'node:timers/promises'
import { FieldMemo } from '../net/field-memo.ts'
import { fieldValues } from '../net/fields.ts'
import type { RequestHead } from '../net/request-head.ts'
import { decideHost } from '../policy/decide-host.ts'
import { decideRequest } from '../policy/decide-request.ts'
import { allow, type Decision, type Deny, deny } from '../policy/decision.ts'
import type { LiveSession } from '../sessions/session.ts'
import type { Connection, Lane } from './connection.ts'
import { deliver } from './deliver.ts'
import { describeEgress, isEgressLocal } from './egress-local.ts'
import { Exchange } from './exchange.ts'
import { Facts } from './facts.ts'
import type { Incoming } from './incoming.ts'
import { interrupted, type Outcome } from './outcome.ts'
import type { Rooms } from './rooms.ts'
import type { Soon } from './soon.ts'

export async function handleRequest(
  rooms: Rooms,
  connection: Connection,
  incoming: Incoming,
  lane: Lane = connection,
): Promise<void> {
  const exchange = new Exchange(rooms, connection, incoming, beginFacts(rooms, connection, 'request'))
  lane.begin(exchange)
  rooms.streams.open++
  learnTrust(rooms, connection)
  let outcome: Outcome
  try {
    const soon = walk(rooms, exchange)
    outcome = soon instanceof Promise ? await soon : soon
  } catch (error) {
    outcome = { kind: 'fault', error }
  }
  outcome = exchange.interruption ?? outcome
  // What a cut does to both sides looks like a client that left, or an origin that failed.
  if (connection.cutWhy !== null && (outcome.kind === 'abandoned' || outcome.kind === 'failed'))
    outcome = interrupted(connection.cutWhy)
  if (outcome.kind === 'deny') await slowLoop(rooms, exchange.facts, outcome)
  let status: number | null = null
  try {
    status = exchange.reply(outcome)
  } catch (error) {
    outcome = { kind: 'fault', error }
    connection.cut()
  } finally {
    finishFacts(rooms, exchange.facts, outcome, status)
    rooms.streams.open--
    lane.over()
    exchange.release()
  }
}

/** A session that repeats a refused request gets each answer a little later. */
export async function slowLoop(rooms: Rooms, facts: Facts, { reason }: Deny): Promise<void> {
  if (facts.session === null) return
  const { authority, method, path } = facts
  const waitMs = rooms.loopDelayMs({
    session: facts.session.id,
    reason,
    host: authority?.host.name ?? null,
    port: authority?.port ?? null,
    method,
    path,
  })
  if (waitMs > 0) await delay(waitMs)
}

export function beginFacts(rooms: Rooms, connection: Connection, kind: Facts['kind']): Facts {
  const { listener, client } = connection.start
  return new Facts({
    client,
    decisionId: rooms.nextDecisionId(),
    kind,
    listener,
    startedAt: performance.now(),
    wallStart: rooms.now(),
  })
}

export function finishFacts(rooms: Rooms, facts: Facts, outcome: Outcome, status: number | null): void {
  rooms.sink.append(facts.finalRecord(outcome, status, performance.now()))
  const { session, authority, method, path, decisionId } = facts
  if (session === null) return
  const { counters } = session
  if (outcome.kind === 'deny') {
    counters.denied++
    const { reason } = outcome
    rooms.denials.note(session, {
      time: new Date(facts.wallStart).toISOString(),
      decisionId,
      host: authority?.host.name ?? null,
      port: authority?.port ?? null,
      method,
      path,
      reason,
    })
  } else counters.allowed++
  counters.bytesUp += facts.bytesUp
  counters.bytesDown += facts.bytesDown
}

function walk(rooms: Rooms, exchange: Exchange): Soon<Outcome> {
  const { connection, facts } = exchange
  const { head, raw } = exchange.incoming
  const { place, refusal } = connection.start
  if ('kind' in head) {
    facts.authority = place.kind === 'tunnel' ? place.authority : null
  } else {
    facts.authority = head.authority
    facts.scheme = head.scheme
    facts.method = head.method
    facts.path = head.path
  }

  const who = identify(rooms, connection, raw.fields)
  const carried = who.kind === 'allow' && noteSession(facts, connection, who.permit)
  if ('kind' in head) return deny(head.reason, head.detail)
  if (who.kind === 'deny') return who
  if (!carried || !exchange.enter(who.permit)) return tooManyConnections(who.permit)
  if (refusal !== null) return refusal
  if (isEgressLocal(head.authority))
    return exchange.say(describeEgress(head, who.permit.current, rooms.denials.of(who.permit)))
  if (!rooms.sink.accepting()) return deny('decision_unavailable', 'the record cannot be written')

  // One snapshot for the whole exchange: a reload in the middle changes nothing that was decided.
  const session = who.permit.current
  const where = decideHost(session, head.authority)
  if (where.kind === 'deny') return where
  facts.wouldDeny = where.permit.wouldDeny

  const what = decideRequest(session, where.permit, head)
  if (what.kind === 'deny') return what
  facts.rule = what.permit.rule
  facts.wouldDeny = what.permit.wouldDeny
  const budget = who.permit.budget.admit(head.authority.host.name, facts.startedAt, announced(head))
  if ('kind' in budget) return budget
  exchange.budget = budget
  facts.decidedAt = performance.now()

  return deliver(rooms, exchange, who.permit, session, what.permit)
}

const proxyCredentials = new FieldMemo((fields) => fieldValues(fields, 'proxy-authorization'))

/** Inside a tunnel the session is the one that opened it; a token sent in there selects nothing. */
export function identify(rooms: Rooms, connection: Connection, fields: readonly string[]): Decision<LiveSession> {
  const { bound, client, listenerSession, peer } = connection.start
  if (bound === null) {
    const authorization = proxyCredentials.of(fields)
    const known = connection.proven(authorization, rooms.now())
    if (known !== null) return allow(known)
    const who = rooms.identify({ authorization, listenerSession, peer, source: client })
    if (who.kind === 'allow') connection.prove(authorization, who.permit)
    return who
  }
  if (bound.ended) return deny('session_unknown', 'revoked')
  const { expiresAt } = bound.current
  if (expiresAt !== null && expiresAt <= rooms.now()) return deny('session_expired', bound.id)
  return { kind: 'allow', permit: bound }
}

/** A decrypted byte proves that the client took our leaf. */
function learnTrust(rooms: Rooms, connection: Connection): void {
  const { bound, place, userAgent } = connection.start
  if (bound === null || place.kind !== 'tunnel' || place.scheme !== 'https' || connection.requests > 1) return
  rooms.trust.learn(bound.id, userAgent, 'trusts')
}

/** False: the session holds as many connections as it may, and this one ends with its answer. */
export function noteSession(facts: Facts, connection: Connection, session: LiveSession): boolean {
  facts.session = session
  facts.policy = session.current.policy
  return connection.carry(session)
}

export function tooManyConnections({ budget }: LiveSession): Deny {
  return deny('connection_limit', `${budget.connections} connections, ${budget.exchanges} requests under way`)
}

/** Bytes of the body, where the head says how many. */
function announced({ body }: RequestHead): number {
  return body.kind === 'length' ? body.length : 0
}
