import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Budget } from '../../../src/sessions/budget.ts'
import type { HostBudget } from '../../../src/sessions/host-budget.ts'
import type { Reservation, Reserved, Share, Wish } from '../../../src/sessions/reservation.ts'
import { LeaseLedger } from '../../../src/sessions/lease-ledger.ts'
import type { LimitsInForce } from '../../../src/sessions/session-limits.ts'
import type { Spender } from '../../../src/sessions/usage-ledger.ts'
import { limitsOf } from './limits.ts'

const KiB = 1024
const lease = 4096 * KiB

/** The store's part, as its script does it; answers wait until they are let go. */
class Meeting {
  readonly totals = new Map<string, number>()
  readonly hosts = new Set<string>()
  readonly recents = new Map<string, number>()
  readonly #waiting: (() => void)[] = []
  isAway = false

  reserveAs(name: string): (reservation: Reservation) => Promise<Reserved> {
    return async (reservation) => {
      if (this.isAway) throw new Error('away')
      const answer = this.#reserve(name, reservation)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
      return answer
    }
  }

  /** Everything that was asked is answered, and what is asked because of it. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3; quiet++) {
      if (this.#waiting.length > 0) quiet = 0
      for (const answer of this.#waiting.splice(0)) answer()
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  #reserve(name: string, { recent, wishes }: Reservation): Reserved {
    this.recents.set(name, recent)
    const shares = wishes.map(({ host, up, down }) => {
      if (host !== '') this.hosts.add(host)
      return { up: this.#take(`u:${host}`, up), down: this.#take(`d:${host}`, down) }
    })
    const elsewhere = [...this.recents].reduce((sum, [who, count]) => sum + (who === name ? 0 : count), 0)
    return { recent: elsewhere, shares, hosts: [...this.hosts] }
  }

  #take(field: string, { bytes, limit }: Wish): Share {
    const before = this.totals.get(field) ?? 0
    const granted = bytes > 0 ? Math.min(bytes, Math.max(0, limit - before)) : bytes
    this.totals.set(field, before + granted)
    return { total: before + granted, granted }
  }
}

type One = { readonly budget: Budget; readonly ledger: LeaseLedger; readonly host: (name?: string) => HostBudget }

function spenderOf(budget: Budget): Spender {
  return { id: budget.session, kept: 'store', budget }
}

function replicaOf(meeting: Meeting, name: string, limits: Partial<LimitsInForce>): One {
  const budgets: Spender[] = []
  const ledger = new LeaseLedger({ reserve: meeting.reserveAs(name), sessions: () => budgets, log: () => undefined })
  const budget = new Budget('s-1', limitsOf(limits), ledger)
  budgets.push(spenderOf(budget))
  return {
    budget,
    ledger,
    host: (host = 'a.test') => {
      const found = budget.admit(host, performance.now(), 0)
      if ('kind' in found) throw new Error(found.reason)
      return found
    },
  }
}

describe('bytes that replicas share', () => {
  test('are never more than the limit and one lease for each replica, whatever the timing', async () => {
    const step = fc.record({
      who: fc.integer({ min: 0, max: 2 }),
      bytes: fc.integer({ min: 1, max: 3 * lease }),
      settle: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 1, max: 40 * lease }),
        async (steps, limit) => {
          const meeting = new Meeting()
          const replicas = ['a', 'b', 'c'].map((name) => replicaOf(meeting, name, { uploadBytes: limit }))
          const hosts = replicas.map(({ host }) => host())
          await meeting.settle()
          let spent = 0
          for (const { who, bytes, settle } of steps) {
            if (hosts[who]?.takeUp(bytes)) spent += bytes
            if (settle) await meeting.settle()
          }
          // A lease is an eighth of what was left, and no less than 4 MiB.
          expect(spent).toBeLessThanOrEqual(limit + 3 * Math.max(lease, limit / 8))
        },
      ),
      { numRuns: 60 },
    )
  })

  test('of a replica that is alone are all of them, to the byte', async () => {
    const meeting = new Meeting()
    const { host } = replicaOf(meeting, 'a', { uploadBytes: 1000 * KiB })
    const own = host()
    for (let i = 0; i < 1000; i++) {
      expect(own.takeUp(KiB)).toBe(true)
      await meeting.settle()
    }
    expect(own.takeUp(1)).toBe(false)
  })

  test('spent at one replica are spent at the other', async () => {
    const meeting = new Meeting()
    const [a, b] = [replicaOf(meeting, 'a', { uploadBytes: lease }), replicaOf(meeting, 'b', { uploadBytes: lease })]
    expect(a.host().takeUp(lease)).toBe(true)
    await meeting.settle()
    await Promise.all([b.ledger.load([spenderOf(b.budget)]), meeting.settle()])
    expect(b.budget.admit('a.test', 0, 0)).toMatchObject({ reason: 'upload_limit' })
  })

  test('that were reserved and not spent are given back at the end', async () => {
    const meeting = new Meeting()
    const a = replicaOf(meeting, 'a', { uploadBytes: 10 * lease })
    a.host().takeUp(10)
    await meeting.settle()
    expect(meeting.totals.get('u:')).toBeGreaterThan(10)
    await Promise.all([a.ledger.close([spenderOf(a.budget)]), meeting.settle()])
    expect(meeting.totals.get('u:')).toBe(10)
  })

  test('without word from the store are a lease and no more', async () => {
    const meeting = new Meeting()
    meeting.isAway = true
    const own = replicaOf(meeting, 'a', { uploadBytes: 8 * lease }).host()
    let spent = 0
    while (own.takeUp(64 * KiB)) {
      spent += 64 * KiB
      await meeting.settle()
    }
    expect(spent).toBe(lease)
  })

  test('to one host are shared too, where a host may not take all', async () => {
    const meeting = new Meeting()
    const perHost = { uploadBytes: 2 * lease, downloadBytes: 2 * lease, requestsPerMinute: 1000 }
    const [a, b] = ['a', 'b'].map((name) => replicaOf(meeting, name, { uploadBytes: 100 * lease, perHost }))
    const spend = async (one: One | undefined): Promise<number> => {
      const own = one?.host()
      for (let spent = 0; spent < 10 * lease; spent += 64 * KiB) {
        if (own?.takeUp(64 * KiB) !== true) return spent
        await meeting.settle()
      }
      return 10 * lease
    }
    const all = (await spend(a)) + (await spend(b))
    expect(all).toBeGreaterThanOrEqual(2 * lease)
    expect(all).toBeLessThanOrEqual(4 * lease)
  })
})

test('hosts met elsewhere are met', async () => {
  const meeting = new Meeting()
  const [a, b] = [replicaOf(meeting, 'a', { distinctHosts: 2 }), replicaOf(meeting, 'b', { distinctHosts: 2 })]
  a.host('one.test')
  a.host('two.test')
  await meeting.settle()
  await Promise.all([b.ledger.load([spenderOf(b.budget)]), meeting.settle()])
  expect(b.host('two.test').name).toBe('two.test')
  expect(b.budget.admit('three.test', 0, 0)).toMatchObject({ reason: 'host_limit' })
})

test('requests made elsewhere count', async () => {
  const meeting = new Meeting()
  const [a, b] = [replicaOf(meeting, 'a', { requestsPerMinute: 3 }), replicaOf(meeting, 'b', { requestsPerMinute: 3 })]
  for (let i = 0; i < 3; i++) a.host()
  await meeting.settle()
  await Promise.all([a.ledger.load([spenderOf(a.budget)]), meeting.settle()])
  await Promise.all([b.ledger.load([spenderOf(b.budget)]), meeting.settle()])
  expect(b.budget.admit('a.test', performance.now(), 0)).toMatchObject({ reason: 'rate_limited' })
})
