/** Spends, and says how much so far, until it is killed: the first half of the kill -9 test of budgets. */

import { createFileStore } from '../../src/sessions/file-store.ts'
import { bookOver, newSession } from './usage-book.ts'

const store = createFileStore({ directory: process.argv[2] ?? '', key: Buffer.alloc(32, 1), log: () => undefined })
const book = bookOver(store)
await book.load()
const created = await book.create(newSession)
if (created.kind === 'refused') throw new Error(created.reason)
const { budget, id } = created.session
for (let i = 0; ; i++) {
  const host = budget.admit(`h${i % 3}.test`, performance.now(), 0)
  if ('kind' in host) throw new Error(host.reason)
  host.takeUp(30_000)
  host.takeDown(50_000)
  process.stdout.write(`${id} ${budget.up.used} ${budget.down.used}\n`)
  await new Promise((resolve) => setTimeout(resolve, 1))
}
