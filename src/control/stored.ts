/** Deeds that end in a store: what it did not take has not happened, and the caller may try again. */

import type { ControlOptions } from './control-options.ts'
import { problemOf } from './problem.ts'
import { ProblemError } from './problem-of-error.ts'

export async function stored<Result>(
  log: ControlOptions['log'],
  detail: string,
  deed: () => Promise<Result>,
): Promise<Result> {
  try {
    return await deed()
  } catch (error) {
    log('control: the store failed', error)
    throw new ProblemError(problemOf('unavailable', detail))
  }
}
