/**
 * What one session has spent and holds: bytes each way, requests of the last minute, hosts, connections; the bytes and
 * requests of each host beside those of all. Pure, but for the ledger that is told when more must be written down.
 *
 * Promises: what is granted is counted in the same step, so however many streams ask at once, no byte more than the limit
 * is granted; a request costs a few comparisons and additions, and allocates nothing once its host is known.
 */

import { type Deny, deny } from '../policy/decision.ts'
import type { DenyReason } from '../policy/deny-reason.ts'
import { Allowance, type Keeping } from './allowance.ts'
import { HostBudget } from './host-budget.ts'
import { RateWindow } from './rate-window.ts'
import type { LimitsInForce } from './session-limits.ts'

/** The first five may be asked for at any time; of single hosts only the step past 80 % is told. */
export const limitNames = [
  'concurrentConnections',
  'distinctHosts',
  'downloadBytes',
  'requestsPerMinute',
  'uploadBytes',
  'perHost.downloadBytes',
  'perHost.uploadBytes',
] as const

export type LimitName = (typeof limitNames)[number]

/** What may not be spent any more. */
export type Spent = Extract<DenyReason, 'download_limit' | 'upload_limit'>

/** Writes down what sessions spend, ahead of the spending. */
export type Ledger = {
  readonly keeping: Exclude<Keeping, 'here'>
  /** In a moment, with what else there is. */
  readonly soon: (budget: Budget) => void
  /** Before this returns, as far as the store can. */
  readonly now: (budget: Budget) => void
}

/** As it is kept. `host` is empty for the session as a whole. */
export type StoredUsage = {
  readonly session: string
  readonly host: string
  readonly up: number
  readonly down: number
  /** Requests of the minute before `at`, milliseconds since the epoch. */
  readonly recent: number
  readonly at: number
}

export type Usage = { readonly used: number; readonly limit: number }

const nearShare = 0.8
const none: readonly LimitName[] = Object.freeze([])

export class Budget {
  readonly session: string
  readonly up: Allowance
  readonly down: Allowance
  /** Requests under way. */
  exchanges = 0
  /** Of request bodies that wait to be judged. */
  heldBytes = 0
  /** Client connections that carry the session. */
  #connections = 0
  #limits: LimitsInForce
  readonly #ledger: Ledger | null
  readonly #requests = new RateWindow()
  readonly #hosts = new Map<string, HostBudget>()
  /** Most requests of a session go where the one before went. */
  #latest: HostBudget | null = null
  /** Limits it came near since somebody asked. */
  #news: readonly LimitName[] = none
  /** Requests of the last minute that other replicas have admitted. */
  requestsElsewhere = 0
  #rateNear = false
  #connectionsNear = false

  /** Without a ledger nothing outlives the process. */
  constructor(session: string, limits: LimitsInForce, ledger: Ledger | null) {
    this.session = session
    this.#limits = limits
    this.#ledger = ledger
    this.up = new Allowance(limits.uploadBytes, this.keeping)
    this.down = new Allowance(limits.downloadBytes, this.keeping)
  }

  get connections(): number {
    return this.#connections
  }

  get keeping(): Keeping {
    return this.#ledger?.keeping ?? 'here'
  }

  get hosts(): ReadonlyMap<string, HostBudget> {
    return this.#hosts
  }

  /** Requests of the last minute. */
  recent(now: number): number {
    return this.#requests.recent(now)
  }

  get limits(): LimitsInForce {
    return this.#limits
  }

  /** In force at once; what is open beyond a smaller one ends with its next byte. */
  set limits(limits: LimitsInForce) {
    this.#limits = limits
    this.up.resize(limits.uploadBytes, this.keeping)
    this.down.resize(limits.downloadBytes, this.keeping)
    for (const host of this.#hosts.values()) host.resize(limits)
  }

  /** Whether one connection more may carry the session. */
  hasRoom(): boolean {
    return this.#connections < this.#limits.concurrentConnections
  }

  openConnection(): void {
    // A first lease is on its way before there is anything to spend it on.
    if (this.#connections === 0 && this.keeping === 'shared') this.#ledger?.soon(this)
    this.#connections++
    this.#watchConnections()
  }

  closeConnection(): void {
    this.#connections--
    this.#watchConnections()
  }

  /**
   * One more request or tunnel. `bodyBytes` is what its body is known to have; `now` milliseconds of a clock that never goes
   * back.
   */
  admit(name: string, now: number, bodyBytes: number): Deny | HostBudget {
    const known = this.#latest?.name === name ? this.#latest : this.#hosts.get(name)
    const limits = this.#limits
    const up = known === undefined ? Math.min(this.up.left, limits.perHost.uploadBytes) : known.upLeft
    if (up <= 0 || up < bodyBytes) return deny('upload_limit', `${bodyBytes} bytes and a head to send, ${up} left`)
    const down = known === undefined ? Math.min(this.down.left, limits.perHost.downloadBytes) : known.downLeft
    if (down <= 0) return deny('download_limit', `${this.down.used} of ${this.down.limit} bytes came, ${down} left`)
    if (known === undefined && this.#hosts.size >= limits.distinctHosts)
      return deny('host_limit', `${this.#hosts.size} other hosts`)

    const perHost = limits.perHost.requestsPerMinute
    if (known !== undefined && perHost < limits.requestsPerMinute && known.requests.recent(now) >= perHost)
      return tooFast(`${perHost} a minute to one host`, known.requests.waitSeconds(now, perHost))
    const here = limits.requestsPerMinute - this.requestsElsewhere
    if (!this.#requests.take(now, here))
      return tooFast(`${limits.requestsPerMinute} a minute`, this.#requests.waitSeconds(now, here))
    this.#watchRate(limits.requestsPerMinute)
    const host = known ?? this.#meet(name)
    if (perHost < limits.requestsPerMinute) host.requests.take(now, perHost)
    this.#latest = host
    return host
  }

  /** What is near its limit now. */
  nearLimits(): LimitName[] {
    const near: LimitName[] = []
    if (this.up.near) near.push('uploadBytes')
    if (this.down.near) near.push('downloadBytes')
    if (this.#hosts.size >= this.#limits.distinctHosts * nearShare) near.push('distinctHosts')
    if (this.#rateNear) near.push('requestsPerMinute')
    if (this.#connectionsNear) near.push('concurrentConnections')
    return near
  }

  /** Limits it came near since this was asked before. */
  takeNews(): readonly LimitName[] {
    const news = this.#news
    this.#news = none
    return news
  }

  /** For people and the API. */
  usage(now: number): Readonly<Record<Exclude<LimitName, `perHost.${string}`>, Usage>> {
    const limits = this.#limits
    return {
      uploadBytes: { used: this.up.used, limit: limits.uploadBytes },
      downloadBytes: { used: this.down.used, limit: limits.downloadBytes },
      requestsPerMinute: { used: this.#requests.recent(now) + this.requestsElsewhere, limit: limits.requestsPerMinute },
      concurrentConnections: { used: this.#connections, limit: limits.concurrentConnections },
      distinctHosts: { used: this.#hosts.size, limit: limits.distinctHosts },
    }
  }

  /** A step past one of the marks. */
  noted(spent: Allowance, name: LimitName): void {
    const { neared, write } = spent.passed()
    // One host that may take all says nothing that the session does not say.
    if (neared && (spent === this.up || spent === this.down || spent.limit < this.#limitOf(name))) this.#tell(name)
    if (write !== 'no') this.#ledger?.[write](this)
  }

  /** Everything it may spend until more is written down; or, at an orderly end, what it has spent. */
  rows(how: 'ahead' | 'exact', now: number, epochMs: number): StoredUsage[] {
    const recent = this.#requests.recent(now)
    const rows = [{ session: this.session, host: '', ...amounts(this, how), recent, at: epochMs }]
    for (const host of this.#hosts.values())
      if (how === 'exact' || !host.isKept) rows.push({ ...rowOf(host, how), session: this.session, at: epochMs })
    return rows
  }

  /** These rows have been written. */
  keep(rows: readonly StoredUsage[]): void {
    for (const { host, up, down } of rows) {
      const found = host === '' ? this : this.#hosts.get(host)
      found?.up.keep(up)
      found?.down.keep(down)
      if (found instanceof HostBudget) found.written = true
    }
  }

  /** Before the first request. `now` and `epochMs` are the same moment. */
  restore(rows: readonly StoredUsage[], now: number, epochMs: number): void {
    for (const { host, up, down, recent, at } of rows) {
      const found = host === '' ? this : this.#hostOf(host)
      found.up.restore(up)
      found.down.restore(down)
      if (host === '' && recent > 0 && epochMs - at < 60_000) this.#requests.restore(now, recent)
      if (found instanceof HostBudget) found.written = true
    }
  }

  /** Nobody knows what it spent since it was written down: as much as it may have. */
  presumeSpent(): void {
    for (const one of [this.up, this.down]) one.restore(one.ahead())
  }

  /** Other replicas met it. */
  hear(name: string): void {
    if (!this.#hosts.has(name)) this.#hostOf(name)
  }

  #meet(name: string): HostBudget {
    const host = this.#hostOf(name)
    if (this.#hosts.size === Math.ceil(this.#limits.distinctHosts * nearShare)) this.#tell('distinctHosts')
    this.#ledger?.soon(this)
    return host
  }

  #hostOf(name: string): HostBudget {
    const host = new HostBudget(this, name, this.keeping)
    this.#hosts.set(name, host)
    return host
  }

  #watchRate(max: number): void {
    const near = isNear(this.#requests.total, max, this.#rateNear)
    if (near && !this.#rateNear) this.#tell('requestsPerMinute')
    this.#rateNear = near
  }

  #watchConnections(): void {
    const near = isNear(this.#connections, this.#limits.concurrentConnections, this.#connectionsNear)
    if (near && !this.#connectionsNear) this.#tell('concurrentConnections')
    this.#connectionsNear = near
  }

  #limitOf(name: LimitName): number {
    return name === 'perHost.uploadBytes' ? this.#limits.uploadBytes : this.#limits.downloadBytes
  }

  #tell(name: LimitName): void {
    if (!this.#news.includes(name)) this.#news = [...this.#news, name]
  }
}

/** How many are near each limit, those that nobody is near included. */
export function countNear(budgets: readonly Budget[]): Map<LimitName, number> {
  const counts = new Map<LimitName, number>(limitNames.slice(0, 5).map((name) => [name, 0]))
  for (const budget of budgets) for (const name of budget.nearLimits()) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}

/** What goes up and down is near until it is down to half, so that it is told once. */
function isNear(used: number, max: number, before: boolean): boolean {
  return used >= max * (before ? nearShare / 2 : nearShare)
}

function tooFast(detail: string, retryAfterSeconds: number): Deny {
  return { ...deny('rate_limited', detail), retryAfterSeconds }
}

function amounts({ up, down }: Pick<Budget, 'down' | 'up'>, how: 'ahead' | 'exact'): { up: number; down: number } {
  const amount = (one: Allowance): number => (how === 'exact' || !one.isLasting ? one.used : one.ahead())
  return { up: amount(up), down: amount(down) }
}

function rowOf(host: HostBudget, how: 'ahead' | 'exact'): Omit<StoredUsage, 'at' | 'session'> {
  return { host: host.name, ...amounts(host, how), recent: 0 }
}
