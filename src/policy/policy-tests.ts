/**
 * The expectations of a policy file against the policy itself. Pure.
 *
 * Promises: they are judged as enforced whatever the mode, by the same decisions as requests.
 */

import type { DenyReason } from './deny-reason.ts'
import { explainRequest } from './explain.ts'
import type { Expectation } from './parse-policy.ts'
import type { Policy } from './policy.ts'

/** One line of the table. */
export type TestRow = {
  /** `POST https://host/path`, as written. */
  readonly text: string
  readonly expected: 'allow' | 'deny'
  readonly because: DenyReason | null
  readonly verdict: 'allow' | 'deny'
  readonly reason: DenyReason | null
  readonly rule: string | null
  readonly passed: boolean
}

export function runPolicyTests(policy: Policy, tests: readonly Expectation[]): TestRow[] {
  const grant = { policy, mode: 'enforce', placeholders: new Map<string, string>() } as const
  return tests.map(({ text, question, verdict: expected, because }) => {
    const { verdict, reason, rule } = explainRequest(grant, question)
    const got = verdict === 'allow' ? 'allow' : 'deny'
    const passed = got === expected && (because === null || because === reason)
    return { text, expected, because, verdict: got, reason, rule, passed }
  })
}
