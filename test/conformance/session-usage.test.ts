import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { BookedSession } from '../../src/sessions/booked-session.ts'
import { createFileStore } from '../../src/sessions/file-store.ts'
import type { HostBudget } from '../../src/sessions/host-budget.ts'
import type { SessionBook } from '../../src/sessions/session-book.ts'
import type { SessionStore } from '../../src/sessions/session-store.ts'
import { bookOver, newSession } from './usage-book.ts'

const KiB = 1024
let directory = ''
let logged: string[]
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-usage-'))
  logged = []
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const openStore = (): SessionStore =>
  createFileStore({ directory, key: Buffer.alloc(32, 1), log: (message) => logged.push(message) })

async function openBook(): Promise<SessionBook> {
  const book = bookOver(openStore(), logged)
  await book.load()
  return book
}

async function created(book: SessionBook): Promise<BookedSession> {
  const made = await book.create(newSession)
  if (made.kind === 'refused') throw new Error(made.reason)
  return made.session
}

function admitted({ budget }: BookedSession, host: string): HostBudget {
  const found = budget.admit(host, performance.now(), 0)
  if ('kind' in found) throw new Error(found.reason)
  return found
}

test('an orderly end refills nothing and takes nothing', async () => {
  const book = await openBook()
  const session = await created(book)
  const untouched = await created(book)
  admitted(session, 'a.test').takeUp(12_345)
  admitted(session, 'b.test').takeDown(5_000_001)
  admitted(session, 'c.test')
  await book.close()

  const again = await openBook()
  const found = again.get(session.id)
  expect(found?.budget.usage(performance.now())).toMatchObject({
    uploadBytes: { used: 12_345 },
    downloadBytes: { used: 5_000_001 },
    distinctHosts: { used: 3 },
    requestsPerMinute: { used: 3 },
  })
  expect(found?.budget.admit('d.test', performance.now(), 0)).toMatchObject({ reason: 'host_limit' })
  expect(again.get(untouched.id)?.budget.usage(performance.now()).uploadBytes.used).toBe(0)
  await again.close()
  expect(logged).toEqual([])
})

test('a kill -9 gives nothing back, and costs a sixteenth of what was left at most', async () => {
  const script = new URL('session-usage-child.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [script, directory], { stdio: ['ignore', 'pipe', 'inherit'] })
  const said: string[] = []
  const closed = once(child, 'close')
  createInterface({ input: child.stdout }).on('line', (line) => {
    said.push(line)
    if (said.length === 300) child.kill('SIGKILL')
  })
  await closed
  const [id = '', up, down] = (said.at(-1) ?? '').split(' ')
  const book = await openBook()
  const usage = book.get(id)?.budget.usage(performance.now())
  // The child may have spent a little more than it could say.
  const more = 20 * 50_000
  expect(usage?.uploadBytes.used).toBeGreaterThanOrEqual(Number(up))
  expect(usage?.uploadBytes.used).toBeLessThanOrEqual(Number(up) + (20 * KiB * KiB) / 16 + more)
  expect(usage?.downloadBytes.used).toBeGreaterThanOrEqual(Number(down))
  expect(usage?.downloadBytes.used).toBeLessThanOrEqual(Number(down) + (40 * KiB * KiB) / 16 + more)
  expect(usage?.distinctHosts.used).toBe(3)
  await book.close()
})

test('a session that was killed before anything was written is charged what it may have spent', async () => {
  const book = await openBook()
  const { id } = await created(book)
  await book.close()
  const database = new DatabaseSync(join(directory, 'sessions.db'))
  database.exec('DELETE FROM usage')
  database.close()
  const again = await openBook()
  expect(again.get(id)?.budget.usage(performance.now()).uploadBytes.used).toBe((20 * KiB * KiB) / 16)
  await again.close()
})

test.for([
  ['was changed', `UPDATE usage SET body = replace(body, '"up":5000', '"up":5') WHERE session <> ''`],
  [
    'was moved from another session',
    `UPDATE usage SET session = (SELECT id FROM sessions LIMIT 1) WHERE session <> ''`,
  ],
] as const)('a row that %s leaves its session nothing', async ([, sql]) => {
  const book = await openBook()
  const [one, other] = [await created(book), await created(book)]
  admitted(one, 'a.test').takeUp(5000)
  admitted(other, 'a.test').takeUp(5000)
  await book.close()
  const database = new DatabaseSync(join(directory, 'sessions.db'))
  database.exec(sql.replace('UPDATE', 'UPDATE OR REPLACE'))
  database.close()
  const again = await openBook()
  const spent = [one, other].filter(
    ({ id }) => 'kind' in (again.get(id)?.budget.admit('a.test', performance.now(), 0) ?? { kind: '' }),
  )
  expect(spent.length).toBeGreaterThan(0)
  expect(logged.join('\n')).toMatch(/what it has spent is not known any more/)
  await again.close()
})

test('what a session spent goes with it', async () => {
  const book = await openBook()
  const session = await created(book)
  admitted(session, 'a.test').takeUp(5000)
  await book.revoke(session.id)
  await book.close()
  const database = new DatabaseSync(join(directory, 'sessions.db'))
  expect(database.prepare("SELECT * FROM usage WHERE session <> ''").all()).toEqual([])
  database.close()
})
