/**
 * What other replicas did to sessions, done here: they appear, change, and end with everything they hold open.
 *
 * Promises: a session that this process ended does not come back, whatever a store says that lost some of its memory; it
 * is made to forget it again. Sessions of the configuration are nobody else's to change.
 */

import { isDeepStrictEqual } from 'node:util'
import type { BookedSession } from './booked-session.ts'
import type { SessionBook } from './session-book.ts'
import type { SharedStore, StoredSession, StoreNews } from './session-store.ts'

/** Of a store that nobody else writes. */
export const alone: SharedStore = {
  follow: () => undefined,
  laggards: () => Promise.resolve([]),
  reserve: () => Promise.resolve(null),
  state: () => 'here',
}

/** What the book lets do. */
export type Hands = {
  /** It ended here. */
  readonly isOver: (id: string) => boolean
  readonly adopt: (stored: StoredSession) => void
  readonly replace: (session: BookedSession, stored: StoredSession) => void
  readonly end: (session: BookedSession) => void
  /** It is over, and its idempotency key is known. */
  readonly bury: (stored: StoredSession) => void
  /** To be taken from the store as soon as it can be. */
  readonly forget: (id: string) => void
}

export function createNews(book: Pick<SessionBook, 'get' | 'list' | 'refresh'>, hands: Hands): StoreNews {
  const lose = (session: BookedSession | undefined): void => {
    if (session?.kept === 'store') hands.end(session)
  }
  const take = (stored: StoredSession): void => {
    const session = book.get(stored.id)
    if (stored.endedAt !== undefined) {
      lose(session)
      hands.bury(stored)
    } else if (hands.isOver(stored.id)) hands.forget(stored.id)
    else if (session === undefined) hands.adopt(stored)
    else if (session.kept === 'store' && !isDeepStrictEqual(session.stored, stored)) hands.replace(session, stored)
  }
  return {
    changed: (rows) => {
      // What ends must not wait for what begins.
      for (const [id, row] of rows) if (row === null) lose(book.get(id))
      for (const row of rows.values()) if (row !== null) take(row)
    },
    all: (sessions) => {
      const present = new Set(sessions.map(({ id }) => id))
      for (const session of book.list()) if (!present.has(session.id)) lose(session)
      for (const stored of sessions) take(stored)
    },
    state: () => book.refresh(),
  }
}
