/**
 * One record as one line of the audit log.
 *
 * Promises: one line is one JSON object in printable ASCII, whatever a sandbox sent. Quotes, controls, U+2028, lone
 * surrogates and every other character outside ASCII leave as escapes (CWE-117), so a line never breaks, never moves a
 * terminal's cursor, and its length is its size in bytes. The fields are these, also where a record should hold more.
 */

import type { ExchangeRecord } from '../exchange/record.ts'

/** What every line begins with; `audit-repair.ts` finds open exchanges by it without parsing the others. */
export const linePrefix = { final: '{"event":"final","decisionId":', open: '{"event":"open","decisionId":' } as const

// Tried on Node 26: one `JSON.stringify` of a literal costs 0.5 µs, a line assembled by hand more.
export function auditLine(record: ExchangeRecord): string {
  const json = JSON.stringify({
    event: record.event,
    decisionId: record.decisionId,
    time: record.time,
    session: record.session,
    labels: record.labels,
    listener: record.listener,
    client: record.client,
    policy: record.policy,
    policyVersion: record.policyVersion,
    policyLabel: record.policyLabel,
    rule: record.rule,
    ruleHost: record.ruleHost,
    kind: record.kind,
    scheme: record.scheme,
    host: record.host,
    port: record.port,
    method: record.method,
    path: record.path,
    outcome: record.outcome,
    reason: record.reason,
    detail: record.detail,
    status: record.status,
    address: record.address,
    bytesUp: record.bytesUp,
    bytesDown: record.bytesDown,
    durations: {
      total: microseconds(record.durations.total),
      decide: microseconds(record.durations.decide),
      connect: microseconds(record.durations.connect),
      firstByte: microseconds(record.durations.firstByte),
    },
    credentials: record.credentials,
    redactions: record.redactions,
    bodyPlaceholders: record.bodyPlaceholders,
    nearLimits: record.nearLimits,
    repeated: record.repeated,
  })
  return isPrintableAscii(json) ? json : json.replace(/[\u007f-\uffff]/g, escape)
}

/** A line that `auditLine` made. */
export function parseAuditLine(line: string): ExchangeRecord {
  return JSON.parse(line) as ExchangeRecord
}

// JSON.stringify escapes the C0 controls and lone surrogates itself. DEL and the C1 controls are legal in JSON and still
// move a terminal's cursor. Asked this way because an expression over the whole line costs as much as writing it.
function isPrintableAscii(json: string): boolean {
  return Buffer.byteLength(json, 'utf8') === json.length && !json.includes('\u007f')
}

function escape(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** Rounded to a microsecond, still in milliseconds; a full double is 17 digits of noise per line. */
function microseconds(value: number | null): number | null {
  return value === null ? null : Math.round(value * 1000) / 1000
}
