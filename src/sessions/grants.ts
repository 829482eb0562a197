/**
 * What each stored session may do now, as the policies have it.
 *
 * Promises: a policy that cannot be read grants nothing; nor does what is known of a session of a store that was silent for
 * longer than its grace.
 */

import type { Grant } from '../policy/policy.ts'
import type { GrantFor } from './session-book-options.ts'
import type { SharedStore, StoredSession } from './session-store.ts'

export class Grants {
  /** Replaced when the policies are. */
  grantFor: GrantFor
  readonly #shared: SharedStore
  readonly #log: (message: string) => void

  constructor(grantFor: GrantFor, shared: SharedStore, log: (message: string) => void) {
    this.grantFor = grantFor
    this.#shared = shared
    this.#log = log
  }

  /** Null: its policy does not resolve. */
  of(stored: StoredSession): Grant | null {
    try {
      return this.grantFor(stored)
    } catch (error) {
      this.#log(
        `session ${stored.id}: its policy cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      )
      return null
    }
  }

  /** None where what is known of the session is too old to go by. */
  standing(stored: StoredSession): Grant | null {
    return stored.expiresAt !== null && this.#shared.state() === 'lost' ? null : this.of(stored)
  }
}
