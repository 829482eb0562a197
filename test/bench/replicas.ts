/**
 * What Redis costs: commands it is asked for while a warm session makes requests (none for each), and how long it takes until
 * every replica knows of a session that was made, and has cut one that was revoked.
 *
 *     node test/bench/replicas.ts [requests] [sessions]
 */

import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { createRedisStore } from '../../src/sessions/redis-store.ts'
import type { Budget } from '../../src/sessions/budget.ts'
import { SessionBook } from '../../src/sessions/session-book.ts'
import { startRedis } from '../support/redis.ts'
import { grantOf, spec } from '../unit/sessions/fixture.ts'
import { defaultLimits } from '../unit/sessions/limits.ts'

const requests = Number(process.argv[2] ?? 200_000)
const sessions = Number(process.argv[3] ?? 1000)

await using redis = await startRedis()
const prefix = randomBytes(4).toString('hex')

async function startReplica(): Promise<SessionBook> {
  const place = { url: redis.url, ca: null, prefix, graceMs: 30_000 }
  const book = new SessionBook({
    store: createRedisStore({ directory: '', key: Buffer.alloc(32, 1), log: () => undefined, redis: place }),
    grantFor: () => grantOf('dev'),
    limits: defaultLimits,
    log: () => undefined,
    now: Date.now,
    random: randomBytes,
    sweepMs: 1000,
    sessionsMax: 1_000_000,
  })
  await book.load()
  return book
}

async function commands(): Promise<number> {
  const stats = await redis.command('INFO', 'stats')
  return Number(/total_commands_processed:(\d+)/.exec(stats)?.[1])
}

function spend(budget: Budget): void {
  const host = budget.admit('a.test', performance.now(), 0)
  if ('kind' in host) return
  host.takeUp(500)
  host.takeDown(2000)
}

const quantile = (times: number[], q: number): string =>
  `${(times.toSorted((a, b) => a - b)[Math.floor((times.length - 1) * q)] ?? 0).toFixed(1)} ms`

const [a, b] = [await startReplica(), await startReplica()]
const created = await a.create({ ...spec, limits: { requestsPerMinute: 1_000_000_000 } })
if (created.kind === 'refused') throw new Error(created.reason)
created.session.budget.openConnection()
await delay(1000)
const idle = await commands()
await delay(1000)
const perSecond = (await commands()) - idle
const [before, began] = [await commands(), performance.now()]
for (let i = 0; i < requests; i++) {
  spend(created.session.budget)
  if (i % 1000 === 0) await delay(1)
}
await delay(600)
const seconds = (performance.now() - began) / 1000
const own = (await commands()) - before - perSecond * seconds
process.stdout.write(`commands for each request of a warm session: ${Math.max(0, own / requests).toFixed(5)}\n`)

const [known, cut]: [number[], number[]] = [[], []]
const ids: string[] = []
const makingBegan = performance.now()
for (let i = 0; i < sessions; i++) {
  const start = performance.now()
  const made = await a.create(spec)
  if (made.kind === 'refused') throw new Error(made.reason)
  await a.shared.laggards('answering')
  known.push(performance.now() - start)
  ids.push(made.session.id)
}
const rate = sessions / ((performance.now() - makingBegan) / 1000)
for (const id of ids) {
  const start = performance.now()
  await a.revoke(id)
  const behind = await a.shared.laggards('serving')
  cut.push(performance.now() - start)
  if (behind.length > 0 || b.get(id) !== undefined) throw new Error('not cut everywhere')
}
process.stdout.write(`made and known at both, one after the other: ${rate.toFixed(0)} a second\n`)
process.stdout.write(`made until known everywhere: p50 ${quantile(known, 0.5)}, p99 ${quantile(known, 0.99)}\n`)
process.stdout.write(`revoked until cut everywhere: p50 ${quantile(cut, 0.5)}, p99 ${quantile(cut, 0.99)}\n`)
await Promise.all([a.close(), b.close()])
