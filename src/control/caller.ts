/** What each route says of its callers, and what the gate of the server found out about the one at hand. */

import assert from 'node:assert/strict'
import type { FastifyRequest } from 'fastify'
import type { ControlToken, Scope } from './control-token.ts'

/** `open`: no token is asked for. Otherwise one of the scopes, or `admin`, which is all of them. */
type Access = 'open' | readonly Scope[]

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
  }
  interface FastifyRequest {
    caller: ControlToken | null
  }
}

/** Routes that are not open never run without one. */
export function callerOf(request: FastifyRequest): ControlToken {
  assert(request.caller !== null)
  return request.caller
}
