/** Audit log, metrics, recent decisions and log, joined into the one place where records go. */

import { randomBytes } from 'node:crypto'
import type { Config } from '../config/config-schema.ts'
import type { RecordSink } from '../exchange/record.ts'
import { createAuditLog } from '../telemetry/audit-log.ts'
import type { Log } from '../telemetry/log.ts'
import { createMetrics, type Gauges, type Metrics } from '../telemetry/metrics.ts'
import { createRecentDecisions, type RecentDecisions } from '../telemetry/recent-decisions.ts'
import { createRecordSink } from '../telemetry/record-sinks.ts'

export type GatewayTelemetry = {
  readonly sink: RecordSink
  readonly recent: RecentDecisions
  readonly metricsText: () => Promise<{ readonly contentType: string; readonly text: string }>
  readonly policyReload: Metrics['policyReload']
  readonly accepting: () => boolean
  /** Everything recorded so far is written when this resolves. */
  readonly flush: () => Promise<void>
  readonly close: () => Promise<void>
}

export function createTelemetry(config: Config, log: Log, gauges: Omit<Gauges, 'auditDropped'>): GatewayTelemetry {
  const audit = createAuditLog({ ...config.audit, now: Date.now })
  const metrics = createMetrics({ gauges: { ...gauges, auditDropped: () => audit.stats().dropped } })
  const recent = createRecentDecisions({
    recordsMax: config.limits.recentDecisionsMax,
    run: randomBytes(6).toString('hex'),
  })
  return {
    sink: createRecordSink({ audit, metrics, recent, log }),
    recent,
    metricsText: async () => ({ contentType: metrics.contentType, text: await metrics.text() }),
    policyReload: metrics.policyReload,
    accepting: audit.accepting,
    flush: audit.flush,
    close: audit.close,
  }
}
