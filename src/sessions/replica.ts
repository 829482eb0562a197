/**
 * One of many replicas that share sessions, over a link to where they meet: it holds all of them, so that a request costs
 * no question, and hears of what others change.
 *
 * Promises: a row without our seal is no session; a change is written only over the row it was made from, so a session that
 * another replica ended does not come back by it. Word of a change may get lost; what is asked for every 400 ms does not.
 */

import { createHash, createHmac } from 'node:crypto'
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'
import {
  changesMax,
  changesSince,
  laggards,
  leave,
  meet,
  removeRow,
  reserve,
  sealLength,
  writeRow,
} from './redis-scripts.ts'
import type { Reservation, Reserved } from './reservation.ts'
import { parseReserved, wordsOf } from './reservation-text.ts'
import { parseJson, sealOf, unseal } from './row-seal.ts'
import { parseStoredSession, type StoredSession, type StoreNews, type StoreState } from './session-store.ts'

/** To where replicas meet. What takes too long rejects, and may be done even so. */
export type Link = {
  readonly run: (script: string, keys: readonly string[], values: readonly string[]) => Promise<unknown>
  readonly scan: (key: string) => AsyncIterable<readonly [field: string, value: string]>
  /** Another number after each connection that was lost: what stood there may be older than what was read. */
  readonly connection: () => number
}

export type ReplicaOptions = {
  readonly link: Link
  readonly prefix: string
  readonly key: Buffer
  /** Of this replica, for whoever waits for it. */
  readonly name: string
  readonly epoch: string
  readonly graceMs: number
  readonly log: (message: string) => void
}

const pollMs = 400
const anyRow = '*'
const awayMs = 2000
const rowsPerAnswer = 500
const settleMs = 1000
const settlePollMs = 10

type News = {
  readonly epoch: string
  readonly last: number
  readonly upTo: number
  readonly rows: Map<string, string>
}

export class Replica {
  readonly #options: ReplicaOptions
  readonly #keys: Readonly<Record<'changes' | 'channel' | 'meta' | 'replicas' | 'sessions', string>>
  /** Of the rows as they were last written or heard of. */
  readonly #seals = new Map<string, string>()
  #news: StoreNews | null = null
  #timer: NodeJS.Timeout | null = null
  #asking: Promise<void> | null = null
  #isAskedAgain = false
  #connection = -1
  #epoch = ''
  /** The last change that was taken in, and the last of our own. */
  #taken = 0
  #written = 0
  #heardAt = performance.now()
  #state: StoreState = 'here'

  constructor(options: ReplicaOptions) {
    this.#options = options
    const of = (name: string): string => keyOf(options.prefix, name)
    this.#keys = {
      changes: of('changes'),
      channel: of('channel'),
      meta: of('meta'),
      replicas: of('replicas'),
      sessions: of('sessions'),
    }
  }

  get channel(): string {
    return this.#keys.channel
  }

  get state(): StoreState {
    return this.#state
  }

  async load(): Promise<StoredSession[]> {
    const sessions = await this.#readAll()
    return sessions.sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  follow(news: StoreNews): void {
    this.#news = news
    this.#timer = setInterval(() => this.wake(), pollMs).unref()
    this.wake()
  }

  /** Somebody changed something, or it is time to ask. */
  wake(): void {
    this.#judge()
    this.#isAskedAgain = true
    if (this.#news !== null) this.#asking ??= this.#ask().finally(() => (this.#asking = null))
  }

  async put(session: StoredSession): Promise<void> {
    const { id, idempotencyKey, owner, createdAt, expiresAt } = session
    // That a session is over holds whatever another made of it meanwhile.
    const before = session.endedAt === undefined ? (this.#seals.get(id) ?? '') : anyRow
    const isClaim = before === '' && idempotencyKey !== null
    const held = isClaim ? Math.max(1, (expiresAt ?? createdAt) - createdAt) : 0
    const body = JSON.stringify(session)
    const seal = sealOf(body, this.#options.key).toString('base64url')
    const claim = createHash('sha256')
      .update(JSON.stringify([owner, idempotencyKey]))
      .digest('base64url')
    const keys = [...this.#rowKeys(), keyOf(this.#options.prefix, `claim:${claim}`)]
    const number = Number(await this.#options.link.run(writeRow, keys, [id, `${seal}.${body}`, before, `${held}`]))
    if (number < 0) {
      this.wake()
      throw new Error(number === -2 ? 'another replica made a session with this key' : 'another replica changed it')
    }
    this.#seals.set(id, seal)
    this.#written = Math.max(this.#written, number)
  }

  async remove(id: string): Promise<void> {
    const number = Number(await this.#options.link.run(removeRow, [...this.#rowKeys(), ...this.#usageKeys(id)], [id]))
    this.#seals.delete(id)
    this.#written = Math.max(this.#written, number)
  }

  async reserve(reservation: Reservation): Promise<Reserved | null> {
    const { session } = reservation
    const words = [session, ...wordsOf(reservation, this.#options.name)]
    const answer = await this.#options.link.run(reserve, [this.#keys.sessions, ...this.#usageKeys(session)], words)
    return Array.isArray(answer) ? parseReserved(reservation, textsOf(answer)) : null
  }

  async laggards(which: 'answering' | 'serving'): Promise<readonly string[]> {
    const { name, graceMs } = this.#options
    const silentMs = which === 'answering' ? 3 * pollMs : graceMs + awayMs
    const values = [name, `${this.#written}`, `${silentMs}`, `${graceMs + awayMs}`]
    const until = performance.now() + settleMs
    for (;;) {
      const behind = textsOf(await this.#options.link.run(laggards, [this.#keys.replicas], values))
      if (behind.length === 0 || performance.now() > until) return behind
      await delay(settlePollMs)
    }
  }

  /** The others need not wait for us any more. */
  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#news = null
    await this.#asking
    await this.#options.link.run(leave, [this.#keys.replicas], [this.#options.name]).catch(() => null)
  }

  #rowKeys(): string[] {
    const { sessions, changes, meta, channel } = this.#keys
    return [sessions, changes, meta, channel]
  }

  #usageKeys(id: string): string[] {
    return ['usage', 'hosts', 'recent'].map((name) => keyOf(this.#options.prefix, `${name}:${id}`))
  }

  async #ask(): Promise<void> {
    try {
      while (this.#isAskedAgain && this.#news !== null) {
        this.#isAskedAgain = false
        const began = performance.now()
        await this.#catchUp(this.#news)
        this.#heardAt = began
      }
    } catch (error) {
      if (this.#state === 'here') this.#options.log(`the session store does not answer: ${text(error)}`)
    }
    this.#judge()
  }

  /** The last question finds nothing new, and so says that everything before is taken in. */
  async #catchUp(news: StoreNews): Promise<void> {
    for (;;) {
      if (this.#options.link.connection() !== this.#connection) return this.#reload(news)
      const { epoch, last, upTo, rows } = await this.#since(this.#taken, this.#taken)
      if (epoch !== this.#epoch || last < this.#taken || last - this.#taken > changesMax) return this.#reload(news)
      if (rows.size === 0) return
      const parsed = new Map([...rows].map(([id, row]) => [id, this.#parse(id, row)]))
      // What this replica wrote itself before is in its book by then, so that what is newer comes after it.
      await turn()
      news.changed(parsed)
      this.#taken = upTo
    }
  }

  async #reload(news: StoreNews): Promise<void> {
    const sessions = await this.#readAll()
    await turn()
    news.all(sessions)
  }

  /** All rows, with what changed while they were read. */
  async #readAll(): Promise<StoredSession[]> {
    const { link, key, epoch } = this.#options
    const connection = link.connection()
    // Of the key, for those who hold another: it says nothing about it.
    const fingerprint = createHmac('sha256', key).update('fingerprint').digest('base64url')
    const met = textsOf(await link.run(meet, [this.#keys.meta], [epoch, fingerprint]))
    if (met[1] !== fingerprint) throw new Error('other replicas have another state key; give all the same "stateKey"')
    const rows = new Map<string, string>()
    for await (const [id, row] of link.scan(this.#keys.sessions)) rows.set(id, row)
    let from = Number(met[2])
    for (;;) {
      const news = await this.#since(from, 0)
      for (const [id, row] of news.rows) rows.set(id, row)
      from = news.upTo
      if (news.rows.size === 0) break
    }
    this.#seals.clear()
    const sessions = [...rows].flatMap(([id, row]) => this.#parse(id, row) ?? [])
    this.#taken = from
    this.#epoch = met[0] ?? ''
    this.#connection = connection
    this.#heardAt = performance.now()
    return sessions
  }

  async #since(from: number, taken: number): Promise<News> {
    const { sessions, changes, meta, replicas } = this.#keys
    const values = [this.#options.name, `${from}`, `${rowsPerAnswer}`, `${taken}`]
    const answer = textsOf(await this.#options.link.run(changesSince, [sessions, changes, meta, replicas], values))
    const [epoch = '', last = '0', upTo = '0', ...pairs] = answer
    const rows = new Map<string, string>()
    for (let at = 0; at < pairs.length; at += 2) rows.set(pairs[at] ?? '', pairs[at + 1] ?? '')
    return { epoch, last: Number(last), upTo: Number(upTo), rows }
  }

  /** Null: it is gone, or none of ours. */
  #parse(id: string, row: string): StoredSession | null {
    this.#seals.delete(id)
    if (row === '') return null
    const seal = row.slice(0, sealLength)
    const body = unseal(row.slice(sealLength + 1), Buffer.from(seal, 'base64url'), this.#options.key)
    const session = body === null ? 'was not written by these replicas' : parseStoredSession(parseJson(body))
    if (typeof session !== 'string' && session.id === id) {
      this.#seals.set(id, seal)
      return session
    }
    const what = typeof session === 'string' ? session : 'is filed under another id'
    this.#options.log(`the session store: a stored session ${what}; it is dropped, and whoever uses it needs a new one`)
    return null
  }

  #judge(): void {
    const silentMs = performance.now() - this.#heardAt
    const state = silentMs > this.#options.graceMs ? 'lost' : silentMs > awayMs ? 'away' : 'here'
    if (state === this.#state) return
    this.#state = state
    const says = { away: 'is away: known sessions go on', here: 'is back', lost: 'is lost: no session goes on' }
    this.#options.log(`the session store ${says[state]}`)
    this.#news?.state(state)
  }
}

/** Braces keep all keys on one node of a cluster, where a script can reach them. */
function keyOf(prefix: string, name: string): string {
  return `{${prefix}}:${name}`
}

function textsOf(answer: unknown): string[] {
  return Array.isArray(answer) ? answer.map(String) : []
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
