/**
 * Counters, histograms and gauges, counted from records: the numbers and the audit log cannot disagree.
 *
 * Promises: every label comes from a closed set; nothing a sandbox sends becomes one, and however many policies an
 * operator makes, the number of series is bounded. A record costs under 3 µs: its counters are found together, by one
 * key, and the Prometheus library is handed their values only when somebody asks.
 */

import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { ExchangeRecord } from '../exchange/record.ts'
import { knownMethods } from '../net/request-head.ts'
import { Durations } from './durations.ts'
import { type Child, createLabelledCounter, type LabelledCounter } from './labelled-counter.ts'
import { type MetricName, metricsTable } from './metrics-table.ts'

/** What other parts know and are asked for when somebody scrapes. */
export type Gauges = {
  readonly sessionsActive: () => number
  readonly tunnelsOpen: () => number
  readonly streamsOpen: () => number
  readonly enforcing: () => boolean
  readonly caNotAfterSeconds: () => number
  readonly auditDropped: () => number
  readonly connectionsOpen: () => number
  readonly connectionsEvicted: () => number
  /** How many live sessions are near each limit. */
  readonly nearLimits: () => ReadonlyMap<string, number>
  readonly storeUp: () => boolean
  readonly leafCache: () => {
    readonly hits: number
    readonly misses: number
    readonly evictions: number
    readonly size: number
  }
}

export type MetricsOptions = {
  readonly gauges: Gauges
  /** Series of one metric; beyond them labels become `other`. */
  readonly seriesMax?: number
}

export type Metrics = {
  /** Counts a final record; an `open` one is not an end and counts for nothing. */
  readonly observe: (record: ExchangeRecord) => void
  readonly policyReload: (result: 'failed' | 'ok') => void
  readonly text: () => Promise<string>
  readonly contentType: string
}

/** A scrape of this many takes some 20 ms. */
const defaultSeriesMax = 5000
/** Combinations of labels whose counters are remembered together; a memory, not a bound of the counters. */
const rememberedMax = 10_000

const methods: ReadonlySet<string> = new Set([...knownMethods, 'CONNECT'])

/** Statuses worth a series of their own; an origin may send any number, the others are counted by class. */
const statuses: ReadonlySet<number> = new Set([
  101, 200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 407, 408, 409, 410, 413, 421,
  422, 429, 500, 501, 502, 503, 504, 529,
])

const buckets = {
  sallyport_decision_duration_seconds: [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1],
  sallyport_request_duration_seconds: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300],
  sallyport_upstream_connect_duration_seconds: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
} as const satisfies Partial<Record<MetricName, readonly number[]>>

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  registerGauges(registry, options.gauges)
  registerNearLimits(registry, options.gauges.nearLimits)
  const overflow = counter(registry, 'sallyport_series_overflow_total')
  const labelled = (name: MetricName, open: readonly string[]): LabelledCounter => {
    const counted = createLabelledCounter({
      names: metricsTable[name].labels,
      open,
      seriesMax: options.seriesMax ?? defaultSeriesMax,
      onOverflow: () => overflow.inc({ metric: name }),
    })
    counter(registry, name, function () {
      this.reset()
      for (const { labels, value } of counted.children()) this.inc(labels, value)
    })
    return counted
  }
  const counters = {
    bodyPlaceholders: labelled('sallyport_body_placeholders_total', ['policy']),
    bytes: labelled('sallyport_bytes_total', ['host', 'policy']),
    credentialUses: labelled('sallyport_credential_uses_total', ['credential']),
    decisions: labelled('sallyport_decisions_total', ['policy']),
    limitsNeared: labelled('sallyport_limits_neared_total', ['policy']),
    redactions: labelled('sallyport_redactions_total', ['credential']),
    reloads: labelled('sallyport_policy_reloads_total', []),
    requests: labelled('sallyport_requests_total', ['host', 'policy']),
  }
  counters.reloads.child('failed')
  counters.reloads.child('ok')
  const histograms = {
    connect: histogram(registry, 'sallyport_upstream_connect_duration_seconds'),
    decide: histogram(registry, 'sallyport_decision_duration_seconds'),
    request: histogram(registry, 'sallyport_request_duration_seconds'),
  }
  const childrenFor = rememberChildren(counters)

  return {
    observe: (record) => {
      // Told when it happens, which may be long before the end.
      for (const limit of record.nearLimits) counters.limitsNeared.child(limit, record.policyLabel ?? 'none').value++
      if (record.event !== 'final') return
      const children = childrenFor(record)
      children.decisions.value += record.repeated
      children.requests.value += record.repeated
      children.bytesUp.value += record.bytesUp
      children.bytesDown.value += record.bytesDown
      for (const used of children.credentials) used.value += record.repeated
      if (record.redactions > 0) counters.redactions.child(record.credentials[0] ?? 'other').value += record.redactions
      if (record.bodyPlaceholders > 0)
        counters.bodyPlaceholders.child(record.policyLabel ?? 'none').value += record.bodyPlaceholders
      const { total, decide, connect } = record.durations
      if (record.kind === 'request') histograms.request.add(total / 1000)
      if (decide !== null) histograms.decide.add(decide / 1000)
      if (connect !== null) histograms.connect.add(connect / 1000)
    },
    policyReload: (result) => {
      counters.reloads.child(result).value++
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  }
}

type Counters = Readonly<
  Record<'bodyPlaceholders' | 'bytes' | 'credentialUses' | 'decisions' | 'redactions' | 'requests', LabelledCounter>
>
type RecordChildren = Readonly<Record<'bytesDown' | 'bytesUp' | 'decisions' | 'requests', Child>> & {
  readonly credentials: readonly Child[]
}

function rememberChildren(counters: Counters): (record: ExchangeRecord) => RecordChildren {
  const remembered = new Map<string, RecordChildren>()
  let latest: { readonly record: ExchangeRecord; readonly children: RecordChildren } | null = null
  const find = (record: ExchangeRecord): RecordChildren => {
    const policy = record.policyLabel ?? 'none'
    const host = record.ruleHost ?? 'other'
    const method = record.method === null ? 'none' : methods.has(record.method) ? record.method : 'other'
    const key = `${policy} ${host} ${method} ${record.status} ${record.outcome} ${record.reason} ${record.credentials.join()}`
    const known = remembered.get(key)
    if (known !== undefined) return known
    const children = {
      credentials: credentialUsesOf(counters.credentialUses, record),
      bytesDown: counters.bytes.child(policy, host, 'down'),
      bytesUp: counters.bytes.child(policy, host, 'up'),
      decisions: counters.decisions.child(record.outcome, record.reason ?? 'none', policy),
      requests: counters.requests.child(policy, host, method, statusLabel(record.status)),
    }
    if (remembered.size >= rememberedMax) remembered.clear()
    remembered.set(key, children)
    return children
  }
  return (record) => {
    // Most records are counted where the one before was.
    if (latest === null || !countedAlike(latest.record, record)) latest = { record, children: find(record) }
    return latest.children
  }
}

function countedAlike(one: ExchangeRecord, other: ExchangeRecord): boolean {
  return (
    one.status === other.status &&
    one.ruleHost === other.ruleHost &&
    one.method === other.method &&
    one.outcome === other.outcome &&
    one.reason === other.reason &&
    one.policyLabel === other.policyLabel &&
    one.credentials.length === other.credentials.length &&
    one.credentials.every((name, index) => name === other.credentials[index])
  )
}

function statusLabel(status: number | null): string {
  if (status === null) return 'none'
  if (statuses.has(status)) return `${status}`
  return Number.isInteger(status) && status >= 100 && status <= 599 ? `${Math.floor(status / 100)}xx` : 'other'
}

function credentialUsesOf(uses: LabelledCounter, record: ExchangeRecord): Child[] {
  const unavailable = record.reason === 'secret_unavailable'
  if (unavailable && record.credentials.length === 0) return [uses.child('other', 'unavailable')]
  const passed = record.outcome === 'allow' || record.outcome === 'audit'
  return record.credentials.map((name) => uses.child(name, unavailable ? 'unavailable' : passed ? 'ok' : 'failed'))
}

function registerGauges(registry: Registry, gauges: Gauges): void {
  const readings: Partial<Record<MetricName, () => number>> = {
    sallyport_audit_dropped_total: gauges.auditDropped,
    sallyport_ca_not_after_seconds: gauges.caNotAfterSeconds,
    sallyport_connections_evicted_total: gauges.connectionsEvicted,
    sallyport_connections_open: gauges.connectionsOpen,
    sallyport_enforcing: () => (gauges.enforcing() ? 1 : 0),
    sallyport_leaf_cache_evictions_total: () => gauges.leafCache().evictions,
    sallyport_leaf_cache_hits_total: () => gauges.leafCache().hits,
    sallyport_leaf_cache_misses_total: () => gauges.leafCache().misses,
    sallyport_leaf_cache_size: () => gauges.leafCache().size,
    sallyport_sessions_active: gauges.sessionsActive,
    sallyport_store_up: () => (gauges.storeUp() ? 1 : 0),
    sallyport_streams_open: gauges.streamsOpen,
    sallyport_tunnels_open: gauges.tunnelsOpen,
  }
  for (const [key, read] of Object.entries(readings)) {
    const name = key as MetricName
    if (metricsTable[name].type === 'gauge') {
      const gauge: Gauge = new Gauge({ ...described(registry, name), collect: () => gauge.set(read()) })
    } else {
      counter(registry, name, function () {
        this.reset()
        this.inc(read())
      })
    }
  }
}

function registerNearLimits(registry: Registry, nearLimits: Gauges['nearLimits']): void {
  const gauge: Gauge = new Gauge({
    ...described(registry, 'sallyport_sessions_near_limit'),
    collect: () => {
      gauge.reset()
      for (const [limit, sessions] of nearLimits()) gauge.set({ limit }, sessions)
    },
  })
}

function counter(registry: Registry, name: MetricName, collect?: (this: Counter) => void): Counter {
  return new Counter({ ...described(registry, name), ...(collect === undefined ? {} : { collect }) })
}

function histogram(registry: Registry, name: keyof typeof buckets): Durations {
  return new Durations({ name, help: metricsTable[name].help, buckets: buckets[name], registers: [registry] })
}

function described(registry: Registry, name: MetricName) {
  const { help, labels } = metricsTable[name]
  return { name, help, labelNames: [...labels] as string[], registers: [registry] }
}
