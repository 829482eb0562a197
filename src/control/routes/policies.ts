/**
 * Policies over HTTP: what is loaded, and what a draft would be. They come from files and change there (decision 19).
 *
 * Promises: a token with a ceiling meets only the policies it may use or extend.
 */

import type { FastifyInstance } from 'fastify'
import type { Static } from 'typebox'
import { explainRequest, parseQuestion } from '../../policy/explain.ts'
import { type Grant, Policy } from '../../policy/policy.ts'
import { callerOf } from '../caller.ts'
import { isVisible } from '../ceiling.ts'
import type { ControlOptions } from '../control-options.ts'
import type { ControlToken } from '../control-token.ts'
import { type Problem, problemOf, sendProblem } from '../problem.ts'
import { Explain, PolicyDraft, type PolicyView, PutPolicyQuery } from '../schemas.ts'
import { extendedBy, findPolicy, referenceOf } from '../session-plan.ts'

type Named = { Params: { name: string } }

const looks = { config: { access: ['read', 'sessions'] } } as const
const noSuch = problemOf('policy_not_found', 'none of this name is loaded that this token may use')

export function addPolicyRoutes(app: FastifyInstance, options: ControlOptions): void {
  app.get('/v1/policies', looks, async (request) => {
    const visible = [...options.policies.list()].filter(({ name }) => mayMeet(callerOf(request), name))
    return { policies: visible.map((policy) => viewPolicy(options, policy)) }
  })
  app.get<Named>('/v1/policies/:name', looks, async (request, reply) => {
    const { name } = request.params
    const policy = mayMeet(callerOf(request), name) ? (options.policies.get(name) ?? null) : null
    return policy === null ? sendProblem(reply, noSuch) : viewPolicy(options, policy)
  })
  app.put<Named & { Querystring: PutPolicyQuery; Body: PolicyDraft }>(
    '/v1/policies/:name',
    { ...looks, schema: { querystring: PutPolicyQuery, body: PolicyDraft } },
    async (request, reply) => {
      if (request.query.dryRun !== 'true') {
        reply.header('allow', 'GET')
        return sendProblem(
          reply,
          problemOf('policy_read_only', 'change the file; dryRun=true says whether it would load'),
        )
      }
      const { name } = request.params
      if (!extendedBy(request.body).every((other) => mayMeet(callerOf(request), other)))
        return sendProblem(reply, noSuch)
      if ('name' in request.body && request.body['name'] !== name) {
        const issue = { path: '/name', message: 'is not the name in the path' }
        return sendProblem(reply, problemOf('policy_invalid', 'one policy has one name', [issue]))
      }
      const policy = findPolicy(options, { inline: { ...request.body, name } })
      return policy instanceof Policy ? { ...viewPolicy(options, policy), name } : sendProblem(reply, policy)
    },
  )
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

function viewPolicy(options: Pick<ControlOptions, 'policies'>, policy: Policy): Static<typeof PolicyView> {
  const uses = options.policies.usesOf(policy)
  return {
    name: policy.name,
    version: policy.version,
    mode: policy.mode,
    rules: policy.rules.length,
    extends: [...uses.extends],
    credentials: [...uses.credentials],
    addresses: [...uses.addresses].map((block) => block.text),
  }
}

function mayMeet({ ceiling }: ControlToken, name: string): boolean {
  return ceiling === null || ceiling.policies.has(name) || ceiling.extends.has(name)
}
