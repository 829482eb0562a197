import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { array, asyncProperty, assert, constantFrom, integer, record } from 'fast-check'
import { expect, it } from 'vitest'
import type { ExchangeRecord } from '../../../src/exchange/record.ts'
import { createAuditLog } from '../../../src/telemetry/audit-log.ts'
import { createMetrics } from '../../../src/telemetry/metrics.ts'
import { createRecentDecisions } from '../../../src/telemetry/recent-decisions.ts'
import { createRecordSink } from '../../../src/telemetry/record-sinks.ts'
import { recordSample } from './record-sample.ts'

const nothing = () => undefined
const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing }
const none = () => 0
const gauges = {
  sessionsActive: none,
  tunnelsOpen: none,
  streamsOpen: none,
  enforcing: () => true,
  caNotAfterSeconds: none,
  connectionsOpen: () => 3,
  connectionsEvicted: () => 1,
  nearLimits: () => new Map([['uploadBytes', 1]]),
  storeUp: () => true,
  auditDropped: none,
  leafCache: () => ({ hits: 0, misses: 0, evictions: 0, size: 0 }),
}

const exchanges = array(
  record({
    event: constantFrom('final', 'open'),
    outcome: constantFrom<ExchangeRecord['outcome'][]>('allow', 'audit', 'challenge', 'deny', 'failed'),
    reason: constantFrom<ExchangeRecord['reason'][]>(null, 'host_not_allowed', 'rate_limited', 'dns_failed'),
    policyLabel: constantFrom(null, 'a', 'b', 'c', 'd'),
    repeated: integer({ min: 1, max: 50 }),
    bytesUp: integer({ min: 0, max: 1000 }),
  }),
  { minLength: 1, maxLength: 60 },
)

it('summed over any labels, the final records of the audit log equal the counters, also past the cap of series', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'equal-'))
  let run = 0
  const compare = async (changes: readonly Partial<ExchangeRecord>[]): Promise<void> => {
    const file = join(folder, `${run++}.jsonl`)
    // A queue this small is full after a few lines: the summing up of refusals is part of what is compared.
    const audit = createAuditLog({
      file,
      stdout: false,
      bytesMax: 1e6,
      filesMax: 1,
      queueBytesMax: 2400,
      fsync: 'never',
      now: none,
    })
    const metrics = createMetrics({ gauges, seriesMax: 4 })
    const sink = createRecordSink({
      audit,
      metrics,
      recent: createRecentDecisions({ recordsMax: 5, run: 'run' }),
      log: silent,
    })
    for (const change of changes) {
      if (change.outcome !== 'deny' && change.outcome !== 'challenge') await audit.flush()
      sink.append(recordSample(change))
    }
    await audit.close()
    const written = readFileSync(file, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as ExchangeRecord)
    const finals = written.filter(({ event }) => event === 'final')
    const counted = await countersOf(metrics.text())
    expect(counted('sallyport_decisions_total')).toBe(sumOf(finals, 'repeated'))
    expect(counted('sallyport_requests_total')).toBe(sumOf(finals, 'repeated'))
    expect(audit.stats().dropped).toBe(0)
  }
  await assert(asyncProperty(exchanges, compare), { numRuns: 25 })
  await rm(folder, { recursive: true })
})

function sumOf(records: readonly ExchangeRecord[], key: 'repeated'): number {
  return records.reduce((sum, one) => sum + one[key], 0)
}

async function countersOf(text: Promise<string>): Promise<(name: string) => number> {
  const lines = (await text).split('\n')
  return (name) =>
    lines.filter((line) => line.startsWith(`${name}{`)).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}
