/**
 * Every metric of ours, its name, help and labels, in one table. Names are public and stable; the README's table equals
 * this one, both ways.
 */

type Row = {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
}

export const metricsTable = {
  sallyport_audit_dropped_total: {
    type: 'counter',
    help: 'Records that the audit log could neither write nor keep. Must stay 0.',
    labels: [],
  },
  sallyport_body_placeholders_total: {
    type: 'counter',
    help: 'Placeholders in request bodies that were judged. They pass, and open nothing where they arrive.',
    labels: ['policy'],
  },
  sallyport_bytes_total: {
    type: 'counter',
    help: 'Bytes of heads and bodies after decryption; of tunnels, as they crossed. Direction is up or down.',
    labels: ['policy', 'host', 'direction'],
  },
  sallyport_ca_not_after_seconds: {
    type: 'gauge',
    help: 'When the signing CA expires, in seconds since the epoch.',
    labels: [],
  },
  sallyport_connections_evicted_total: {
    type: 'counter',
    help: 'Client connections that were closed because too many had not said whose they are.',
    labels: [],
  },
  sallyport_connections_open: { type: 'gauge', help: 'Client connections, of all listeners.', labels: [] },
  sallyport_credential_uses_total: {
    type: 'counter',
    help: 'Exchanges a credential was put on (ok, or failed behind it), or meant for and not available (unavailable).',
    labels: ['credential', 'result'],
  },
  sallyport_decision_duration_seconds: {
    type: 'histogram',
    help: 'Our own work on an exchange before the network was asked.',
    labels: [],
  },
  sallyport_decisions_total: {
    type: 'counter',
    help: 'Ended exchanges by outcome and reason; equals the final records of the audit log.',
    labels: ['outcome', 'reason', 'policy'],
  },
  sallyport_enforcing: {
    type: 'gauge',
    help: '1 while every live session is enforced; 0 while any is in audit mode.',
    labels: [],
  },
  sallyport_leaf_cache_evictions_total: {
    type: 'counter',
    help: 'Leaf certificates that were pushed out of the cache.',
    labels: [],
  },
  sallyport_leaf_cache_hits_total: { type: 'counter', help: 'Leaf certificates found in the cache.', labels: [] },
  sallyport_leaf_cache_misses_total: { type: 'counter', help: 'Leaf certificates that had to be minted.', labels: [] },
  sallyport_leaf_cache_size: { type: 'gauge', help: 'Leaf certificates in the cache.', labels: [] },
  sallyport_limits_neared_total: {
    type: 'counter',
    help: 'Times a session came past 80 % of a limit. What is refused or cut at a limit is among the decisions.',
    labels: ['limit', 'policy'],
  },
  sallyport_policy_reloads_total: {
    type: 'counter',
    help: 'Reloads of the policy folder, ok or failed; a failed one keeps the policies that were.',
    labels: ['result'],
  },
  sallyport_redactions_total: {
    type: 'counter',
    help: 'Places in answers where a secret was masked.',
    labels: ['credential'],
  },
  sallyport_request_duration_seconds: {
    type: 'histogram',
    help: 'From the head of a request to the end of its answer; tunnels are not among them.',
    labels: [],
  },
  sallyport_requests_total: {
    type: 'counter',
    help: 'Ended exchanges by what was asked and what the client was told. Host is the pattern of the rule, else other.',
    labels: ['policy', 'host', 'method', 'status'],
  },
  sallyport_series_overflow_total: {
    type: 'counter',
    help: 'Observations counted under other labels because the metric has as many series as it may.',
    labels: ['metric'],
  },
  sallyport_sessions_active: { type: 'gauge', help: 'Live sessions of this process.', labels: [] },
  sallyport_sessions_near_limit: {
    type: 'gauge',
    help: 'Live sessions past 80 % of a limit now.',
    labels: ['limit'],
  },
  sallyport_store_up: {
    type: 'gauge',
    help: '1 while the store of sessions answers; at 0 known sessions go on for the grace, and no new ones are made.',
    labels: [],
  },
  sallyport_streams_open: { type: 'gauge', help: 'Answers, uploads and WebSockets in progress.', labels: [] },
  sallyport_tunnels_open: { type: 'gauge', help: 'Tunnels in progress.', labels: [] },
  sallyport_upstream_connect_duration_seconds: {
    type: 'histogram',
    help: 'Name resolution, TCP and TLS towards origins, where a connection was made.',
    labels: [],
  },
} as const satisfies Record<`sallyport_${string}`, Row>

export type MetricName = keyof typeof metricsTable
