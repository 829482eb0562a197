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

export class RunTally {
  readonly #allowed = new Map<string, Allowed>()
  readonly #denied = new Map<string, Counted>()
  readonly #audited = new Map<string, Counted>()
  readonly #failed = new Map<string, Counted>()
  #more = 0

  note(record: ExchangeRecord): void {
    if (record.event !== 'final') return
    switch (record.outcome) {
      case 'abandoned':
      case 'allow':
      case 'interrupted':
        return this.#noteAllowed(record)
      case 'audit':
        return this.#noteGroup(this.#audited, record)
      case 'challenge':
        return undefined // the request that follows with proxy credentials counts
      case 'deny':
        return this.#noteGroup(this.#denied, record)
      case 'failed':
      case 'fault':
        return this.#noteGroup(this.#failed, record)
    }
  }

  result(): RunResult {
    return {
      allowed: [...this.#allowed.values()].sort(byCount),
      denied: groupsOf(this.#denied),
      audited: groupsOf(this.#audited),
      failed: groupsOf(this.#failed),
      more: this.#more,
    }
  }

  #noteAllowed({ host, port, repeated, bytesUp, bytesDown }: ExchangeRecord): void {
    const key = `${host ?? '?'}:${port ?? ''}`
    const before = this.#allowed.get(key) ?? { host: host ?? '?', port, count: 0, bytesUp: 0, bytesDown: 0 }
    if (before.count === 0 && this.#allowed.size >= groupsMax) {
      this.#more += repeated
      return
    }
    const sums = { bytesUp: before.bytesUp + bytesUp, bytesDown: before.bytesDown + bytesDown }
    this.#allowed.set(key, { ...before, ...sums, count: before.count + repeated })
  }

  #noteGroup(list: Map<string, Counted>, record: ExchangeRecord): void {
    const { scheme, host, port, reason } = record
    const { method, path } = record.kind === 'request' ? record : { method: null, path: null }
    const group = { scheme, host: host ?? '?', port, method, path, reason }
    const key = JSON.stringify(group)
    const before = list.get(key)
    if (before !== undefined) before.count += record.repeated
    else if (list.size < groupsMax) list.set(key, { group, count: record.repeated })
    else this.#more += record.repeated
  }
}

function groupsOf(list: ReadonlyMap<string, Counted>): Group[] {
  return [...list.values()].map(({ group, count }) => ({ ...group, count })).sort(byCount)
}

function byCount(a: { count: number; host: string }, b: { count: number; host: string }): number {
  return b.count - a.count || (a.host < b.host ? -1 : 1)
}
