/** A session as the API shows it: never its token, nor the token's hash. */

import type { BookedSession } from '../sessions/booked-session.ts'
import type { SessionView } from './schemas.ts'

export function viewSession(session: BookedSession, now: number): SessionView {
  const { current, stored, counters } = session
  const expired = current.expiresAt !== null && current.expiresAt <= now
  return {
    id: session.id,
    state: expired ? 'expired' : session.unresolved ? 'unresolved' : 'live',
    static: session.kept === 'process',
    policy: 'name' in stored.policy ? stored.policy.name : current.policy.name,
    policyVersion: current.policy.version,
    inline: 'inline' in stored.policy,
    mode: current.mode,
    labels: { ...current.labels },
    credentials: Object.fromEntries(current.credentials),
    ownSecrets: Object.keys(current.secrets ?? {}),
    sources: stored.sources === null ? null : [...stored.sources],
    limits: { ...stored.limits },
    refusal: current.refusal,
    createdAt: timeText(current.createdAt),
    expiresAt: current.expiresAt === null ? null : timeText(current.expiresAt),
    usage: session.budget.usage(performance.now()),
    counters: { ...counters, open: session.open.size },
  }
}

export function timeText(epochMs: number): string {
  return new Date(epochMs).toISOString()
}

/** Where a page ended. Opaque to clients; sessions made or gone meanwhile neither repeat nor hide others. */
export type Cursor = { readonly createdAt: number; readonly id: string }

export function cursorText({ createdAt, id }: Cursor): string {
  return Buffer.from(`${createdAt}:${id}`, 'latin1').toString('base64url')
}

export function parseCursor(text: string): Cursor | null {
  const match = /^(\d{1,15}):([!-~]{1,128})$/.exec(Buffer.from(text, 'base64url').toString('latin1'))
  return match === null ? null : { createdAt: Number(match[1]), id: match[2] ?? '' }
}

/** Oldest first; of one millisecond by id. One look at each, however many there are. */
export function pageAfter(
  sessions: Iterable<BookedSession>,
  isSeen: (session: BookedSession) => boolean,
  after: Cursor | null,
  limit: number,
): BookedSession[] {
  const page: BookedSession[] = []
  for (const session of sessions) {
    const { createdAt } = session.current
    if (after !== null && compare(createdAt, session.id, after.createdAt, after.id) <= 0) continue
    const place = placeIn(page, createdAt, session.id)
    if (place === limit || !isSeen(session)) continue
    page.splice(place, 0, session)
    if (page.length > limit) page.pop()
  }
  return page
}

/** Sessions come nearly in order, so the place is nearly always the last. */
function placeIn(page: readonly BookedSession[], createdAt: number, id: string): number {
  for (let place = page.length; place > 0; place--) {
    const before = page[place - 1]
    if (before === undefined || compare(createdAt, id, before.current.createdAt, before.id) > 0) return place
  }
  return 0
}

function compare(createdAt: number, id: string, otherCreatedAt: number, otherId: string): number {
  if (createdAt !== otherCreatedAt) return createdAt - otherCreatedAt
  if (id === otherId) return 0
  return id < otherId ? -1 : 1
}
