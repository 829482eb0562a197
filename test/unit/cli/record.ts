/** A record that the tests of the commands change. */

import type { ExchangeRecord } from '../../../src/exchange/record.ts'

export function recordOf(change: Partial<ExchangeRecord> = {}): ExchangeRecord {
  return {
    event: 'final',
    time: '2026-03-04T05:06:07.250Z',
    decisionId: 'd-1',
    session: 's-7',
    labels: {},
    listener: '127.0.0.1:3128',
    client: '127.0.0.1',
    policy: 'dev',
    policyVersion: 1,
    policyLabel: 'dev',
    rule: 'dev#1',
    ruleHost: 'api.example.org',
    kind: 'request',
    scheme: 'https',
    host: 'api.example.org',
    port: 443,
    method: 'GET',
    path: '/v1',
    outcome: 'allow',
    reason: null,
    detail: null,
    status: 200,
    address: '192.0.2.1',
    bytesUp: 100,
    bytesDown: 2048,
    durations: { total: 12.4, decide: 0.2, connect: 5, firstByte: 9 },
    credentials: [],
    redactions: 0,
    bodyPlaceholders: 0,
    nearLimits: [],
    repeated: 1,
    ...change,
  }
}
