/**
 * What sessions spend where many replicas spend of one budget: reserved in small leases, each in one step at the store.
 *
 * Promises: what is spent is never more than what is reserved and one lease, of each replica; what was reserved and is not
 * spent for a second is given back, and at an orderly end all of it. A replica that is killed takes what it had reserved
 * from its sessions and gives them nothing. Requests of other replicas count half a second late.
 */

import type { Budget, Ledger } from './budget.ts'
import { type How, type Reservation, reservationOf, type Reserved, takeReserved } from './reservation.ts'
import { isLasting, type Spender, UsageLedger, type UsageLedgerOptions } from './usage-ledger.ts'

export type LeaseLedgerOptions = {
  /** Null for a session that is not there any more. */
  readonly reserve: (reservation: Reservation) => Promise<Reserved | null>
  readonly sessions: () => readonly Spender[]
  readonly log: (message: string) => void
}

/** How often what goes on elsewhere is asked for, of sessions that are in use. */
const refreshMs = 500
const askedAtOnce = 500

type Seen = { readonly spent: number; readonly isIdle: boolean }

export class LeaseLedger implements Ledger {
  readonly keeping = 'shared'
  readonly #options: LeaseLedgerOptions
  readonly #asking = new Map<Budget, Promise<void>>()
  readonly #again = new Set<Budget>()
  /** Those in use when it was looked last. */
  #seen = new Map<Budget, Seen>()
  #timer: NodeJS.Timeout | null = null
  #isRefreshing = false
  #complained = false

  constructor(options: LeaseLedgerOptions) {
    this.#options = options
  }

  soon(budget: Budget): void {
    this.#timer ??= this.#start()
    if (this.#asking.has(budget)) this.#again.add(budget)
    else void this.#ask(budget, 'ahead')
  }

  now(budget: Budget): void {
    this.soon(budget)
  }

  forget(budget: Budget): void {
    this.#again.delete(budget)
    this.#seen.delete(budget)
  }

  /** What sessions have spent before, here and elsewhere. */
  async load(sessions: readonly Spender[]): Promise<void> {
    await this.#askAll(budgetsOf(sessions), 'spent')
    this.#timer ??= this.#start()
  }

  /** Gives back what was reserved and not spent. */
  async close(sessions: readonly Spender[]): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#again.clear()
    await Promise.all(this.#asking.values())
    await this.#askAll(budgetsOf(sessions), 'spent')
  }

  #start(): NodeJS.Timeout {
    return setInterval(() => void this.#refresh(), refreshMs).unref()
  }

  async #refresh(): Promise<void> {
    if (this.#isRefreshing) return
    this.#isRefreshing = true
    const now = performance.now()
    const before = this.#seen
    this.#seen = new Map()
    const asked = new Map<How, Budget[]>([
      ['spent', []],
      ['look', []],
      ['ahead', []],
    ])
    for (const budget of budgetsOf(this.#options.sessions())) {
      const holds = isHolding(budget)
      if (budget.connections === 0 && !holds && budget.recent(now) === 0) continue
      const spent = budget.up.used + budget.down.used
      const last = before.get(budget)
      const isIdle = last?.spent === spent
      this.#seen.set(budget, { spent, isIdle })
      asked.get(!isIdle ? 'ahead' : holds && last.isIdle ? 'spent' : 'look')?.push(budget)
    }
    for (const [how, budgets] of asked) await this.#askAll(budgets, how)
    this.#isRefreshing = false
  }

  async #askAll(budgets: Iterable<Budget>, how: How): Promise<void> {
    const all = [...budgets].filter((budget) => !this.#asking.has(budget))
    for (let at = 0; at < all.length; at += askedAtOnce)
      await Promise.all(all.slice(at, at + askedAtOnce).map((budget) => this.#ask(budget, how)))
  }

  /** One question of a session at a time: the answer to the first is part of the second. */
  #ask(budget: Budget, how: How): Promise<void> {
    const asked = this.#askNow(budget, how).then(() => {
      this.#asking.delete(budget)
      if (this.#again.delete(budget)) void this.#ask(budget, 'ahead')
    })
    this.#asking.set(budget, asked)
    return asked
  }

  async #askNow(budget: Budget, how: How): Promise<void> {
    const reservation = reservationOf(budget, how, performance.now())
    try {
      const reserved = await this.#options.reserve(reservation)
      if (reserved !== null) takeReserved(budget, reservation, reserved)
      this.#complained = false
    } catch (error) {
      if (!this.#complained) this.#options.log(`budgets are not shared at present: ${text(error)}`)
      this.#complained = true
      this.#again.delete(budget)
    }
  }
}

/** Of one amount where the store has many replicas, else of this process's own. */
export function ledgerOf(options: UsageLedgerOptions, sessions: () => readonly Spender[]): LeaseLedger | UsageLedger {
  const { log, store } = options
  return store.shared === undefined ? new UsageLedger(options) : new LeaseLedger({ ...store.shared, sessions, log })
}

function budgetsOf(sessions: readonly Spender[]): Budget[] {
  return sessions.filter(isLasting).map(({ budget }) => budget)
}

/** Whether more is reserved than was spent. */
function isHolding(budget: Budget): boolean {
  return [budget, ...budget.hosts.values()].some(({ up, down }) =>
    [up, down].some((one) => one.isLasting && one.kept > one.used),
  )
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
