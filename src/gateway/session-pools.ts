/** The connections to origins of each session: made when first needed, gone when the session ends. */

import type { LiveSession } from '../sessions/session.ts'
import { createUpstreamContext, type PoolOptions, SessionPools } from '../upstream/origin-pools.ts'

export function createPoolsOf(options: PoolOptions): (session: LiveSession) => SessionPools {
  const secureContext = createUpstreamContext(options.roots)
  const known = new WeakMap<LiveSession, SessionPools>()
  return (session) => {
    const pools = known.get(session)
    if (pools !== undefined) return pools
    const made = new SessionPools(options, secureContext)
    known.set(session, made)
    session.open.add({
      // A narrowed policy has a new version, and with it new pools; what is under way there is cut by its own connection.
      stillAllowed: () => true,
      cut: () => made.destroy(),
    })
    return made
  }
}
