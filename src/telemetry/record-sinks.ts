/**
 * Record, the last room: one record goes to the audit log, the counters, the recent decisions and the log.
 *
 * Promises: a sink that throws costs the others nothing, and the walk less: it is a bug, and is told to the operator.
 * Whether anything new may be allowed is for the audit log alone to say.
 */

import type { ExchangeRecord, RecordSink } from '../exchange/record.ts'
import { auditLine } from './audit-line.ts'
import type { AuditLog } from './audit-log.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { RecentDecisions } from './recent-decisions.ts'

export type RecordSinks = {
  readonly audit: Pick<AuditLog, 'accepting' | 'append'>
  readonly metrics: Pick<Metrics, 'observe'>
  readonly recent: Pick<RecentDecisions, 'append'>
  readonly log: Pick<Log, 'debug' | 'error' | 'info' | 'warn'>
}

type Sink = (record: ExchangeRecord, line: string) => void

export function createRecordSink({ audit, metrics, recent, log }: RecordSinks): RecordSink {
  // The audit log first: what is counted or shown is on its way to the file already.
  const sinks: readonly Sink[] = [audit.append, metrics.observe, recent.append, (record) => logRecord(log, record)]
  return {
    accepting: audit.accepting,
    append: (record) => {
      const line = auditLine(record)
      for (const sink of sinks) {
        try {
          sink(record, line)
        } catch (error) {
          report(log, error, record)
        }
      }
    },
  }
}

function report(log: RecordSinks['log'], error: unknown, record: ExchangeRecord): void {
  try {
    log.error({ error, decisionId: record.decisionId }, 'a sink of records failed; this is a bug')
  } catch {
    // The log itself is the sink that failed.
  }
}

/** How loud each outcome is: what a sandbox can cause at will stays below `warn`. */
const levels = {
  abandoned: 'debug',
  allow: 'debug',
  audit: 'info',
  challenge: 'debug',
  deny: 'info',
  failed: 'info',
  fault: 'error',
  interrupted: 'info',
} as const satisfies Record<ExchangeRecord['outcome'], keyof Log>

function logRecord(log: RecordSinks['log'], record: ExchangeRecord): void {
  if (record.event !== 'final') return
  const { decisionId, session, host, port, method, reason, status, detail, repeated } = record
  const fields = { decisionId, session, host, port, method, reason, status }
  const plain = detail === null && repeated === 1
  const more = { ...(detail === null ? {} : { detail }), ...(repeated > 1 ? { repeated } : {}) }
  log[levels[record.outcome]](plain ? fields : { ...fields, ...more }, record.outcome)
}
