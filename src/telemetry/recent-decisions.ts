/**
 * The last decisions, in memory, for the API, the web page and `egress.local`; and the same live.
 *
 * Promises: bounded whatever happens; a listener that throws or is slow disturbs neither the others nor the walk; whoever
 * lost the thread and says where is told what fell since, or that not all of it is known any more.
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
  /** Labels that all that is visible carries: lines without them need not be read. */
  readonly labels?: Readonly<Record<string, string>> | undefined
}

/** One record as it fell. */
export type Fallen = {
  readonly record: ExchangeRecord
  /** As the audit log says it. */
  readonly line: string
  /** Behind it everything that fell later follows: opaque, and good for this run only. */
  readonly place: string
}

type DecisionListener = (fallen: Fallen) => void

export type RecentDecisions = {
  /** `line` is the record as the audit log says it. */
  readonly append: (record: ExchangeRecord, line: string) => void
  /** Newest first. */
  readonly list: (filter?: DecisionFilter) => ExchangeRecord[]
  /** Calls back for every record from now on, until the function it returns is called. */
  readonly subscribe: (listener: DecisionListener) => () => void
  /** The final records behind a place, oldest first: the newest that fit. `complete`: all of them. */
  readonly after: (
    place: string,
    passes: (record: ExchangeRecord) => boolean,
    bytesMax: number,
  ) => { readonly fallen: readonly Fallen[]; readonly complete: boolean }
}

/** Twice what the usual number of records takes. */
const bytesMax = 16 * 1024 * 1024

export type RecentDecisionsOptions = {
  readonly recordsMax: number
  /** Tells the places of this run from those of others. */
  readonly run: string
}

export function createRecentDecisions(options: RecentDecisionsOptions): RecentDecisions {
  const lines = new RecentLines({ linesMax: options.recordsMax, bytesMax })
  const listeners = new Set<DecisionListener>()
  const placeOf = (number: number): string => `${options.run}-${number}`

  return {
    append: (record, line) => {
      // An `open` record is news for those who watch; kept as well it would be the same exchange twice.
      if (record.event === 'final') lines.add(line)
      if (listeners.size === 0) return
      // An `open` one has the place of the final one before it.
      const fallen = { record, line, place: placeOf(lines.added) }
      for (const listener of listeners) notify(listener, fallen)
    },
    list: (filter = {}) => {
      const since = filter.since === undefined ? null : Date.parse(filter.since)
      const found: ExchangeRecord[] = []
      const limit = filter.limit ?? options.recordsMax
      // What must stand in a line that matches; most lines are then not parsed.
      const needles = [
        ...[filter.session, filter.host, filter.outcome]
          .flatMap((text) => text ?? [])
          .map((text) => JSON.stringify(text)),
        ...Object.entries(filter.labels ?? {}).map((label) => label.map((text) => JSON.stringify(text)).join(':')),
      ]
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
      const own: DecisionListener = (fallen) => listener(fallen)
      listeners.add(own)
      return () => void listeners.delete(own)
    },
    after: (place, passes, bytesMax) => {
      const [run, digits = ''] = place.split('-')
      const since = run === options.run && /^\d{1,15}$/.test(digits) ? Number(digits) : Number.NaN
      const fallen: Fallen[] = []
      let bytes = 0
      let number = lines.added
      for (const line of lines.newest()) {
        if (!(number > since) || bytes > bytesMax) break
        const record = parseAuditLine(line)
        if (passes(record)) {
          bytes += line.length
          if (bytes <= bytesMax) fallen.push({ record, line, place: placeOf(number) })
        }
        number--
      }
      return { fallen: fallen.reverse(), complete: number <= since && bytes <= bytesMax }
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

function notify(listener: DecisionListener, fallen: Fallen): void {
  try {
    listener(fallen)
  } catch {
    // A page that is gone is its own door's to clean up; the record is not its hostage.
  }
}
