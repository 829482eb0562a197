/** Invariants: deny by default; every request is judged; the string matched is the string sent. */

import { audited, nothingAllowed, policy, policyRules } from './hostile/policy.ts'
import { runHostile } from './hostile/runner.ts'

const dns = { '*.test': { a: ['127.0.0.1'] } }

runHostile('policy', { world: { rules: policyRules, dns }, cases: policy })

runHostile('a policy without rules', {
  world: { rules: () => [], dns },
  cases: nothingAllowed,
  honest: 'deny host_not_allowed',
})

runHostile('audit mode', { world: { rules: policyRules, dns, mode: 'audit' }, cases: audited })
