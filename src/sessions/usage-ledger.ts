/**
 * What sessions spend, written down ahead of the spending.
 *
 * Promises: a restart refills nothing. What is in the store is never less than what was spent, so a `kill -9` costs a session
 * at most what was written ahead for it (a sixteenth of what it had left, or 64 KiB) and gives it nothing; an orderly end
 * writes down what was spent, to the byte. Of hosts met and requests made, a `kill -9` forgets the last tenth of a second
 * and the last minute. A store that cannot write is told of; the store of sessions then makes no new ones either.
 */

import type { Budget, Ledger, StoredUsage } from './budget.ts'
import type { SessionStore } from './session-store.ts'

export type UsageLedgerOptions = {
  readonly store: Pick<SessionStore, 'loadUsage' | 'putUsage' | 'shared'>
  readonly log: (message: string) => void
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** What is not in the store ends with the process, and so does what it spent. */
export type Spender = { readonly id: string; readonly budget: Budget; readonly kept: 'process' | 'store' }

/** How long what is not urgent waits for more of its kind: each write is a wait for the disk. */
const gatherMs = 100
/** Sessions written at once: some ten milliseconds of work. */
const sessionsPerWrite = 500

export class UsageLedger implements Ledger {
  readonly keeping = 'written'
  readonly #options: UsageLedgerOptions
  readonly #waiting = new Set<Budget>()
  #timer: NodeJS.Timeout | null = null
  #writing = false

  constructor(options: UsageLedgerOptions) {
    this.#options = options
  }

  soon(budget: Budget): void {
    this.#waiting.add(budget)
    this.#timer ??= setTimeout(() => this.#write(), gatherMs).unref()
  }

  now(budget: Budget): void {
    this.soon(budget)
    if (!this.#writing) this.#write()
  }

  forget(budget: Budget): void {
    this.#waiting.delete(budget)
  }

  /** Gives back to sessions what they have spent. */
  async load(sessions: readonly Spender[]): Promise<void> {
    const { rows, exact } = await this.#options.store.loadUsage()
    const bySession = Map.groupBy(rows, ({ session }) => session)
    for (const { id, budget } of sessions.filter(isLasting)) {
      const own = bySession.get(id) ?? []
      if (!exact && !own.some(({ host }) => host === '')) budget.presumeSpent()
      budget.restore(own, performance.now(), this.#options.now())
    }
  }

  /** The last word: what was spent, exactly. */
  async close(sessions: readonly Spender[]): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#waiting.clear()
    const rows = sessions
      .filter(isLasting)
      .flatMap(({ budget }) => budget.rows('exact', performance.now(), this.#options.now()))
    await this.#options.store
      .putUsage(rows, true)
      .catch((error: unknown) => this.#options.log(`what sessions have spent is not written: ${text(error)}`))
  }

  #write(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    const written = new Map<Budget, StoredUsage[]>()
    for (const budget of this.#waiting) {
      if (written.size >= sessionsPerWrite) break
      this.#waiting.delete(budget)
      written.set(budget, budget.rows('ahead', performance.now(), this.#options.now()))
    }
    this.#writing = true
    this.#options.store
      .putUsage([...written.values()].flat(), false)
      .catch((error: unknown) => this.#options.log(`what sessions spend is not written: ${text(error)}`))
      .then(() => {
        this.#writing = false
        for (const [budget, rows] of written) budget.keep(rows)
        if (this.#waiting.size > 0) this.#timer ??= setTimeout(() => this.#write(), gatherMs).unref()
      })
      .catch((error: unknown) => this.#options.log(`what sessions spend is not kept: ${text(error)}`))
  }
}

export function isLasting({ kept }: Spender): boolean {
  return kept === 'store'
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
