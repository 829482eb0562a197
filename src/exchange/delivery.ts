/** What an exchange does while it is under way, as it sees it. */

import type { InterruptReason } from './outcome.ts'

/** What an exchange waits for: a request on its way, or what became of its connections since. */
export type Delivery = {
  readonly abandon: () => void
  /** Once a sweep, with `performance.now()`. */
  readonly check: (now: number) => void
  /** The client's connection is about to be reset: as soon as this is kept, and no later than in a moment. Null: now. */
  readonly cut?: (why: InterruptReason | null) => Promise<void> | null
}
