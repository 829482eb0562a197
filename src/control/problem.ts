/**
 * Every way in which the control API says no, in one table (RFC 9457). The keys are public and stable: a client
 * switches on `code` or `type`, never on the words.
 *
 * Promises: a problem holds no stack, no secret and nothing of the gateway's insides; what went wrong inside is logged, not told.
 */

import type { FastifyReply } from 'fastify'

type Row = { readonly status: number; readonly title: string }

export const problems = {
  ceiling_exceeded: { status: 403, title: 'The ceiling of this token does not allow it' },
  credential_unknown: { status: 422, title: 'No such credential is configured' },
  fault: { status: 500, title: 'The gateway failed on this call; its log says why' },
  head_too_large: { status: 431, title: 'The head of the request is too large' },
  host_not_served: { status: 421, title: 'The control API is not served under this host name' },
  idempotency_busy: { status: 409, title: 'A call with this idempotency key is under way' },
  idempotency_conflict: { status: 409, title: 'This idempotency key has already been used' },
  idempotency_mismatch: { status: 422, title: 'This idempotency key was used for another request' },
  invalid_request: { status: 400, title: 'The request is not what this call takes' },
  malformed_json: { status: 400, title: 'The body is not plain JSON' },
  malformed_request: { status: 400, title: 'The request is not well-formed' },
  method_not_allowed: { status: 405, title: 'This path does not take this method' },
  not_found: { status: 404, title: 'There is nothing at this path' },
  not_ready: { status: 503, title: 'The gateway is not enforcing' },
  origin_refused: { status: 403, title: 'Calls from web pages of other sites are refused' },
  payload_too_large: { status: 413, title: 'The body is too large' },
  policy_conflict: { status: 409, title: 'The policy cannot be made, changed or taken away now' },
  policy_invalid: { status: 422, title: 'The policy has problems' },
  policy_not_found: { status: 404, title: 'There is no such policy' },
  policy_read_only: { status: 405, title: 'A policy from a file is changed in its file' },
  policy_version: { status: 412, title: 'The policy has another version than the call says' },
  request_timeout: { status: 408, title: 'The request did not arrive in time' },
  scope_missing: { status: 403, title: 'The token lacks the scope of this call' },
  secret_invalid: { status: 422, title: 'A value given for a credential cannot be one' },
  session_conflict: { status: 409, title: 'The session cannot be made or changed this way' },
  session_not_found: { status: 404, title: 'There is no such session' },
  too_many_failures: { status: 429, title: 'Too many control tokens from this address were wrong' },
  too_many_streams: { status: 503, title: 'As many streams are open as may be' },
  unauthenticated: { status: 401, title: 'A control token is needed' },
  unavailable: { status: 503, title: 'The store cannot be reached; nothing was changed' },
  unsupported_media_type: { status: 415, title: 'The body must be application/json' },
} as const satisfies Record<string, Row>

export type ProblemCode = keyof typeof problems

/** One thing that is wrong, and where: a JSON pointer into what was sent. `fix` is there when we know one. */
export type ProblemIssue = { readonly path: string; readonly message: string; readonly fix?: string }

export type Problem = {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: ProblemCode
  readonly detail: string
  readonly issues?: readonly ProblemIssue[]
}

export function problemOf(code: ProblemCode, detail: string, issues: readonly ProblemIssue[] = []): Problem {
  const { status, title } = problems[code]
  const told = { type: `urn:sallyport:problem:${code}`, title, status, code, detail }
  return issues.length === 0 ? told : { ...told, issues }
}

export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  return reply.code(problem.status).type('application/problem+json').send(JSON.stringify(problem))
}
