/** A decision: a permit, or a refusal with its reason. There is no third value and none that means "allowed" by accident. */

import type { DenyReason } from './deny-reason.ts'

export type Allow<Permit> = { readonly kind: 'allow'; readonly permit: Permit }

/** `detail` is for the operator's record only; the agent is told the reason's own sentence. */
export type Deny = {
  readonly kind: 'deny'
  readonly reason: DenyReason
  readonly detail: string
  readonly rule: string | null
  /** When trying again may help, where anybody knows. */
  readonly retryAfterSeconds?: number
}

export type Decision<Permit> = Allow<Permit> | Deny

export function allow<Permit>(permit: Permit): Allow<Permit> {
  return { kind: 'allow', permit }
}

export function deny(reason: DenyReason, detail: string, rule: string | null = null): Deny {
  return { kind: 'deny', reason, detail, rule }
}

/** For the end of an exhaustive `switch`: what reaches it is a bug, and a bug refuses. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`)
}
