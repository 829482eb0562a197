/** The connections to origins of each session: made when first needed, gone when the session ends or the gateway stops. */

import type { LiveSession } from '../sessions/session.ts'
import { createUpstreamContext, type PoolOptions, SessionPools } from '../upstream/origin-pools.ts'

export type PoolsBySession = {
  readonly poolsOf: (session: LiveSession) => SessionPools
  /** Ends every connection to an origin. */
  readonly close: () => void
}

export function createPoolsBySession(options: PoolOptions): PoolsBySession {
  const secureContext = createUpstreamContext(options.roots)
  const known = new Map<LiveSession, SessionPools>()
  const poolsOf = (session: LiveSession): SessionPools => {
    const pools = known.get(session)
    if (pools !== undefined) return pools
    const made = new SessionPools(options, secureContext)
    known.set(session, made)
    session.open.add({
      // A narrowed policy has a new version, and with it new pools; what is under way there is cut by its own connection.
      stillAllowed: () => true,
      cut: () => {
        // Forgotten, so that a session that lives on after a cut (extended, its policy mended) is held by new ones.
        known.delete(session)
        made.destroy()
      },
    })
    return made
  }
  const close = (): void => {
    for (const pools of known.values()) pools.destroy()
    known.clear()
  }
  return { poolsOf, close }
}
