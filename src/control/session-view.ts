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

/** Oldest first; of one millisecond by id. */
export function pageAfter(sessions: readonly BookedSession[], after: Cursor | null, limit: number): BookedSession[] {
  const place = (session: BookedSession): Cursor => ({ createdAt: session.current.createdAt, id: session.id })
  return sessions
    .filter((session) => after === null || compare(place(session), after) > 0)
    .toSorted((a, b) => compare(place(a), place(b)))
    .slice(0, limit)
}

function compare(a: Cursor, b: Cursor): number {
  if (a.createdAt !== b.createdAt) return a.createdAt - b.createdAt
  if (a.id === b.id) return 0
  return a.id < b.id ? -1 : 1
}
