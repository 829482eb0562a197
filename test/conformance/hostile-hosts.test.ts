/** Invariants: one canonical host for everything; no question to DNS and no connection for what is denied by name. */

import { belowGood, hostSpelling } from './hostile/host-spelling.ts'
import { goodRule, runHostile } from './hostile/runner.ts'

runHostile('spellings of hosts, good.test allowed', { cases: hostSpelling })

runHostile('spellings of hosts, *.good.test allowed too', {
  world: { rules: (ports) => [...goodRule('good.test')(ports), ...goodRule('*.good.test')(ports)] },
  cases: belowGood,
})
