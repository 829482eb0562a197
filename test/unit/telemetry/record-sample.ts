/** A plain record, and the same with changes. */

import type { ExchangeRecord } from '../../../src/exchange/record.ts'
import { auditLine } from '../../../src/telemetry/audit-line.ts'

export function recordSample(changes: Partial<ExchangeRecord> = {}): ExchangeRecord {
  return {
    event: 'final',
    time: '2026-03-01T12:00:00.000Z',
    decisionId: 'd-1',
    session: 's-1',
    labels: { team: 'a' },
    listener: '127.0.0.1:3128',
    client: '127.0.0.1',
    policy: 'coding-agent',
    policyVersion: 3,
    policyLabel: 'coding-agent',
    rule: 'coding-agent#2',
    ruleHost: '*.example.com',
    kind: 'request',
    scheme: 'https',
    host: 'api.example.com',
    port: 443,
    method: 'POST',
    path: '/v1/messages',
    outcome: 'allow',
    reason: null,
    detail: null,
    status: 200,
    address: '192.0.2.7',
    bytesUp: 120,
    bytesDown: 4800,
    durations: { total: 12.5, decide: 0.25, connect: null, firstByte: 10 },
    credentials: [],
    redactions: 0,
    bodyPlaceholders: 0,
    nearLimits: [],
    repeated: 1,
    ...changes,
  }
}

/** What sinks are given. */
export function recordAndLine(changes: Partial<ExchangeRecord> = {}): [ExchangeRecord, string] {
  const record = recordSample(changes)
  return [record, auditLine(record)]
}
