/**
 * Sessions in one SQLite file of the state directory: they survive a restart and a `kill -9`.
 *
 * Promises: what `put` and `remove` resolved for is on the disk; each row is sealed with the gateway's key, so a row that
 * was damaged, or written by somebody else, is dropped with a message and never read as a session; a file that cannot be
 * trusted as a whole is a startup error. One process at a time.
 */

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { securePrivateDirectory, securePrivateFile } from './private-file.ts'
import { createUsageTable } from './usage-table.ts'
import { parseJson, sealOf, unseal } from './row-seal.ts'
import { parseStoredSession, type SessionStore, type StoredSession, type StoreOptions } from './session-store.ts'

const formatVersion = 1
/** How long a start waits for the process before it to let go. */
const lockWaitMs = 2000

/** Throws when the file cannot be used; the message says what to do. */
export function createFileStore({ directory, key, log }: StoreOptions): SessionStore {
  securePrivateDirectory(directory)
  const path = join(directory, 'sessions.db')
  securePrivateFile(path)
  const database = openDatabase(path)
  const put = database.prepare('INSERT OR REPLACE INTO sessions (id, body, seal) VALUES (?, ?, ?)')
  const remove = database.prepare('DELETE FROM sessions WHERE id = ?')
  const all = database.prepare('SELECT id, body, seal FROM sessions ORDER BY id')
  const usage = createUsageTable(database, { seal: (body) => sealOf(body, key), open: (row) => openRow(row, key) }, log)

  return {
    load: () =>
      attempt(() =>
        all.all().flatMap((row) => {
          const session = readRow(row, key)
          if (typeof session !== 'string') return [session]
          log(`${path}: a stored session ${session}; it is dropped, and whoever uses it needs a new one`)
          return []
        }),
      ),
    put: (session) =>
      attempt(() => {
        const body = JSON.stringify(session)
        put.run(session.id, body, sealOf(body, key))
      }),
    remove: (id) =>
      attempt(() => {
        remove.run(id)
        usage.remove(id)
      }),
    loadUsage: usage.loadUsage,
    putUsage: usage.putUsage,
    close: () => attempt(() => database.close()),
  }
}

function openDatabase(path: string): DatabaseSync {
  let database: DatabaseSync | null = null
  try {
    database = new DatabaseSync(path, { timeout: lockWaitMs })
    // Exclusive before anything is read: two gateways over one file would each believe in sessions the other revoked.
    database.exec('PRAGMA locking_mode = EXCLUSIVE')
    database.exec('PRAGMA journal_mode = WAL')
    // FULL: a revocation that was answered must not be undone by a power cut. It costs one fsync per change of a session.
    database.exec('PRAGMA synchronous = FULL')
    database.exec('PRAGMA trusted_schema = OFF')
    const version = numberOf(database.prepare('PRAGMA user_version').get())
    if (version !== 0 && version !== formatVersion)
      throw new Error(`has format ${version}, this version knows ${formatVersion}`)
    const check = Object.values(database.prepare('PRAGMA quick_check(1)').get() ?? {})
    if (check[0] !== 'ok') throw new Error('is damaged')
    database.exec('BEGIN IMMEDIATE')
    database.exec(
      'CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, body TEXT NOT NULL, seal BLOB NOT NULL) STRICT',
    )
    database.exec(`PRAGMA user_version = ${formatVersion}`)
    database.exec('COMMIT')
    // Asked once here, so that a table of another shape is found now.
    database.prepare('SELECT id, body, seal FROM sessions LIMIT 1').get()
    return database
  } catch (error) {
    database?.close()
    const said = error instanceof Error ? error.message : String(error)
    const fix = /locked/.test(said)
      ? 'another gateway uses it; stop that one or name another state directory'
      : 'move it away to start without its sessions'
    throw new Error(`${path}: ${said}; ${fix}`, { cause: error })
  }
}

/** The session, or what is wrong with the row, without anything of it. */
function readRow(row: Readonly<Record<string, unknown>>, key: Buffer): StoredSession | string {
  const body = openRow(row, key)
  if (body === null) return 'was not written by this gateway'
  const session = parseStoredSession(parseJson(body))
  if (typeof session === 'string') return `does not parse (${session})`
  return session.id === row['id'] ? session : 'is filed under another id'
}

/** The text of a row that this gateway sealed. */
function openRow({ body, seal }: Readonly<Record<string, unknown>>, key: Buffer): string | null {
  return typeof body === 'string' && seal instanceof Uint8Array ? unseal(body, seal, key) : null
}

function numberOf(row: Readonly<Record<string, unknown>> | undefined): number {
  return Number(Object.values(row ?? {})[0])
}

/** SQLite is synchronous; what it throws becomes a rejection like that of any other store. */
function attempt<Result>(deed: () => Result): Promise<Result> {
  return new Promise((resolve) => resolve(deed()))
}
