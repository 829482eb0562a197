/**
 * What happened in one run, summed up from its records.
 *
 * Promises: it costs bounded memory whatever the command does: beyond the bound hosts and paths are counted together.
 */

import type { ExchangeRecord } from '../exchange/record.ts'

export type Group = {
  readonly scheme: 'http' | 'https' | null
  readonly host: string
  readonly port: number | null
  /** Null: it was not seen, as in a tunnel or a refused CONNECT. */
  readonly method: string | null
  readonly path: string | null
  readonly reason: string | null
  readonly count: number
}

export type Allowed = {
  readonly host: string
  readonly port: number | null
  readonly count: number
  readonly bytesUp: number
  readonly bytesDown: number
}

export type RunTally = {
  readonly note: (record: ExchangeRecord) => void
  readonly result: () => RunResult
}

export type RunResult = {
  /** By host. */
  readonly allowed: readonly Allowed[]
  readonly denied: readonly Group[]
  /** Let through by audit mode. */
  readonly audited: readonly Group[]
  /** Allowed, and then the network said no. */
  readonly failed: readonly Group[]
  /** Beyond what is listed. */
  readonly more: number
}

const groupsMax = 2000

type Counted = { group: Omit<Group, 'count'>; count: number }

export function createRunTally(): RunTally {
  const allowed = new Map<string, Allowed>()
  const lists = {
    denied: new Map<string, Counted>(),
    audited: new Map<string, Counted>(),
    failed: new Map<string, Counted>(),
  }
  let more = 0

  const noteAllowed = ({ host, port, repeated, bytesUp, bytesDown }: ExchangeRecord): void => {
    const key = `${host ?? '?'}:${port ?? ''}`
    const before = allowed.get(key) ?? { host: host ?? '?', port, count: 0, bytesUp: 0, bytesDown: 0 }
    if (before.count === 0 && allowed.size >= groupsMax) more += repeated
    else {
      const sums = { bytesUp: before.bytesUp + bytesUp, bytesDown: before.bytesDown + bytesDown }
      allowed.set(key, { ...before, ...sums, count: before.count + repeated })
    }
  }
  const noteGroup = (list: Map<string, Counted>, record: ExchangeRecord): void => {
    const { scheme, host, port, method, path, reason } = record
    const isConnect = record.kind !== 'request'
    const group = {
      scheme,
      host: host ?? '?',
      port,
      method: isConnect ? null : method,
      path: isConnect ? null : path,
      reason,
    }
    const key = JSON.stringify(group)
    const before = list.get(key)
    if (before !== undefined) before.count += record.repeated
    else if (list.size < groupsMax) list.set(key, { group, count: record.repeated })
    else more += record.repeated
  }
  return {
    note: (record) => {
      if (record.event !== 'final') return
      switch (record.outcome) {
        case 'abandoned':
        case 'allow':
        case 'interrupted':
          noteAllowed(record)
          break
        case 'audit':
          noteGroup(lists.audited, record)
          break
        case 'challenge':
          break
        case 'deny':
          noteGroup(lists.denied, record)
          break
        case 'failed':
        case 'fault':
          noteGroup(lists.failed, record)
          break
      }
    },
    result: () => ({
      allowed: [...allowed.values()].sort(byCount),
      denied: groupsOf(lists.denied),
      audited: groupsOf(lists.audited),
      failed: groupsOf(lists.failed),
      more,
    }),
  }
}

function groupsOf(list: ReadonlyMap<string, Counted>): Group[] {
  return [...list.values()].map(({ group, count }) => ({ ...group, count })).sort(byCount)
}

function byCount(a: { count: number; host: string }, b: { count: number; host: string }): number {
  return b.count - a.count || (a.host < b.host ? -1 : 1)
}
