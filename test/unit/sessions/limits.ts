/** Limits as a gateway has them, for tests that are about something else. */

import type { LimitDefaults, LimitsInForce } from '../../../src/sessions/session-limits.ts'

export const defaultLimits: LimitDefaults = {
  uploadBytes: 1e9,
  downloadBytes: 1e9,
  requestsPerMinute: 10_000,
  concurrentConnections: 1000,
  distinctHosts: 1000,
  idleTimeoutMs: 3_600_000,
  tunnelDurationMs: 86_400_000,
}

export function limitsOf(changes: Partial<LimitsInForce> = {}): LimitsInForce {
  const all = { ...defaultLimits, ...changes }
  return { ...all, perHost: { ...all, ...changes.perHost } }
}
