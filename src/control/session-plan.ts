/**
 * From what a call asks for to what the session would be: the policy found or compiled, its credential slots filled, and
 * all of it held against the ceiling of the caller. Pure but for the lookups it is given.
 *
 * Promises: the same judgement for a new session, a changed one and a new token of an old one, so a narrow token
 * cannot win through one call what another refuses it; every unknown name is a problem.
 */

import { type Cidr, parseCidr } from '../net/ip.ts'
import type { Issue } from '../policy/issue.ts'
import { type Mode, Policy } from '../policy/policy.ts'
import type { PolicyReference, SessionLimits } from '../sessions/session-store.ts'
import { type Breach, decideCeiling } from './ceiling.ts'
import { type Bindings, planCredentials } from './credential-plan.ts'
import type { ControlOptions } from './control-options.ts'
import type { ControlToken } from './control-token.ts'
import { type Problem, type ProblemIssue, problemOf } from './problem.ts'
import type { CredentialWish } from './schemas.ts'

export type SessionWish = {
  readonly policy: PolicyReference
  readonly credentials: CredentialWish
  /** What it had before. */
  readonly kept: Bindings
  /** Null: as the policy says. */
  readonly mode: Mode | null
  readonly limits: SessionLimits | null
  readonly sources: readonly string[] | null
}

export type SessionPlan = {
  readonly kind: 'plan'
  readonly policy: Policy
  /** `credentials` has every credential name of the policy that a configured credential fills. */
  readonly bindings: Bindings
}

export type Refused = { readonly kind: 'refused'; readonly problem: Problem }

export function referenceOf(written: object | string): PolicyReference {
  return typeof written === 'string' ? { name: written } : { inline: written }
}

export function planSession(
  options: Pick<ControlOptions, 'credentials' | 'policies'>,
  token: ControlToken,
  wish: SessionWish,
): Refused | SessionPlan {
  const policy = findPolicy(options, wish.policy)
  if (!(policy instanceof Policy)) return refused(policy)
  const limits = findPolicy(options, { inline: { limits: wish.limits ?? {} } })
  if (!(limits instanceof Policy)) return refused(limits)
  const sources = parseSources(wish.sources ?? [])
  if (!Array.isArray(sources)) return refused(sources)
  const uses = options.policies.usesOf(policy)
  const slots = new Set(uses.credentials)
  const bindings = planCredentials(options.credentials, token.name, slots, wish.credentials, wish.kept)
  if ('code' in bindings) return refused(bindings)

  const breaches = decideCeiling(token.ceiling, {
    policy: 'name' in wish.policy ? wish.policy.name : null,
    extends: 'inline' in wish.policy ? extendedBy(wish.policy.inline) : [],
    credentials: Object.values(bindings.credentials),
    addresses: [...uses.addresses],
    sources,
    mode: wish.mode ?? policy.mode,
  })
  return breaches.length > 0 ? refused(breachProblem(breaches)) : { kind: 'plan', policy, bindings }
}

export function findPolicy(options: Pick<ControlOptions, 'policies'>, reference: PolicyReference): Policy | Problem {
  if ('name' in reference) {
    return options.policies.get(reference.name) ?? problemOf('policy_not_found', 'no policy of that name is loaded')
  }
  const compiled = options.policies.compileInline(reference.inline)
  if (compiled instanceof Policy) return compiled
  return policyProblem(compiled)
}

export function policyProblem(issues: readonly Issue[]): Problem {
  return problemOf(
    'policy_invalid',
    'it does not load; every problem is listed',
    issues.map(({ path, message, fix }): ProblemIssue => ({ path, message, fix })),
  )
}

/** What an inline policy extends itself; what those extend in turn was written by the operator. */
export function extendedBy(inline: unknown): string[] {
  if (typeof inline !== 'object' || inline === null || !('extends' in inline) || !Array.isArray(inline.extends))
    return []
  return inline.extends.map(String)
}

export function breachProblem(breaches: readonly Breach[]): Problem {
  return problemOf(
    'ceiling_exceeded',
    'ask the operator to widen the ceiling of this token, or ask for less',
    breaches.map(({ of, asked }) => ({ path: `/${of}`, message: `${JSON.stringify(asked)} is not allowed` })),
  )
}

function parseSources(written: readonly string[]): Cidr[] | Problem {
  const issues: ProblemIssue[] = []
  const blocks: Cidr[] = []
  for (const [index, text] of written.entries()) {
    const block = parseCidr(text)
    if (block !== null) blocks.push(block)
    else issues.push({ path: `/sources/${index}`, message: 'is not a block of addresses', fix: 'write 10.1.2.0/24' })
  }
  return issues.length === 0 ? blocks : problemOf('invalid_request', 'sources are blocks of addresses', issues)
}

function refused(problem: Problem): Refused {
  return { kind: 'refused', problem }
}
