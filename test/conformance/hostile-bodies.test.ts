/** Invariants: what a body carries is judged before any of it leaves, on every path; the rules' own fields always go out. */

import { bodies, bodiesWorld } from './hostile/bodies.ts'
import { runHostile } from './hostile/runner.ts'

runHostile('bodies', { world: bodiesWorld, cases: bodies })
