/** Invariant: one request in, at most one well-framed request out; what is ambiguous is refused, never repaired. */

import { framing } from './hostile/framing.ts'
import { runHostile } from './hostile/runner.ts'

runHostile('framing', { cases: framing })
