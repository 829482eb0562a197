/**
 * Policies over HTTP: list, show, try out, explain; make, change and take away those that are of the API. Those of files
 * change in their files (decision 19).
 *
 * Promises: a token with a ceiling meets only the policies it may use or extend, and changes none; of two changes that
 * name the same version one is made.
 */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { explainRequest, parseQuestion } from '../../policy/explain.ts'
import { type Grant, Policy } from '../../policy/policy.ts'
import { callerOf } from '../caller.ts'
import { isVisible } from '../ceiling.ts'
import type { ControlOptions } from '../control-options.ts'
import type { ControlToken } from '../control-token.ts'
import { changePolicy, findDraft, isAsExpected, parseExpected, refuseChange } from '../policy-change.ts'
import { mayMeet, sessionCounts, viewPolicy } from '../policy-view.ts'
import { type Problem, problemOf, sendProblem } from '../problem.ts'
import { Explain, PolicyDraft, PutPolicyQuery } from '../schemas.ts'
import { extendedBy, findPolicy, referenceOf } from '../session-plan.ts'

type Named = { Params: { name: string } }
type Put = Named & { Querystring: PutPolicyQuery; Body: PolicyDraft }

const looks = { config: { access: ['read', 'sessions'] } } as const
const onlyAdmin = { config: { access: [] } } as const
const noSuch = problemOf('policy_not_found', 'none of this name is loaded that this token may use')

export function addPolicyRoutes(app: FastifyInstance, options: ControlOptions): void {
  app.get('/v1/policies', looks, async (request) => {
    const token = callerOf(request)
    const counts = sessionCounts(options, token)
    const visible = [...options.policies.list()].filter(({ name }) => mayMeet(token, name))
    return { policies: visible.map((policy) => viewPolicy(options, policy, counts)) }
  })
  app.get<Named>('/v1/policies/:name', looks, async (request, reply) => {
    const { name } = request.params
    const token = callerOf(request)
    const policy = mayMeet(token, name) ? (options.policies.get(name) ?? null) : null
    if (policy === null) return sendProblem(reply, noSuch)
    reply.header('etag', `"${policy.version}"`)
    return {
      ...viewPolicy(options, policy, sessionCounts(options, token)),
      document: options.shelf.documentOf(name),
    }
  })
  app.put<Put>(
    '/v1/policies/:name',
    { ...looks, schema: { querystring: PutPolicyQuery, body: PolicyDraft } },
    (request, reply) => putPolicy(options, request, reply),
  )
  app.delete<Named>('/v1/policies/:name', onlyAdmin, async (request, reply) => {
    const { name } = request.params
    const refused = refuseChange(options, callerOf(request), name)
    if (refused !== null) return sendProblem(reply, refused)
    if (options.shelf.documentOf(name) === null) return sendProblem(reply, noSuch)
    const expected = parseExpected(request.headers)
    const problem = await changePolicy(options, () =>
      options.shelf.remove(name, () => isAsExpected(options.policies.get(name), expected)),
    )
    if (problem === null) return reply.code(204).send()
    const { issues = [] } = problem
    return sendProblem(
      reply,
      problem.code === 'policy_invalid' ? problemOf('policy_conflict', 'it is used', issues) : problem,
    )
  })
  app.post<{ Body: Explain }>(
    '/v1/policies/explain',
    { ...looks, schema: { body: Explain } },
    async (request, reply) => {
      const { method, url } = request.body
      const grant = grantAsked(options, callerOf(request), request.body)
      if (!('policy' in grant)) return sendProblem(reply, grant)
      const question = parseQuestion(method === undefined ? url : `${method} ${url}`)
      if (typeof question !== 'string') return explainRequest(grant, question)
      const issue = { path: '/url', message: question }
      return sendProblem(reply, problemOf('invalid_request', 'a method and a URL are needed', [issue]))
    },
  )
}

async function putPolicy(options: ControlOptions, request: FastifyRequest<Put>, reply: FastifyReply): Promise<unknown> {
  const token = callerOf(request)
  const { name } = request.params
  const { body } = request
  const isDry = request.query.dryRun === 'true'
  if (!isDry) {
    const refused = refuseChange(options, token, name)
    if (refused?.code === 'policy_read_only') reply.header('allow', 'GET')
    if (refused !== null) return sendProblem(reply, refused)
  }
  // Whether there is one of that name, nobody is told who may not meet it.
  if (![name, ...extendedBy(body)].every((one) => mayMeet(token, one))) return sendProblem(reply, noSuch)
  const draft = findDraft(options, token, name, body)
  if (!(draft instanceof Policy)) return sendProblem(reply, draft)
  const before = options.policies.get(name)
  const counts = sessionCounts(options, token)
  if (isDry) return { ...viewPolicy(options, draft, counts, name), version: (before?.version ?? 0) + 1 }
  const expected = parseExpected(request.headers)
  const problem = await changePolicy(options, () =>
    options.shelf.put(name, body, () => isAsExpected(options.policies.get(name), expected)),
  )
  if (problem !== null) return sendProblem(reply, problem)
  const policy = options.policies.get(name)
  if (policy === null) return sendProblem(reply, noSuch)
  reply.header('etag', `"${policy.version}"`)
  return reply.code(before === null ? 201 : 200).send(viewPolicy(options, policy, counts))
}

/** The session as it is, or the policy as a session without changes of its own would have it. */
function grantAsked(options: ControlOptions, token: ControlToken, body: Explain): Grant | Problem {
  if ((body.policy === undefined) === (body.session === undefined)) {
    return problemOf('invalid_request', 'say either policy or session')
  }
  if (body.session !== undefined) {
    const session = options.sessions.get(body.session)
    const visible = session !== undefined && isVisible(token.labels, session.current.labels)
    return visible
      ? session.current
      : problemOf('session_not_found', 'there is none of this id that this token may see')
  }
  const reference = referenceOf(body.policy ?? '')
  // What an explanation tells of a policy is what the policy says.
  const named = 'name' in reference ? [reference.name] : extendedBy(reference.inline)
  if (!named.every((name) => mayMeet(token, name))) return noSuch
  const policy = findPolicy(options, reference)
  return policy instanceof Policy ? { policy, mode: policy.mode, placeholders: new Map() } : policy
}
