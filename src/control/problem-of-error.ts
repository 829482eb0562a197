/** Fastify speaks in thrown errors; here they become problems. What is not the client's is a fault, logged and not told. */

import type { FastifyError } from 'fastify'
import type { ControlOptions } from './control-options.ts'
import { type Problem, type ProblemCode, type ProblemIssue, problemOf } from './problem.ts'

/** Carries a problem through a callback of Fastify. */
export class ProblemError extends Error {
  readonly problem: Problem
  constructor(problem: Problem) {
    super(problem.code)
    this.problem = problem
  }
}

const byCode: Readonly<Record<string, { readonly code: ProblemCode; readonly detail: string }>> = {
  FST_ERR_BAD_URL: { code: 'malformed_request', detail: 'the path does not decode' },
  FST_ERR_CTP_BODY_TOO_LARGE: { code: 'payload_too_large', detail: 'a body may have 1 MiB' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: { code: 'malformed_request', detail: 'the body is not as long as it says' },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: { code: 'unsupported_media_type', detail: 'send Content-Type: application/json' },
  FST_ERR_MAX_PARAM_LENGTH: { code: 'not_found', detail: 'no name is that long' },
}

export function problemOfError(error: FastifyError, log: ControlOptions['log']): Problem {
  if (error instanceof ProblemError) return error.problem
  if (error.validation !== undefined) {
    return problemOf('invalid_request', `the ${error.validationContext ?? 'request'} does not fit`, issuesOf(error))
  }
  const known = byCode[error.code]
  if (known !== undefined) return problemOf(known.code, known.detail)
  const status = error.statusCode ?? 500
  if (status >= 400 && status < 500) return problemOf('malformed_request', 'the request cannot be read')
  log('control: a call failed', error)
  return problemOf('fault', 'try again later, and tell the operator if it stays')
}

function issuesOf({ validation = [] }: FastifyError): ProblemIssue[] {
  return validation.map(({ instancePath, message = 'is not valid', params }) => {
    const name: unknown = params['additionalProperty']
    if (typeof name === 'string') return { path: `${instancePath}/${name}`, message: 'is not known here' }
    return { path: instancePath, message }
  })
}
