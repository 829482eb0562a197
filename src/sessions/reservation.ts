/**
 * What one replica asks of a session's budget that all share, and what it is told. Pure.
 *
 * Promises: what is asked for covers what was spent already, so that nothing stays unsaid; what comes back is what all
 * have reserved, and counts as spent here where it is not ours.
 */

import type { Allowance } from './allowance.ts'
import type { Budget } from './budget.ts'

/** Bytes to reserve, or, below zero, to give back; and how many there may be of them in all. */
export type Wish = { readonly bytes: number; readonly limit: number }
type HostWish = { readonly host: string; readonly up: Wish; readonly down: Wish }

export type Reservation = {
  readonly session: string
  /** Requests of the last minute here. */
  readonly recent: number
  /** How many hosts are known here. */
  readonly hosts: number
  /** The empty host is the session as a whole. */
  readonly wishes: readonly HostWish[]
}

export type Share = { readonly total: number; readonly granted: number }
export type Reserved = {
  /** Requests of the last minute at other replicas. */
  readonly recent: number
  /** Of the wishes, in their order. */
  readonly shares: readonly { readonly up: Share; readonly down: Share }[]
  /** All hosts there are; empty where as many are known here. */
  readonly hosts: readonly string[]
}

/**
 * `ahead`: so that spending goes on for a while. `look`: only what others have spent. `spent`: what was spent and no more,
 * the rest is given back.
 */
export type How = 'ahead' | 'look' | 'spent'

export function reservationOf(budget: Budget, how: How, now: number): Reservation {
  const wishOf = (one: Allowance): Wish => ({ bytes: one.isLasting ? bytesFor(one, how) : 0, limit: one.limit })
  const sides = [{ name: '', up: budget.up, down: budget.down }, ...budget.hosts.values()]
  const wishes = sides
    .map(({ name, up, down }) => ({ host: name, up: wishOf(up), down: wishOf(down) }))
    .filter(({ host, up, down }) => host === '' || up.bytes !== 0 || down.bytes !== 0 || !isTold(budget, host))
  return { session: budget.session, recent: budget.recent(now), hosts: budget.hosts.size, wishes }
}

function bytesFor(one: Allowance, how: How): number {
  switch (how) {
    case 'ahead':
      return one.wanted()
    case 'look':
      return Math.max(0, one.used - one.kept)
    case 'spent':
      return one.used - one.kept
  }
}

export function takeReserved(budget: Budget, { wishes }: Reservation, { recent, shares, hosts }: Reserved): void {
  budget.requestsElsewhere = recent
  for (const [at, { host }] of wishes.entries()) {
    const share = shares[at]
    const found = host === '' ? budget : budget.hosts.get(host)
    if (share === undefined || found === undefined) continue
    if (found.up.isLasting) found.up.share(share.up.total, share.up.granted)
    if (found.down.isLasting) found.down.share(share.down.total, share.down.granted)
    if ('written' in found) found.written = true
  }
  for (const host of hosts) budget.hear(host)
}

function isTold(budget: Budget, host: string): boolean {
  return budget.hosts.get(host)?.written ?? false
}
