import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Budget, type Ledger, type StoredUsage } from '../../../src/sessions/budget.ts'
import type { HostBudget } from '../../../src/sessions/host-budget.ts'
import type { LimitsInForce } from '../../../src/sessions/session-limits.ts'
import { limitsOf } from './limits.ts'

const KiB = 1024

function budgetOf(limits: Partial<LimitsInForce> = {}, ledger: Ledger | null = null): Budget {
  return new Budget('s-1', limitsOf(limits), ledger)
}

function admitted(budget: Budget, host = 'a.test', now = 0, bodyBytes = 0): HostBudget {
  const found = budget.admit(host, now, bodyBytes)
  if ('kind' in found) throw new Error(found.reason)
  return found
}

function reasonOf(found: ReturnType<Budget['admit']>): string {
  return 'kind' in found ? found.reason : 'admitted'
}

describe('bytes', () => {
  test('of any number of streams together are never more than the limit, nor refused while they fit', () => {
    const step = fc.record({
      host: fc.integer({ min: 0, max: 3 }),
      up: fc.boolean(),
      bytes: fc.integer({ min: 0, max: 70 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), fc.integer({ min: 1, max: 1000 }), (steps, limit) => {
        const perHost = Math.ceil(limit / 2)
        const budget = budgetOf({
          uploadBytes: limit,
          downloadBytes: limit,
          perHost: { uploadBytes: perHost, downloadBytes: perHost, requestsPerMinute: 1000 },
        })
        const hosts = [0, 1, 2, 3].map((n) => admitted(budget, `h${n}.test`))
        const spent = { up: [0, 0, 0, 0], down: [0, 0, 0, 0] }
        for (const { host, up, bytes } of steps) {
          const own = spent[up ? 'up' : 'down']
          const all = own.reduce((sum, one) => sum + one, 0)
          const fits = all + bytes <= limit && (own[host] ?? 0) + bytes <= perHost
          expect(up ? hosts[host]?.takeUp(bytes) : hosts[host]?.takeDown(bytes)).toBe(fits)
          if (fits) own[host] = (own[host] ?? 0) + bytes
        }
        expect(budget.up.used).toBe(spent.up.reduce((sum, one) => sum + one, 0))
        expect(budget.down.used).toBe(spent.down.reduce((sum, one) => sum + one, 0))
      }),
    )
  })

  test('that are spent refuse what comes next, each way with its own reason', () => {
    for (const [limits, reason] of [
      [{ uploadBytes: 10 }, 'upload_limit'],
      [{ downloadBytes: 10 }, 'download_limit'],
    ] as const) {
      const budget = budgetOf(limits)
      const host = admitted(budget)
      host.takeUp(reason === 'upload_limit' ? 10 : 0)
      host.takeDown(reason === 'download_limit' ? 10 : 0)
      expect([reasonOf(budget.admit('a.test', 0, 0)), reasonOf(budget.admit('b.test', 0, 0))]).toEqual([reason, reason])
    }
  })

  test('that a body is known to have are asked for before anything is sent', () => {
    const budget = budgetOf({ uploadBytes: 100, perHost: { ...limitsOf(), uploadBytes: 50 } })
    expect(reasonOf(budget.admit('a.test', 0, 51))).toBe('upload_limit')
    expect(reasonOf(budget.admit('a.test', 0, 50))).toBe('admitted')
    admitted(budget).takeUp(30)
    expect(reasonOf(budget.admit('a.test', 0, 21))).toBe('upload_limit')
    expect(reasonOf(budget.admit('b.test', 0, 50))).toBe('admitted')
  })

  test('of a limit that changed are judged by the new one at once', () => {
    const budget = budgetOf({ uploadBytes: 100 })
    const host = admitted(budget)
    expect(host.takeUp(60)).toBe(true)
    budget.limits = limitsOf({ uploadBytes: 50 })
    expect([host.takeUp(1), reasonOf(budget.admit('a.test', 0, 0))]).toEqual([false, 'upload_limit'])
    budget.limits = limitsOf({ uploadBytes: 70 })
    expect([host.takeUp(10), host.takeUp(1)]).toEqual([true, false])
    budget.limits = limitsOf({ perHost: { ...limitsOf(), uploadBytes: 71 } })
    expect([host.takeUp(1), host.takeUp(1), admitted(budget, 'b.test').takeUp(2)]).toEqual([true, false, true])
  })
})

describe('requests', () => {
  test('above the rate are told when to come again, and count for nothing', () => {
    const budget = budgetOf({ requestsPerMinute: 2, distinctHosts: 1 })
    admitted(budget)
    admitted(budget)
    expect(budget.admit('a.test', 1000, 0)).toMatchObject({ reason: 'rate_limited', retryAfterSeconds: 60 })
    expect(budget.usage(1000).requestsPerMinute).toEqual({ used: 2, limit: 2 })
    expect(reasonOf(budget.admit('a.test', 61_000, 0))).toBe('admitted')
  })

  test('to one host have a rate of their own where there is one', () => {
    const budget = budgetOf({ requestsPerMinute: 3, perHost: { ...limitsOf(), requestsPerMinute: 1 } })
    expect(
      ['a.test', 'a.test', 'b.test', 'b.test', 'c.test', 'd.test'].map((host) => reasonOf(budget.admit(host, 0, 0))),
    ).toEqual(['admitted', 'rate_limited', 'admitted', 'rate_limited', 'admitted', 'rate_limited'])
  })

  test('to a host too many are refused for good, and the hosts that are known go on', () => {
    const budget = budgetOf({ distinctHosts: 2 })
    expect(
      ['a.test', 'b.test', 'c.test', 'a.test', 'b.test'].map((host) => reasonOf(budget.admit(host, 0, 0))),
    ).toEqual(['admitted', 'admitted', 'host_limit', 'admitted', 'admitted'])
  })

  test('that are refused for their rate meet no host', () => {
    const budget = budgetOf({ requestsPerMinute: 1 })
    admitted(budget)
    for (const host of ['b.test', '__proto__', 'constructor']) budget.admit(host, 0, 0)
    expect(budget.usage(0).distinctHosts.used).toBe(1)
  })
})

describe('near a limit', () => {
  test('is told once, at 80 %, and again only where it was far from it meanwhile', () => {
    const budget = budgetOf({ uploadBytes: 100, downloadBytes: 100, distinctHosts: 5, requestsPerMinute: 10 })
    const host = admitted(budget)
    host.takeUp(79)
    expect(budget.takeNews()).toEqual([])
    host.takeUp(1)
    host.takeDown(100)
    expect(budget.takeNews()).toEqual(['uploadBytes', 'downloadBytes'])
    host.takeUp(20)
    expect(budget.takeNews()).toEqual([])
    budget.limits = limitsOf({ uploadBytes: 1000, downloadBytes: 1000, distinctHosts: 5, requestsPerMinute: 10 })
    for (const name of ['b', 'c', 'd']) admitted(budget, `${name}.test`)
    expect(budget.takeNews()).toEqual(['distinctHosts'])
    for (let i = 0; i < 5; i++) admitted(budget)
    expect(budget.takeNews()).toEqual(['requestsPerMinute'])
    for (let i = 0; i < 8; i++) admitted(budget, 'a.test', 70_000)
    expect(budget.takeNews()).toEqual(['requestsPerMinute'])
    expect(budget.nearLimits()).toEqual(['distinctHosts', 'requestsPerMinute'])
    host.takeUp(700)
    expect(budget.takeNews()).toEqual(['uploadBytes'])
  })

  test('of connections counts those that are open', () => {
    const budget = budgetOf({ concurrentConnections: 5 })
    for (let i = 0; i < 5; i++) budget.openConnection()
    expect([budget.hasRoom(), budget.takeNews(), budget.nearLimits()]).toEqual([
      false,
      ['concurrentConnections'],
      ['concurrentConnections'],
    ])
    for (let i = 0; i < 4; i++) budget.closeConnection()
    expect([budget.hasRoom(), budget.takeNews(), budget.nearLimits()]).toEqual([true, [], []])
  })
})

describe('a ledger', () => {
  /** Writes at once, as the file store does, and forgets nothing. */
  function createLedger() {
    const rows = new Map<string, StoredUsage>()
    const asked = { soon: 0, now: 0 }
    const write = (budget: Budget): void => {
      const written = budget.rows('ahead', 0, 0)
      for (const row of written) rows.set(row.host, row)
      budget.keep(written)
    }
    const ledger: Ledger = {
      keeping: 'written',
      soon: () => void asked.soon++,
      now: (budget) => {
        asked.now++
        write(budget)
      },
    }
    return { rows, asked, ledger, write }
  }

  test('has at any moment written down what was spent, or what is presumed of who has no row', () => {
    const amounts = fc.array(fc.integer({ min: 1, max: 300 * KiB }), { minLength: 1, maxLength: 200 })
    fc.assert(
      fc.property(amounts, fc.integer({ min: 64 * KiB, max: 20_000 * KiB }), (sizes, limit) => {
        const { ledger, rows } = createLedger()
        const limits = { uploadBytes: limit, perHost: { ...limitsOf(), uploadBytes: Math.ceil(limit / 2) } }
        const budget = budgetOf(limits, ledger)
        const hosts = [admitted(budget, 'a.test'), admitted(budget, 'b.test')]
        for (const [i, size] of sizes.entries()) {
          const host = hosts[i % 2]
          host?.takeUp(size)
          // The process dies here.
          const again = budgetOf(limits, ledger)
          const own = [...rows.values()]
          if (!rows.has('')) again.presumeSpent()
          again.restore(own, 0, 0)
          expect(again.up.used).toBeGreaterThanOrEqual(budget.up.used)
          expect(again.up.used).toBeLessThanOrEqual(limit)
          const most = Math.max(64 * KiB, (limit - budget.up.used) / 8)
          expect(again.up.used - budget.up.used).toBeLessThanOrEqual(Math.max(most, limit / 8))
        }
      }),
    )
  })

  test('that was told of what is low is still told of 80 %, once', () => {
    const { ledger } = createLedger()
    const budget = budgetOf({ uploadBytes: 1e6 }, ledger)
    const host = admitted(budget)
    while (budget.up.used < 700_000) host.takeUp(20_000)
    expect(budget.takeNews()).toEqual([])
    while (host.takeUp(20_000));
    expect(budget.takeNews()).toEqual(['uploadBytes'])
  })

  test('is written to rarely: what is left sixteen times over is spent in some hundred writes', () => {
    const { ledger, asked } = createLedger()
    const host = admitted(budgetOf({ uploadBytes: 1e9 }, ledger))
    while (host.takeUp(65_536));
    expect(asked.now).toBeLessThan(150)
  })

  test('gives back exactly what was spent after an orderly end, hosts and the last minute included', () => {
    const { ledger } = createLedger()
    const budget = budgetOf({ distinctHosts: 2, requestsPerMinute: 3 }, ledger)
    admitted(budget, 'a.test').takeUp(10)
    admitted(budget, 'b.test').takeDown(20)
    const rows = budget.rows('exact', 0, 50_000)
    const again = budgetOf({ distinctHosts: 2, requestsPerMinute: 3 }, ledger)
    again.restore(rows, 1000, 60_000)
    expect(again.usage(1000)).toMatchObject({
      uploadBytes: { used: 10 },
      downloadBytes: { used: 20 },
      distinctHosts: { used: 2 },
      requestsPerMinute: { used: 2 },
    })
    expect(reasonOf(again.admit('c.test', 1000, 0))).toBe('host_limit')
    const late = budgetOf({}, ledger)
    late.restore(rows, 1000, 200_000)
    expect(late.usage(1000).requestsPerMinute.used).toBe(0)
  })
})
