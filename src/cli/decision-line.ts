/**
 * A record as a line for people.
 *
 * Promises: one record is one line, and nothing a sandbox sent moves the cursor.
 */

import type { ExchangeRecord } from '../exchange/record.ts'
import { auditLine } from '../telemetry/audit-line.ts'
import { type Paint, paintFor, visible } from './paint.ts'
import type { World } from './world.ts'

const styles = {
  abandoned: 'dim',
  allow: 'green',
  audit: 'yellow',
  challenge: 'dim',
  deny: 'red',
  failed: 'yellow',
  fault: 'red',
  interrupted: 'yellow',
} as const satisfies Record<ExchangeRecord['outcome'], Parameters<Paint>[0]>

/** `05:06:07.250 DENY  s-7  GET https://example.org/x  host_not_allowed  [d-1]`. */
export function decisionLine(record: ExchangeRecord, paint: Paint): string {
  const { outcome, event, time, session, reason, status, durations, credentials, repeated, redactions } = record
  const shown = event === 'open' ? 'open' : outcome === 'deny' ? 'DENY' : outcome
  const facts = [
    ...(reason === null ? [] : [outcome === 'audit' ? `would be ${reason}` : reason]),
    ...(status === null || outcome === 'deny' ? [] : [String(status)]),
    ...(event === 'final' && outcome !== 'deny' ? [`${Math.round(durations.total)} ms`, traffic(record)] : []),
    ...(credentials.length === 0 ? [] : [`with ${credentials.join(', ')}`]),
    ...(redactions === 0 ? [] : [`${redactions} masked`]),
    ...(repeated > 1 ? [`x${repeated}`] : []),
  ]
  const line = [
    paint('dim', time.slice(11, 23)),
    paint(styles[outcome], shown.padEnd(9)),
    visible(session ?? '-'),
    visible(requestText(record)),
    visible(facts.join('  ')),
    paint('dim', `[${visible(record.decisionId)}]`),
  ]
  return line.filter((part) => part !== '').join('  ')
}

/** `GET https://example.org/x`, or as much of it as was seen. */
function requestText({ kind, scheme, host, port, method, path }: ExchangeRecord): string {
  const usual = scheme === 'http' ? 80 : 443
  const at = host === null ? '(unknown)' : `${host}${port === null || port === usual ? '' : `:${port}`}`
  if (kind !== 'request') return `${kind.toUpperCase()} ${host === null ? at : `${host}:${port ?? usual}`}`
  return `${method ?? '?'} ${scheme ?? 'http'}://${at}${path ?? ''}`
}

function traffic({ bytesUp, bytesDown }: ExchangeRecord): string {
  return `up ${bytesText(bytesUp)} down ${bytesText(bytesDown)}`
}

export function bytesText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  if (bytes < 2 ** 20) return `${(bytes / 1024).toFixed(1)} KiB`
  return bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${(bytes / 2 ** 30).toFixed(2)} GiB`
}

/** Prints records one a line, for people or for machines. */
export function decisionPrinter(world: World, { json }: { readonly json: boolean }): (record: ExchangeRecord) => void {
  const paint = paintFor(world.out, world.env)
  return (record) => world.out.write(json ? `${auditLine(record)}\n` : `${decisionLine(record, paint)}\n`)
}
