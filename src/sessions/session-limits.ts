/**
 * What a session may spend and hold, in numbers: of what its policy and the session itself say the smaller, else the default.
 *
 * Promises: every limit has a value, and none means unlimited; limits that cannot be read allow nothing.
 */

import { IssueList } from '../policy/issue.ts'
import { noLimits, parseLimits, smallestLimits } from '../policy/parse-limits.ts'
import type { HostLimits, Limits } from '../policy/policy.ts'
import type { SessionLimits } from './session-store.ts'

type InForce<Some> = { readonly [Key in keyof Some]: number }

export type LimitDefaults = InForce<Omit<Limits, 'perHost'>>
export type LimitsInForce = LimitDefaults & { readonly perHost: InForce<HostLimits> }

export function limitsInForce(
  policy: Limits,
  written: SessionLimits | null | undefined,
  defaults: LimitDefaults,
): LimitsInForce {
  const issues = new IssueList(() => ({ file: 'session', line: 0, column: 0 }))
  const own = written === null || written === undefined ? noLimits : parseLimits(written, issues)
  if (issues.list().length > 0) return nothing
  const { perHost, ...said } = smallestLimits(policy, own)
  const all: LimitDefaults = {
    uploadBytes: said.uploadBytes ?? defaults.uploadBytes,
    downloadBytes: said.downloadBytes ?? defaults.downloadBytes,
    requestsPerMinute: said.requestsPerMinute ?? defaults.requestsPerMinute,
    concurrentConnections: said.concurrentConnections ?? defaults.concurrentConnections,
    distinctHosts: said.distinctHosts ?? defaults.distinctHosts,
    idleTimeoutMs: said.idleTimeoutMs ?? defaults.idleTimeoutMs,
    tunnelDurationMs: said.tunnelDurationMs ?? defaults.tunnelDurationMs,
  }
  return {
    ...all,
    perHost: {
      uploadBytes: perHost.uploadBytes ?? all.uploadBytes,
      downloadBytes: perHost.downloadBytes ?? all.downloadBytes,
      requestsPerMinute: perHost.requestsPerMinute ?? all.requestsPerMinute,
    },
  }
}

const nothing: LimitsInForce = {
  uploadBytes: 0,
  downloadBytes: 0,
  requestsPerMinute: 0,
  concurrentConnections: 0,
  distinctHosts: 0,
  idleTimeoutMs: 0,
  tunnelDurationMs: 0,
  perHost: { uploadBytes: 0, downloadBytes: 0, requestsPerMinute: 0 },
}
