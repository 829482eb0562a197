/**
 * Sessions over HTTP: make, list, show, change, end, and a new token.
 *
 * Promises: a caller with labels meets only the sessions that carry them, and others do not exist for it; a change or a
 * new token is held against the whole ceiling as a new session would be; 204 means that the last connection is cut, on every
 * replica; 202 names those that have not said so within a second (decision 43).
 */

import type { FastifyInstance, FastifyReply } from 'fastify'
import type { BookedSession } from '../../sessions/booked-session.ts'
import type { Refusal } from '../../sessions/new-session.ts'
import { callerOf } from '../caller.ts'
import { decideLabels, isVisible } from '../ceiling.ts'
import type { ControlOptions } from '../control-options.ts'
import type { ControlToken } from '../control-token.ts'
import { digestOf, parseIdempotencyKey } from '../idempotency.ts'
import { type Problem, problemOf, sendProblem } from '../problem.ts'
import { CreateSession, type CreatedSession, PatchSession, SessionQuery } from '../schemas.ts'
import { breachProblem, planSession, referenceOf, type SessionWish } from '../session-plan.ts'
import { stored } from '../stored.ts'
import { cursorText, pageAfter, parseCursor, timeText, viewSession } from '../session-view.ts'

type One = { Params: { id: string } }

const makes = { config: { access: ['sessions'] } } as const
const looks = { config: { access: ['read', 'sessions'] } } as const
/** Of a deletion too, for what is deleted is cut before the store is asked. */
const storeSays = 'try again; a deleted session is cut even so'
const noSuch = problemOf('session_not_found', 'there is none of this id that this token may see')

export function addSessionRoutes(app: FastifyInstance, options: ControlOptions): void {
  app.post<{ Body: CreateSession }>('/v1/sessions', { ...makes, schema: { body: CreateSession } }, (request, reply) =>
    createSession(options, callerOf(request), request.body, parseIdempotencyKey(request.headers), reply),
  )
  app.get<{ Querystring: SessionQuery }>(
    '/v1/sessions',
    { ...looks, schema: { querystring: SessionQuery } },
    async (request, reply) => listSessions(options, callerOf(request), request.query, reply),
  )
  app.get<One>('/v1/sessions/:id', looks, async (request, reply) => {
    const session = findSession(options, callerOf(request), request.params.id)
    return session === null ? sendProblem(reply, noSuch) : viewSession(session, options.now())
  })
  app.patch<One & { Body: PatchSession }>(
    '/v1/sessions/:id',
    { ...makes, schema: { body: PatchSession } },
    async (request, reply) => {
      const session = findSession(options, callerOf(request), request.params.id)
      if (session === null) return sendProblem(reply, noSuch)
      return patchSession(options, callerOf(request), session, request.body, reply)
    },
  )
  app.delete<One>('/v1/sessions/:id', makes, async (request, reply) => {
    const session = findSession(options, callerOf(request), request.params.id)
    if (session === null) return sendProblem(reply, noSuch)
    const ended = await stored(options.log, storeSays, () => options.sessions.revoke(session.id))
    if (!ended) return sendProblem(reply, noSuch)
    const laggards = await stored(options.log, storeSays, () => options.sessions.shared.laggards('serving'))
    return laggards.length === 0 ? reply.code(204).send() : reply.code(202).send({ laggards })
  })
  app.post<One>('/v1/sessions/:id/token', makes, async (request, reply) => {
    const session = findSession(options, callerOf(request), request.params.id)
    return session === null ? sendProblem(reply, noSuch) : rotateToken(options, callerOf(request), session, reply)
  })
  app.delete<One>('/v1/sessions/:id/token', makes, async (request, reply) => {
    const session = findSession(options, callerOf(request), request.params.id)
    if (session === null) return sendProblem(reply, noSuch)
    // Whoever comes from its sources has all that the session has, as with a new token.
    const plan = planSession(options, callerOf(request), wishOf(session, {}))
    if (plan.kind === 'refused') return sendProblem(reply, plan.problem)
    if (await stored(options.log, storeSays, () => options.sessions.dropToken(session.id)))
      return reply.code(204).send()
    const detail = 'it needs sources of its own that prove no other session, and is not of the configuration'
    return sendProblem(reply, problemOf('session_conflict', detail))
  })
}

async function createSession(
  options: ControlOptions,
  token: ControlToken,
  body: CreateSession,
  idempotencyKey: string | null,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const wish = {
    policy: referenceOf(body.policy),
    credentials: body.credentials ?? {},
    kept: { credentials: {}, secrets: null },
    mode: body.mode ?? null,
    limits: body.limits ?? null,
    sources: body.sources ?? null,
  }
  const { labels, breaches } = decideLabels(token.labels, body.labels ?? {})
  if (breaches.length > 0) return sendProblem(reply, breachProblem(breaches))
  const plan = planSession(options, token, wish)
  if (plan.kind === 'refused') return sendProblem(reply, plan.problem)
  const ttlMs = (body.ttlSeconds ?? options.defaultTtlSeconds) * 1000
  const refusal = body.refusal ?? 'auto'
  const { policy, mode, limits, sources } = wish
  const owner = token.name
  const key = idempotencyKey === null ? { idempotencyKey } : { idempotencyKey, asked: digestOf(options, owner, body) }
  const spec = { policy, mode, limits, sources, ...plan.bindings, labels, refusal, ttlMs, ...key, owner }
  const made = await stored(options.log, storeSays, () => options.sessions.create(spec))
  if (made.kind === 'refused') {
    if (made.reason === 'idempotency_busy') reply.header('retry-after', '1')
    return sendProblem(reply, problemOfRefusal(made))
  }
  await tellOthers(options)
  return reply
    .code(201)
    .header('location', `/v1/sessions/${made.session.id}`)
    .send(viewCreated(options, made.session, made.token))
}

function viewCreated(options: ControlOptions, session: BookedSession, token: string): CreatedSession {
  const { policy, expiresAt } = session.current
  return {
    id: session.id,
    token,
    proxyUrl: options.proxyUrlFor(session.id, token),
    env: { ...options.environmentFor(session, token) },
    caCertificate: options.caCertificate,
    policyVersion: policy.version,
    expiresAt: expiresAt === null ? null : timeText(expiresAt),
  }
}

function listSessions(options: ControlOptions, token: ControlToken, query: SessionQuery, reply: FastifyReply): unknown {
  const after = query.cursor === undefined ? null : parseCursor(query.cursor)
  if (query.cursor !== undefined && after === null) {
    return sendProblem(reply, problemOf('invalid_request', 'the cursor is none that this API gave out'))
  }
  const limit = Number(query.limit ?? 100)
  const isSeen = (session: BookedSession): boolean => isVisible(token.labels, session.current.labels)
  // One more than asked for says whether there is a next page.
  const page = pageAfter(options.sessions.list(), isSeen, after, limit + 1)
  const shown = page.slice(0, limit)
  const last = page.length > limit ? shown.at(-1) : undefined
  return {
    sessions: shown.map((session) => viewSession(session, options.now())),
    next: last === undefined ? null : cursorText({ createdAt: last.current.createdAt, id: last.id }),
  }
}

async function patchSession(
  options: ControlOptions,
  token: ControlToken,
  session: BookedSession,
  body: PatchSession,
  reply: FastifyReply,
): Promise<unknown> {
  const changed = wishOf(session, body)
  const plan = planSession(options, token, changed)
  if (plan.kind === 'refused') return sendProblem(reply, plan.problem)
  const ttl = body.ttlSeconds === undefined ? {} : { ttlMs: body.ttlSeconds * 1000 }
  // All that was judged together is written together: of two changes at once one is lost, and no mixture comes of them.
  const { policy, mode, limits } = changed
  const changes = { policy, mode, limits, ...plan.bindings, ...ttl }
  const patched = await stored(options.log, storeSays, () => options.sessions.patch(session.id, changes))
  if (patched === null) return sendProblem(reply, noSuch)
  if ('kind' in patched) return sendProblem(reply, problemOfRefusal(patched))
  await tellOthers(options)
  return viewSession(patched, options.now())
}

async function rotateToken(
  options: ControlOptions,
  token: ControlToken,
  session: BookedSession,
  reply: FastifyReply,
): Promise<FastifyReply> {
  // Whoever holds the new token has all that the session has.
  const plan = planSession(options, token, wishOf(session, {}))
  if (plan.kind === 'refused') return sendProblem(reply, plan.problem)
  const fresh = await stored(options.log, storeSays, () => options.sessions.rotate(session.id))
  if (fresh === null) {
    return sendProblem(reply, problemOf('session_conflict', 'static and expired sessions get no new token'))
  }
  await tellOthers(options)
  const proxyUrl = options.proxyUrlFor(session.id, fresh)
  return reply.code(201).send({ token: fresh, proxyUrl, env: options.environmentFor(session, fresh) })
}

/** What the session would be after the change: of its own, whatever the change does not name. */
function wishOf(session: BookedSession, change: PatchSession): SessionWish {
  const { policy, credentials, secrets = null, mode, limits, sources } = session.stored
  return {
    policy: change.policy === undefined ? policy : referenceOf(change.policy),
    credentials: change.credentials ?? {},
    kept: { credentials, secrets },
    mode: change.mode === undefined ? mode : change.mode,
    limits: change.limits === undefined ? (limits ?? null) : change.limits,
    sources,
  }
}

function findSession(options: ControlOptions, token: ControlToken, id: string): BookedSession | null {
  const session = options.sessions.get(id)
  return session !== undefined && isVisible(token.labels, session.current.labels) ? session : null
}

function problemOfRefusal({ reason, detail }: Refusal): Problem {
  switch (reason) {
    case 'idempotency_busy':
      return problemOf('idempotency_busy', 'wait for its answer, or ask again in a second')
    case 'idempotency_conflict':
      return problemOf('idempotency_conflict', 'its session is in use, was changed or is over; take a new key')
    case 'idempotency_mismatch':
      return problemOf('idempotency_mismatch', 'what this key made was asked for in other words; take a new key')
    case 'policy_unresolved':
      return problemOf('policy_not_found', `${detail} does not resolve at present`)
    case 'id_taken':
    case 'sources_overlap':
      return problemOf('session_conflict', 'another session has this id or these sources')
    case 'sessions_full':
      return problemOf('unavailable', 'as many sessions are open as may be')
    case 'static_session':
      return problemOf('session_conflict', 'a session of the configuration is changed there')
  }
}

/** Whoever is answered may go to any replica next. One that does not answer now hears of it when it does again. */
async function tellOthers(options: ControlOptions): Promise<void> {
  try {
    await options.sessions.shared.laggards('answering')
  } catch (error) {
    options.log('control: whether other replicas know of a change is not known', error)
  }
}
