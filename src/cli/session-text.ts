/** Sessions as people read them. Pure. */

import type { SessionView } from '../control/schemas.ts'
import { bytesText } from './decision-line.ts'
import { columns, type Paint, visible } from './paint.ts'

export type ShownSession = SessionView

export function sessionTable(sessions: readonly ShownSession[], paint: Paint): string {
  const head = ['ID', 'POLICY', 'MODE', 'STATE', 'ALLOWED', 'DENIED', 'OPEN', 'EXPIRES', 'LABELS']
  const rows = sessions.map((session) => [
    session.id,
    `${session.policy}@${session.policyVersion}`,
    session.mode,
    session.state,
    String(session.counters.allowed),
    String(session.counters.denied),
    String(session.counters.open),
    session.expiresAt ?? 'never',
    labelsText(session),
  ])
  return columns([head, ...rows.map((row) => row.map(visible))], (cell, row) => (row === 0 ? paint('dim', cell) : cell))
}

export function sessionFacts(session: ShownSession, paint: Paint): string {
  const { counters, credentials, sources } = session
  const filled = Object.entries(credentials).map(([slot, name]) => (slot === name ? slot : `${slot}=${name}`))
  const rows = [
    ['id', `${session.id}${session.static ? ' (of the configuration)' : ''}`],
    ['state', session.state],
    ['policy', `${session.policy}, version ${session.policyVersion}${session.inline ? ', given inline' : ''}`],
    ['mode', session.mode],
    ['credentials', filled.join(', ') || 'none'],
    ['sources', sources?.join(', ') ?? 'any, with the token'],
    ['labels', labelsText(session) || 'none'],
    ['created', session.createdAt],
    ['expires', session.expiresAt ?? 'never'],
    ['requests', `${counters.allowed} allowed, ${counters.denied} denied, ${counters.open} connections open`],
    ['bytes', `${bytesText(counters.bytesUp)} up, ${bytesText(counters.bytesDown)} down`],
  ]
  return columns(
    rows.map((row) => row.map(visible)),
    (cell, _row, column) => (column === 0 ? paint('dim', cell) : cell),
  )
}

function labelsText({ labels }: ShownSession): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
}
