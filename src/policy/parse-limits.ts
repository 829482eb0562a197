/**
 * Sizes and durations as people write them, and the limits made of them. Pure.
 *
 * Promises: a number has its unit or is a plain count of bytes; zero never means unlimited, it is a mistake.
 */

import type { IssueList } from './issue.ts'
import type { HostLimits, Limits } from './policy.ts'

const byteUnits: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}
const timeUnits: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3 }

/** `50MiB`, `2GB`, `4096` (bytes): a whole number of bytes above zero; null for everything else. */
export function parseBytes(raw: number | string): number | null {
  if (typeof raw === 'number') return Number.isSafeInteger(raw) && raw > 0 ? raw : null
  return /^[0-9]+$/.test(raw) ? parseBytes(Number(raw)) : amount(raw, byteUnits)
}

/** `500ms`, `30s`, `10m`, `1h`, `2d`: milliseconds above zero; null for everything else, bare numbers included. */
export function parseDurationMs(raw: string): number | null {
  return amount(raw, timeUnits)
}

function amount(raw: string, units: Readonly<Record<string, number>>): number | null {
  const match = /^([0-9]{1,12}(?:\.[0-9]{1,3})?) ?([A-Za-z]{1,3})$/.exec(raw)
  const unit = match?.[2] ?? ''
  if (match === null || !Object.hasOwn(units, unit)) return null
  const value = Number(match[1]) * (units[unit] ?? 0)
  return Number.isSafeInteger(value) && value > 0 ? value : null
}

export const noLimits: Limits = {
  uploadBytes: null,
  downloadBytes: null,
  requestsPerMinute: null,
  concurrentConnections: null,
  distinctHosts: null,
  idleTimeoutMs: null,
  tunnelDurationMs: null,
  perHost: { uploadBytes: null, downloadBytes: null, requestsPerMinute: null },
}

/** Of two sets of limits the smaller of each. */
export function smallestLimits(a: Limits, b: Limits): Limits {
  return {
    ...smallestSpending(a, b),
    concurrentConnections: smaller(a.concurrentConnections, b.concurrentConnections),
    distinctHosts: smaller(a.distinctHosts, b.distinctHosts),
    idleTimeoutMs: smaller(a.idleTimeoutMs, b.idleTimeoutMs),
    tunnelDurationMs: smaller(a.tunnelDurationMs, b.tunnelDurationMs),
    perHost: smallestSpending(a.perHost, b.perHost),
  }
}

function smallestSpending(a: HostLimits, b: HostLimits): HostLimits {
  return {
    uploadBytes: smaller(a.uploadBytes, b.uploadBytes),
    downloadBytes: smaller(a.downloadBytes, b.downloadBytes),
    requestsPerMinute: smaller(a.requestsPerMinute, b.requestsPerMinute),
  }
}

function smaller(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b
  return Math.min(a, b)
}

type Written = Readonly<Record<string, unknown>>

/** Values of a wrong type are the schema's complaint and are passed over here. */
export function parseLimits(raw: Written, issues: IssueList): Limits {
  const { perHost } = raw
  const path = ['limits']
  return {
    ...parseSpending(raw, path, issues),
    concurrentConnections: parseCount(raw['concurrentConnections']),
    distinctHosts: parseCount(raw['distinctHosts']),
    idleTimeoutMs: parseDuration(raw, 'idleTimeout', path, issues),
    tunnelDurationMs: parseDuration(raw, 'tunnelDuration', path, issues),
    perHost: isWritten(perHost) ? parseSpending(perHost, [...path, 'perHost'], issues) : noLimits.perHost,
  }
}

function parseSpending(raw: Written, path: readonly string[], issues: IssueList): HostLimits {
  return {
    uploadBytes: parseAmount(raw, 'uploadBytes', path, issues),
    downloadBytes: parseAmount(raw, 'downloadBytes', path, issues),
    requestsPerMinute: parseCount(raw['requestsPerMinute']),
  }
}

function parseAmount(raw: Written, key: string, path: readonly string[], issues: IssueList): number | null {
  const value = raw[key]
  if (typeof value !== 'number' && typeof value !== 'string') return null
  const parsed = parseBytes(value)
  if (parsed === null)
    issues.add(
      [...path, key],
      `${JSON.stringify(value)} is no size above zero`,
      'write bytes with a unit, like "50MiB"',
    )
  return parsed
}

function parseDuration(raw: Written, key: string, path: readonly string[], issues: IssueList): number | null {
  const value = raw[key]
  if (typeof value !== 'number' && typeof value !== 'string') return null
  const parsed = typeof value === 'string' ? parseDurationMs(value) : null
  if (parsed === null)
    issues.add(
      [...path, key],
      `${JSON.stringify(value)} is no duration above zero`,
      'write a number with its unit, like "30s", "10m" or "1h"',
    )
  return parsed
}

function parseCount(value: unknown): number | null {
  return typeof value === 'number' ? value : null
}

function isWritten(value: unknown): value is Written {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
