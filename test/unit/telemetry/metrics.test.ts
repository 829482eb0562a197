import { expect, it } from 'vitest'
import type { ExchangeRecord } from '../../../src/exchange/record.ts'
import { Registry } from 'prom-client'
import { Durations } from '../../../src/telemetry/durations.ts'
import { createMetrics, type Metrics } from '../../../src/telemetry/metrics.ts'
import { metricsTable } from '../../../src/telemetry/metrics-table.ts'
import { recordSample } from './record-sample.ts'

function metricsSample(seriesMax?: number): Metrics {
  return createMetrics({
    gauges: {
      sessionsActive: () => 3,
      tunnelsOpen: () => 2,
      streamsOpen: () => 1,
      enforcing: () => false,
      caNotAfterSeconds: () => 1_900_000_000,
      connectionsOpen: () => 3,
      connectionsEvicted: () => 1,
      nearLimits: () => new Map([['uploadBytes', 1]]),
      storeUp: () => true,
      auditDropped: () => 4,
      leafCache: () => ({ hits: 9, misses: 5, evictions: 1, size: 4 }),
    },
    ...(seriesMax === undefined ? {} : { seriesMax }),
  })
}

async function lines(metrics: Metrics, name: string): Promise<string[]> {
  const text = await metrics.text()
  return text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
}

async function sum(metrics: Metrics, name: string): Promise<number> {
  return (await lines(metrics, name)).reduce((total, line) => total + Number(line.split(' ').at(-1)), 0)
}

it('one record moves every counter it concerns', async () => {
  const metrics = metricsSample()
  metrics.observe(recordSample({ credentials: ['anthropic'], redactions: 2, bodyPlaceholders: 3 }))
  const policy = 'policy="coding-agent"'
  expect(await lines(metrics, 'sallyport_decisions_total')).toEqual([
    `sallyport_decisions_total{outcome="allow",reason="none",${policy}} 1`,
  ])
  expect(await lines(metrics, 'sallyport_requests_total')).toEqual([
    `sallyport_requests_total{${policy},host="*.example.com",method="POST",status="200"} 1`,
  ])
  expect(await lines(metrics, 'sallyport_bytes_total')).toEqual([
    `sallyport_bytes_total{${policy},host="*.example.com",direction="down"} 4800`,
    `sallyport_bytes_total{${policy},host="*.example.com",direction="up"} 120`,
  ])
  expect(await lines(metrics, 'sallyport_credential_uses_total')).toEqual([
    'sallyport_credential_uses_total{credential="anthropic",result="ok"} 1',
  ])
  expect(await lines(metrics, 'sallyport_redactions_total')).toEqual([
    'sallyport_redactions_total{credential="anthropic"} 2',
  ])
  expect(await lines(metrics, 'sallyport_body_placeholders_total')).toEqual([
    `sallyport_body_placeholders_total{${policy}} 3`,
  ])
  expect(await lines(metrics, 'sallyport_request_duration_seconds_sum')).toEqual([
    'sallyport_request_duration_seconds_sum 0.0125',
  ])
  expect(await lines(metrics, 'sallyport_upstream_connect_duration_seconds_count')).toEqual([
    'sallyport_upstream_connect_duration_seconds_count 0',
  ])
})

it('a record that stands for many counts as many; an open one for none', async () => {
  const metrics = metricsSample()
  metrics.observe(
    recordSample({ outcome: 'deny', reason: 'host_not_allowed', status: 403, ruleHost: null, repeated: 40 }),
  )
  metrics.observe(recordSample({ event: 'open' }))
  expect(await sum(metrics, 'sallyport_decisions_total')).toBe(40)
  expect(await sum(metrics, 'sallyport_requests_total')).toBe(40)
})

it.each<[string, Partial<ExchangeRecord>, string]>([
  ['a host that no rule names is other', { ruleHost: null, host: 'secret.example' }, 'host="other"'],
  ['an invented method is other', { method: 'X"}\n' }, 'method="other"'],
  ['no method is none', { method: null }, 'method="none"'],
  ['a CONNECT is itself', { method: 'CONNECT' }, 'method="CONNECT"'],
  ['a usual status is itself', { status: 404 }, 'status="404"'],
  ['an unusual status is its class', { status: 299 }, 'status="2xx"'],
  ['a status that is none is other', { status: 999 }, 'status="other"'],
  ['a client that left has none', { status: null }, 'status="none"'],
  ['no policy is none', { policyLabel: null }, 'policy="none"'],
])('%s', async (_, changes, expected) => {
  const metrics = metricsSample()
  metrics.observe(recordSample(changes))
  expect((await lines(metrics, 'sallyport_requests_total')).join()).toContain(expected)
})

it.each<[string, Partial<ExchangeRecord>, string]>([
  [
    'failed behind it',
    { outcome: 'failed', reason: 'dns_failed', credentials: ['a'] },
    '{credential="a",result="failed"} 1',
  ],
  [
    'unavailable',
    { outcome: 'deny', reason: 'secret_unavailable', credentials: ['a'] },
    '{credential="a",result="unavailable"} 1',
  ],
  [
    'unavailable, unnamed',
    { outcome: 'deny', reason: 'secret_unavailable' },
    '{credential="other",result="unavailable"} 1',
  ],
])('a credential whose exchange was %s is counted so', async (_, changes, expected) => {
  const metrics = metricsSample()
  metrics.observe(recordSample(changes))
  expect(await lines(metrics, 'sallyport_credential_uses_total')).toEqual([
    `sallyport_credential_uses_total${expected}`,
  ])
})

it('whatever sandboxes send, the number of series does not grow (LOG-04)', async () => {
  const metrics = metricsSample()
  const before = (await metrics.text()).split('\n').length
  for (let i = 0; i < 20_000; i++)
    metrics.observe(
      recordSample({
        session: `s-${i}`,
        decisionId: `d-${i}`,
        host: `h${i}.example`,
        ruleHost: null,
        method: `M${i}`,
        path: `/${i}`,
        status: 100 + (i % 900),
        outcome: 'deny',
        reason: 'host_not_allowed',
      }),
    )
  expect((await metrics.text()).split('\n').length - before).toBeLessThan(50)
  expect(await sum(metrics, 'sallyport_requests_total')).toBe(20_000)
})

it('however many policies and rules there are, series are capped, it shows, and the sums stay true', async () => {
  const metrics = metricsSample(100)
  for (let i = 0; i < 1000; i++)
    metrics.observe(recordSample({ policyLabel: `policy-${i}`, ruleHost: `h${i}.example` }))
  for (const name of ['sallyport_requests_total', 'sallyport_decisions_total']) {
    expect((await lines(metrics, name)).length).toBeLessThanOrEqual(101)
    expect(await sum(metrics, name)).toBe(1000)
  }
  expect((await lines(metrics, 'sallyport_series_overflow_total')).join()).toContain(
    'metric="sallyport_requests_total"',
  )
})

it('gauges say what the parts say when asked', async () => {
  const metrics = metricsSample()
  metrics.policyReload('failed')
  const text = await metrics.text()
  for (const line of [
    'sallyport_sessions_active 3',
    'sallyport_tunnels_open 2',
    'sallyport_streams_open 1',
    'sallyport_enforcing 0',
    'sallyport_ca_not_after_seconds 1900000000',
    'sallyport_audit_dropped_total 4',
    'sallyport_leaf_cache_hits_total 9',
    'sallyport_leaf_cache_misses_total 5',
    'sallyport_leaf_cache_evictions_total 1',
    'sallyport_leaf_cache_size 4',
    'sallyport_policy_reloads_total{result="failed"} 1',
    'sallyport_policy_reloads_total{result="ok"} 0',
  ])
    expect(text.split('\n')).toContain(line)
  // A second scrape gives the same: counters fed by callbacks are read, not added up.
  expect((await metrics.text()).split('\n')).toContain('sallyport_leaf_cache_hits_total 9')
})

it('every metric of the table is there with its help and type, none of ours is not, and Node has its own', async () => {
  const metrics = metricsSample()
  const text = await metrics.text()
  for (const [name, { help, type }] of Object.entries(metricsTable)) {
    expect(text).toContain(`# HELP ${name} ${help}\n`)
    expect(text).toContain(`# TYPE ${name} ${type}\n`)
  }
  const ours = text.match(/^# TYPE sallyport_\w+/gm) ?? []
  expect(ours).toHaveLength(Object.keys(metricsTable).length)
  expect(text).toContain('nodejs_eventloop_lag_seconds')
  expect(metrics.contentType).toMatch(/^text\/plain/)
})

it('a histogram is cumulative: each bound counts what is not above it, and the last counts all', async () => {
  const registry = new Registry()
  const durations = new Durations({ name: 'd', help: 'h', buckets: [0.1, 1], registers: [registry] })
  for (const seconds of [0.05, 0.1, 0.5, 1, 7]) durations.add(seconds)
  expect((await registry.metrics()).trim().split('\n')).toEqual([
    '# HELP d h',
    '# TYPE d histogram',
    'd_bucket{le="0.1"} 2',
    'd_bucket{le="1"} 4',
    'd_bucket{le="+Inf"} 5',
    'd_sum 8.65',
    'd_count 5',
  ])
  expect((await registry.getMetricsAsJSON())[0]).toMatchObject({ name: 'd', type: 'histogram' })
})
