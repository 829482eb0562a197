/**
 * What sessions have spent, in a table beside them: a row for each session, and one for each host it met.
 *
 * Promises: rows are sealed as sessions are; of a session whose row was damaged, or written by somebody else, nobody knows
 * what is left, so nothing is. That the numbers are exact is said once, at an orderly end, and taken back at the next start.
 */

import type { DatabaseSync } from 'node:sqlite'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import type { StoredUsage } from './budget.ts'
import type { KeptUsage, SessionStore } from './session-store.ts'

export type RowSeal = {
  readonly seal: (body: string) => Buffer
  /** The text of a row of ours; null: it is none. */
  readonly open: (row: Readonly<Record<string, unknown>>) => string | null
}

const amount = Type.Integer({ minimum: 0 })
const storedUsage = Type.Object(
  { session: Type.String(), host: Type.String(), up: amount, down: amount, recent: amount, at: amount },
  { additionalProperties: false },
)

const exactBody = '{"exact":true}'

export function createUsageTable(
  database: DatabaseSync,
  { seal, open }: RowSeal,
  log: (message: string) => void,
): Pick<SessionStore, 'loadUsage' | 'putUsage'> & { readonly remove: (session: string) => void } {
  database.exec(
    'CREATE TABLE IF NOT EXISTS usage (session TEXT, host TEXT, body TEXT NOT NULL, seal BLOB NOT NULL, PRIMARY KEY (session, host)) STRICT, WITHOUT ROWID',
  )
  database.exec("DELETE FROM usage WHERE session <> '' AND session NOT IN (SELECT id FROM sessions)")
  const put = database.prepare('INSERT OR REPLACE INTO usage (session, host, body, seal) VALUES (?, ?, ?, ?)')
  const all = database.prepare('SELECT session, host, body, seal FROM usage')
  const remove = database.prepare('DELETE FROM usage WHERE session = ?')
  const write = (session: string, host: string, body: string): void => void put.run(session, host, body, seal(body))

  const load = (): KeptUsage => {
    const found = all.all()
    const exact = found.some((row) => row['session'] === '' && open(row) === exactBody)
    // Before anything is spent again.
    remove.run('')
    const rows = found
      .filter((row) => row['session'] !== '')
      .map((row) => {
        const usage = readUsage(row, open)
        if (usage === null) log(`session ${String(row['session'])}: what it has spent is not known any more: all of it`)
        return usage ?? allSpent(String(row['session']))
      })
    return { rows, exact }
  }
  const putAll = (rows: readonly StoredUsage[], exact: boolean): void => {
    database.exec('BEGIN IMMEDIATE')
    try {
      for (const row of rows) write(row.session, row.host, JSON.stringify(row))
      if (exact) write('', '', exactBody)
      database.exec('COMMIT')
    } catch (error) {
      database.exec('ROLLBACK')
      throw error
    }
  }
  return {
    // Done before they return: what is spent next is written down by then.
    loadUsage: () => new Promise((resolve) => resolve(load())),
    putUsage: (rows, exact) => new Promise((resolve) => resolve(putAll(rows, exact))),
    remove: (session) => void remove.run(session),
  }
}

function readUsage(row: Readonly<Record<string, unknown>>, open: RowSeal['open']): StoredUsage | null {
  const body = open(row)
  if (body === null) return null
  const usage: unknown = JSON.parse(body)
  if (!Value.Check(storedUsage, usage)) return null
  return usage.session === row['session'] && usage.host === row['host'] ? usage : null
}

function allSpent(session: string): StoredUsage {
  const most = Number.MAX_SAFE_INTEGER
  return { session, host: '', up: most, down: most, recent: 0, at: 0 }
}
