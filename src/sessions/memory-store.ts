/**
 * Sessions that end with the process: for one command, for tests, and for gateways whose platform makes sessions anew.
 *
 * Promises: what is kept is a copy, so nobody changes a stored session by holding on to it.
 */

import type { SessionStore, StoredSession } from './session-store.ts'

export function createMemoryStore(): SessionStore {
  const sessions = new Map<string, string>()
  return {
    load: () => Promise.resolve([...sessions.values()].map(parseOwn)),
    put: (session) => {
      sessions.set(session.id, JSON.stringify(session))
      return Promise.resolve()
    },
    remove: (id) => {
      sessions.delete(id)
      return Promise.resolve()
    },
    // What would read it back ends with it.
    loadUsage: () => Promise.resolve({ rows: [], exact: true }),
    putUsage: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
}

/** Text of ours, written a few lines above. */
function parseOwn(text: string): StoredSession {
  return JSON.parse(text) as StoredSession
}
