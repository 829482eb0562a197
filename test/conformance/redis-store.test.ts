/** What the store in Redis promises beyond the suite of all stores: among replicas, and against what Redis may do. */

import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Budget } from '../../src/sessions/budget.ts'
import type { HostBudget } from '../../src/sessions/host-budget.ts'
import { createRedisStore } from '../../src/sessions/redis-store.ts'
import type { SessionStore, StoredSession, StoreNews } from '../../src/sessions/session-store.ts'
import { LeaseLedger } from '../../src/sessions/lease-ledger.ts'
import type { Spender } from '../../src/sessions/usage-ledger.ts'
import { until } from '../support/real-clients.ts'
import { freePort, startRedis } from '../support/redis.ts'
import { temporaryDirectory } from '../support/temporary-ca.ts'
import { createTestCa } from '../support/test-ca.ts'
import { createBench, createSession } from '../unit/sessions/fixture.ts'
import { limitsOf } from '../unit/sessions/limits.ts'
import { stored } from './stored-session.ts'

const redis = await startRedis()
afterAll(() => redis[Symbol.asyncDispose]())

const key = Buffer.alloc(32, 1)
let prefix = ''
let logged: string[] = []
let opened: SessionStore[] = []

beforeEach(() => {
  prefix = randomBytes(6).toString('hex')
  logged = []
  opened = []
})
afterEach(() => Promise.all(opened.map((store) => store.close())))

function open(sealKey: Buffer = key): SessionStore {
  const place = { url: redis.url, ca: null, prefix, graceMs: 5000 }
  const store = createRedisStore({ directory: '', key: sealKey, log: (line) => logged.push(line), redis: place })
  opened.push(store)
  return store
}

/** What the other replicas wrote, as this store hears of it. */
async function following(store: SessionStore): Promise<ReadonlyMap<string, StoredSession>> {
  const known = new Map((await store.load()).map((one) => [one.id, one]))
  const news: StoreNews = {
    changed: (rows) => {
      for (const [id, row] of rows)
        if (row === null) known.delete(id)
        else known.set(id, row)
    },
    all: (sessions) => {
      known.clear()
      for (const one of sessions) known.set(one.id, one)
    },
    state: () => undefined,
  }
  store.shared?.follow(news)
  return known
}

function spenderOf(budget: Budget): Spender {
  return { id: budget.session, kept: 'store', budget }
}

const rowsKey = (): string => `{${prefix}}:sessions`

describe('among replicas', () => {
  test('each hears of what the other writes and removes, and who asks is told when', async () => {
    const [one, other] = [open(), open()]
    const known = await following(other)
    await one.load()
    await one.put(stored)
    expect(await one.shared?.laggards('answering')).toEqual([])
    expect([...known.values()]).toEqual([stored])
    await one.remove(stored.id)
    expect(await one.shared?.laggards('serving')).toEqual([])
    expect([...known.values()]).toEqual([])
  })

  test('a change made from what another changed meanwhile is refused, and brings back nothing that is gone', async () => {
    const [one, other] = [open(), open()]
    await one.put(stored)
    await other.load()
    await other.put({ ...stored, mode: 'enforce' })
    await expect(one.put({ ...stored, mode: 'audit' })).rejects.toThrow('another replica changed it')
    await one.load()
    await other.remove(stored.id)
    await expect(one.put({ ...stored, mode: 'audit' })).rejects.toThrow('another replica changed it')
    expect(await one.load()).toEqual([])
  })

  test('one idempotency key makes one session, and another when that is gone', async () => {
    const [one, other] = [open(), open()]
    const first = { ...stored, idempotencyKey: 'k', expiresAt: 60_000 }
    const second = { ...first, id: 's-bbbbbbbbbbbb' }
    await one.put(first)
    await expect(other.put(second)).rejects.toThrow('another replica made a session with this key')
    await one.remove(first.id)
    await other.put(second)
    expect(await one.load()).toEqual([second])
  })

  test('hundreds of changes at once arrive, whole and in order', async () => {
    const [one, other] = [open(), open()]
    const known = await following(other)
    await one.load()
    const letters = 'abcdefghijklmnopqrstuvwxyz'
    const ids = Array.from({ length: 650 }, (_, i) => `s-aaaaaaaaaa${letters[Math.floor(i / 26)]}${letters[i % 26]}`)
    await Promise.all(ids.map((id) => one.put({ ...stored, id })))
    await Promise.all(ids.map((id) => one.put({ ...stored, id, mode: 'audit' })))
    await until(() => known.size === ids.length && [...known.values()].every(({ mode }) => mode === 'audit'), 'all')
  })

  test('replicas with another key do not meet', async () => {
    await open().load()
    await expect(open(Buffer.alloc(32, 2)).load()).rejects.toThrow(/another state key/)
  })
})

describe('budgets', () => {
  const limits = limitsOf({ uploadBytes: 64 * 1024 * 1024, distinctHosts: 3 })
  const budgetAt = async (store: SessionStore): Promise<{ budget: Budget; ledger: LeaseLedger }> => {
    const budgets: Spender[] = []
    const reserve = store.shared?.reserve ?? expect.fail('a shared store')
    const ledger = new LeaseLedger({ reserve, sessions: () => budgets, log: (line) => logged.push(line) })
    const budget = new Budget(stored.id, limits, ledger)
    budgets.push(spenderOf(budget))
    await ledger.load([spenderOf(budget)])
    return { budget, ledger }
  }
  const hostOf = (budget: Budget, name = 'a.test'): HostBudget => {
    const host = budget.admit(name, performance.now(), 0)
    return 'kind' in host ? expect.fail(host.reason) : host
  }

  test('are spent by three replicas at once, and are never more than one lease of each beyond the limit', async () => {
    const stores = [open(), open(), open()]
    await stores[0]?.put(stored)
    const replicas = await Promise.all(stores.map(budgetAt))
    const chunk = 256 * 1024
    const streams = replicas.flatMap(({ budget }) => Array.from({ length: 20 }, () => hostOf(budget)))
    const sent = await Promise.all(
      streams.map(async (host) => {
        let bytes = 0
        while (host.takeUp(chunk)) {
          bytes += chunk
          await delay(20)
        }
        return bytes
      }),
    )
    const all = sent.reduce((sum, one) => sum + one, 0)
    const lease = limits.uploadBytes / 8
    expect(all).toBeGreaterThan(limits.uploadBytes - 4 * lease)
    expect(all).toBeLessThanOrEqual(limits.uploadBytes + 3 * lease)
    await Promise.all(replicas.map(({ budget, ledger }) => ledger.close([spenderOf(budget)])))
    const left = await budgetAt(open())
    expect(left.budget.up.used).toBeGreaterThanOrEqual(Math.min(all, limits.uploadBytes))
    await left.ledger.close([])
  })

  test('outlive every replica: bytes, hosts, and requests of the last minute', async () => {
    const first = open()
    await first.put(stored)
    const before = await budgetAt(first)
    hostOf(before.budget).takeUp(1000)
    hostOf(before.budget, 'b.test').takeDown(500)
    await before.ledger.close([spenderOf(before.budget)])
    const { budget, ledger } = await budgetAt(open())
    expect([budget.up.used, budget.down.used, [...budget.hosts.keys()].sort()]).toEqual([
      1000,
      500,
      ['a.test', 'b.test'],
    ])
    expect(budget.requestsElsewhere).toBe(2)
    await ledger.close([])
  })

  test('are never reserved beyond their limit, and what was not granted is said', async () => {
    const store = open()
    await store.put(stored)
    const wish = (bytes: number) => ({ host: '', up: { bytes, limit: 100 }, down: { bytes: 0, limit: 100 } })
    const ask = (bytes: number) =>
      store.shared?.reserve({ session: stored.id, recent: 0, hosts: 0, wishes: [wish(bytes)] })
    expect((await ask(80))?.shares[0]?.up).toEqual({ total: 80, granted: 80 })
    expect((await ask(80))?.shares[0]?.up).toEqual({ total: 100, granted: 20 })
    expect((await ask(-50))?.shares[0]?.up).toEqual({ total: 50, granted: -50 })
  })

  test('go with their session', async () => {
    const store = open()
    await store.put(stored)
    const { budget, ledger } = await budgetAt(store)
    hostOf(budget).takeUp(1000)
    await ledger.close([spenderOf(budget)])
    await store.remove(stored.id)
    expect(await store.shared?.reserve({ session: stored.id, recent: 0, hosts: 0, wishes: [] })).toBeNull()
    expect(await redis.command('KEYS', `{${prefix}}*${stored.id}`)).toBe('*0\r\n')
  })
})

describe('against what stands in Redis', () => {
  const rows: Readonly<Record<string, readonly [row: string, said: RegExp]>> = {
    'that somebody else wrote': [`${'A'.repeat(43)}.${JSON.stringify(stored)}`, /not written by these replicas/],
    'that is cut short': ['abc', /not written by these replicas/],
    'that is nothing': ['.', /not written by these replicas/],
  }
  for (const [what, [row, said]] of Object.entries(rows)) {
    test(`a row ${what} is no session`, async () => {
      await redis.command('HSET', rowsKey(), stored.id, row)
      expect(await open().load()).toEqual([])
      expect(logged).toEqual([expect.stringMatching(said)])
    })
  }

  test('a row that was copied under another id is no session', async () => {
    await open().put(stored)
    const row = (await redis.command('HGET', rowsKey(), stored.id)).split('\r\n')[1] ?? ''
    await redis.command('HSET', rowsKey(), 's-cccccccccccc', row)
    expect(await open().load()).toEqual([stored])
    expect(logged).toEqual([expect.stringMatching(/filed under another id/)])
  })

  test('what it lost is over, and what it brings back of what was over is not there', async () => {
    const store = open()
    const bench = createBench(store)
    await bench.book.load()
    const [lost, revoked] = [await createSession(bench), await createSession(bench)]
    const row = (await redis.command('HGET', rowsKey(), revoked.session.id)).split('\r\n')[1] ?? ''
    await bench.book.revoke(revoked.session.id)
    await redis.command('FLUSHALL')
    await until(() => bench.book.get(lost.session.id) === undefined, 'the end of what was lost')
    await redis.command('HSET', rowsKey(), revoked.session.id, row)
    await redis.command('ZADD', `{${prefix}}:changes`, '1', revoked.session.id)
    await redis.command('HSET', `{${prefix}}:meta`, 'seq', '1')
    await until(async () => {
      await bench.book.sweep()
      return (await redis.command('HEXISTS', rowsKey(), revoked.session.id)).startsWith(':0')
    }, 'its removal')
    expect(bench.book.list()).toEqual([])
    await bench.book.close()
  })
})

describe('by TLS', () => {
  test('it is verified by the roots given, and asked as the user of the URL', async () => {
    const ca = createTestCa()
    const directory = await temporaryDirectory()
    const { key: tlsKey, certificate } = ca.pemFor('127.0.0.1')
    await writeFile(join(directory, 'key.pem'), tlsKey)
    await writeFile(join(directory, 'cert.pem'), certificate)
    const port = await freePort()
    const files = ['--tls-cert-file', join(directory, 'cert.pem'), '--tls-key-file', join(directory, 'key.pem')]
    const doors = [
      '--tls-port',
      `${port}`,
      '--tls-auth-clients',
      'no',
      '--tls-ca-cert-file',
      join(directory, 'cert.pem'),
    ]
    const user = ['--user', 'sallyport', 'on', '>swordfish', `~{${prefix}}*`, `&{${prefix}}*`, '+@all', '-@admin']
    await using secure = await startRedis([...files, ...doors, ...user])
    const openAt = (url: string, roots: string | null): SessionStore => {
      const place = { url, ca: roots, prefix, graceMs: 5000 }
      const store = createRedisStore({ directory: '', key, log: (line) => logged.push(line), redis: place })
      opened.push(store)
      return store
    }
    const store = openAt(`rediss://sallyport:swordfish@127.0.0.1:${port}`, ca.certificate)
    const known = await following(store)
    await store.put(stored)
    await until(() => known.size === 1, 'word of it')
    expect(await store.load()).toEqual([stored])
    const strangers = [
      openAt(`rediss://sallyport:swordfish@127.0.0.1:${port}`, null),
      openAt(`rediss://sallyport:wrong@127.0.0.1:${port}`, ca.certificate),
    ]
    for (const one of strangers) await expect(one.load()).rejects.toThrow()
    expect(secure.url).toMatch(/^redis:/)
    expect(logged.join()).not.toMatch(/swordfish|wrong@/)
  }, 30_000)
})

test('nothing that is logged holds the URL', async () => {
  const place = { url: 'redis://user:swordfish@127.0.0.1:1', ca: null, prefix, graceMs: 5000 }
  const store = createRedisStore({ directory: '', key, log: (line) => logged.push(line), redis: place })
  opened.push(store)
  await expect(store.load()).rejects.toThrow()
  expect(logged.join()).not.toContain('swordfish')
}, 20_000)
