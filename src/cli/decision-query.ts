/** What is asked of a gateway's or a file's records, and what comes back. Pure. */

import { InvalidArgumentError } from 'commander'
import type { ExchangeRecord, RecordOutcome } from '../exchange/record.ts'

/** What is asked of the records; undefined: no condition. */
export type Wanted = {
  readonly session: string | undefined
  readonly host: string | undefined
  readonly outcome: RecordOutcome | undefined
}

/** As the control API has it. */
export const pageMax = 1000

export function parseCount(text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (count < 1 || count > pageMax) throw new InvalidArgumentError(`Write a number from 1 to ${pageMax}.`)
  return count
}

export function queryOf(wanted: Wanted, more: Readonly<Record<string, string>> = {}): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries({ ...wanted, ...more })) if (value !== undefined) query.set(name, value)
  return query.toString()
}

export function parseDecisions(value: unknown): readonly ExchangeRecord[] {
  const { decisions } = value as { readonly decisions?: readonly unknown[] }
  return (decisions ?? []).filter(isRecordLike)
}

/** One line of an audit log, or one event; null: it is none. */
export function parseRecordLine(text: string): ExchangeRecord | null {
  try {
    const value: unknown = JSON.parse(text)
    return isRecordLike(value) ? value : null
  } catch {
    return null
  }
}

/** What a line for people is made of: a file may be cut off, or not ours. */
function isRecordLike(value: unknown): value is ExchangeRecord {
  if (typeof value !== 'object' || value === null) return false
  const { event, time, decisionId, outcome, kind, durations, credentials } = value as Partial<ExchangeRecord>
  return (
    (event === 'final' || event === 'open') &&
    typeof time === 'string' &&
    typeof decisionId === 'string' &&
    typeof outcome === 'string' &&
    typeof kind === 'string' &&
    typeof durations === 'object' &&
    durations !== null &&
    Array.isArray(credentials)
  )
}
