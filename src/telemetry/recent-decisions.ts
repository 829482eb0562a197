/**
 * The last decisions, in memory, for the API, the web page and `egress.local`; and the same live.
 *
 * Promises: bounded whatever happens; a listener that throws or is slow disturbs neither the others nor the walk.
 */

import type { ExchangeRecord, RecordOutcome } from '../exchange/record.ts'
import { parseAuditLine } from './audit-line.ts'
import { RecentLines } from './recent-lines.ts'

/** Undefined: no condition. */
export type DecisionFilter = {
  readonly session?: string | undefined
  readonly outcome?: RecordOutcome | undefined
  /** Exactly this host, as decided. */
  readonly host?: string | undefined
  /** RFC 3339: what began at this time or later. */
  readonly since?: string | undefined
  readonly limit?: number | undefined
  /** What the reader may see at all; the limit counts only these. */
  readonly visible?: ((record: ExchangeRecord) => boolean) | undefined
}

type DecisionListener = (record: ExchangeRecord) => void

export type RecentDecisions = {
  /** `line` is the record as the audit log says it. */
  readonly append: (record: ExchangeRecord, line: string) => void
  /** Newest first. */
  readonly list: (filter?: DecisionFilter) => ExchangeRecord[]
  /** Calls back for every record from now on, until the function it returns is called. */
  readonly subscribe: (listener: DecisionListener) => () => void
}

/** Twice what the usual number of records takes. */
const bytesMax = 16 * 1024 * 1024

export function createRecentDecisions(options: { readonly recordsMax: number }): RecentDecisions {
  const lines = new RecentLines({ linesMax: options.recordsMax, bytesMax })
  const listeners = new Set<DecisionListener>()

  return {
    append: (record, line) => {
      // An `open` record is news for those who watch; kept as well it would be the same exchange twice.
      if (record.event === 'final') lines.add(line)
      for (const listener of listeners) notify(listener, record)
    },
    list: (filter = {}) => {
      const since = filter.since === undefined ? null : Date.parse(filter.since)
      const found: ExchangeRecord[] = []
      const limit = filter.limit ?? options.recordsMax
      // What must stand in a line that matches; most lines are then not parsed.
      const needles = [filter.session, filter.host, filter.outcome].flatMap((text) =>
        text === undefined ? [] : [JSON.stringify(text)],
      )
      for (const line of lines.newest()) {
        if (found.length >= limit) break
        if (!needles.every((needle) => line.includes(needle))) continue
        const record = parseAuditLine(line)
        if (matches(record, filter, since)) found.push(record)
      }
      return found
    },
    subscribe: (listener) => {
      // A function of its own, so that two subscriptions of one listener are two.
      const own: DecisionListener = (record) => listener(record)
      listeners.add(own)
      return () => void listeners.delete(own)
    },
  }
}

function matches(record: ExchangeRecord, filter: DecisionFilter, since: number | null): boolean {
  return (
    (filter.session === undefined || record.session === filter.session) &&
    (filter.outcome === undefined || record.outcome === filter.outcome) &&
    (filter.host === undefined || record.host === filter.host) &&
    // Written this way, a time that is none matches nothing.
    (since === null || Date.parse(record.time) >= since) &&
    (filter.visible === undefined || filter.visible(record))
  )
}

function notify(listener: DecisionListener, record: ExchangeRecord): void {
  try {
    listener(record)
  } catch {
    // A page that is gone is its own door's to clean up; the record is not its hostage.
  }
}
