/**
 * Changes of policies over the API: who may make them, of which, and from which version.
 *
 * Promises: a policy decides what every session made of it may do, so only a token that may do everything changes one; the
 * version a call names is compared when its turn has come, not before.
 */

import type { IncomingHttpHeaders } from 'node:http'
import { Policy } from '../policy/policy.ts'
import { nameText } from '../policy/policy-schema.ts'
import type { Issue } from '../policy/issue.ts'
import { hasLabels } from './auth.ts'
import type { ControlOptions } from './control-options.ts'
import type { ControlToken } from './control-token.ts'
import { type Problem, problemOf } from './problem.ts'
import { ProblemError } from './problem-of-error.ts'
import type { PolicyDraft } from './schemas.ts'
import { findPolicy, policyProblem } from './session-plan.ts'
import { stored } from './stored.ts'

/** Each is compiled at every reload. */
const policiesMax = 1000
const isName = new RegExp(nameText)

export function refuseChange(options: ControlOptions, token: ControlToken, name: string): Problem | null {
  if (!token.scopes.has('admin')) return problemOf('scope_missing', 'to change a policy needs the scope admin')
  if (token.ceiling !== null || hasLabels(token))
    return problemOf('ceiling_exceeded', 'a token with a ceiling or labels changes no policies')
  const known = options.policies.get(name) !== null
  if (known && options.shelf.documentOf(name) === null)
    return problemOf('policy_read_only', 'change the file; dryRun=true says whether it would load')
  if (!isName.test(name)) return problemOf('invalid_request', `the name of a policy fits ${nameText}`)
  if (known || options.shelf.count < policiesMax) return null
  return problemOf('policy_conflict', `${policiesMax} policies are made over the API; take some away first`)
}

/** The policy as it would be, or what is wrong with it. */
export function findDraft(
  options: ControlOptions,
  token: ControlToken,
  name: string,
  body: PolicyDraft,
): Policy | Problem {
  if ('name' in body && body['name'] !== name) {
    const issue = { path: '/name', message: 'is not the name in the path' }
    return problemOf('policy_invalid', 'one policy has one name', [issue])
  }
  const draft = findPolicy(options, { inline: { ...body, name } })
  if (!(draft instanceof Policy)) return draft
  // What it breaks elsewhere tells of other policies, which a token with a ceiling may not know of.
  const isOfFile = options.policies.get(name) !== null && options.shelf.documentOf(name) === null
  const issues = isOfFile || token.ceiling !== null ? [] : options.shelf.check(name, body)
  return issues.length === 0 ? draft : policyProblem(issues)
}

/** `none`: there must be no such policy (`If-None-Match: *`). Null: whatever there is. */
type Expected = number | 'none' | null

export function parseExpected(headers: IncomingHttpHeaders): Expected {
  const { 'if-match': match, 'if-none-match': noneMatch } = headers
  if (match === undefined && noneMatch === undefined) return null
  if (match === undefined && noneMatch === '*') return 'none'
  const version = noneMatch === undefined ? /^"(\d{1,9})"$/.exec(match ?? '')?.[1] : undefined
  if (version !== undefined) return Number(version)
  throw new ProblemError(problemOf('invalid_request', 'write If-Match: "3" or If-None-Match: *'))
}

export function isAsExpected(policy: Policy | null, expected: Expected): boolean {
  if (expected === null) return true
  return expected === 'none' ? policy === null : policy?.version === expected
}

/** `deed` gives null where the version is another. */
export async function changePolicy(
  { log }: Pick<ControlOptions, 'log'>,
  deed: () => Promise<readonly Issue[] | null>,
): Promise<Problem | null> {
  const issues = await stored(log, 'try again', deed)
  if (issues === null) return problemOf('policy_version', 'read it again, and change what is there now')
  return issues.length === 0 ? null : policyProblem(issues)
}
