/**
 * A session that repeats one refused request in a tight loop.
 *
 * Promises: it is answered every time, never dropped; beyond a burst its refusals become one record with `repeated: n`, at
 * most once a minute, and each answer waits a little, so that a loop costs the agent time and not us disk. Summed,
 * records still equal what was refused.
 */

import { hash } from 'node:crypto'
import type { ExchangeRecord, RecordSink } from './record.ts'

export type DenialLoopOptions = {
  /** Equal refusals that get a record of their own. */
  readonly burst: number
  readonly windowMs: number
  readonly delayMs: number
  /** Loops followed at once; beyond it every refusal gets its record. */
  readonly loopsMax: number
}

type Loop = { seen: number; readonly since: number; held: ExchangeRecord | null }

export class DenialLoops implements RecordSink {
  readonly #sink: RecordSink
  readonly #options: DenialLoopOptions
  readonly #loops = new Map<string, Loop>()
  /** Refusals of each session since the window began. */
  readonly #bySession = new Map<string, number>()
  #windowSince = performance.now()
  readonly #timer: NodeJS.Timeout

  constructor(sink: RecordSink, options: DenialLoopOptions) {
    this.#sink = sink
    this.#options = options
    this.#timer = setInterval(() => this.#sweep(performance.now()), Math.max(1000, options.windowMs / 4))
    this.#timer.unref()
  }

  accepting(): boolean {
    return this.#sink.accepting()
  }

  append(record: ExchangeRecord): void {
    if (record.outcome !== 'deny' || record.session === null || record.event !== 'final') {
      this.#sink.append(record)
      return
    }
    this.#bySession.set(record.session, (this.#bySession.get(record.session) ?? 0) + record.repeated)
    const loop = this.#follow(keyOf(record))
    // News are told as they come.
    if (loop === null || loop.seen <= this.#options.burst || record.nearLimits.length > 0) this.#sink.append(record)
    else loop.held = { ...record, repeated: (loop.held?.repeated ?? 0) + record.repeated }
  }

  /** How long the answer to such a refusal should wait: zero until it is a loop, or its session refused all the time. */
  delayMs(refused: Refused): number {
    const loop = this.#loops.get(keyOf(refused))
    const loops = loop !== undefined && loop.seen > this.#options.burst
    return loops || (this.#bySession.get(refused.session ?? '') ?? 0) > sessionBurst ? this.#options.delayMs : 0
  }

  /** Writes what is held. */
  close(): void {
    clearInterval(this.#timer)
    this.#sweep(Number.POSITIVE_INFINITY)
  }

  #follow(key: string): Loop | null {
    const known = this.#loops.get(key)
    if (known !== undefined) {
      known.seen++
      return known
    }
    if (this.#loops.size >= this.#options.loopsMax) return null
    const loop: Loop = { seen: 1, since: performance.now(), held: null }
    this.#loops.set(key, loop)
    return loop
  }

  #sweep(now: number): void {
    if (now - this.#windowSince >= this.#options.windowMs) {
      this.#bySession.clear()
      this.#windowSince = now
    }
    for (const [key, loop] of this.#loops) {
      if (now - loop.since < this.#options.windowMs) continue
      this.#loops.delete(key)
      if (loop.held === null) continue
      this.#sink.append(loop.held)
      // Still looping: the next window begins where this one ended, without a new burst.
      if (Number.isFinite(now)) this.#loops.set(key, { seen: this.#options.burst, since: now, held: null })
    }
  }
}

const keyLengthMax = 256
/** Refusals of one session in a window, of whatever kind, from which on each of its answers waits. */
const sessionBurst = 1000

type Refused = Pick<ExchangeRecord, 'host' | 'method' | 'path' | 'port' | 'reason' | 'session'>

function keyOf({ session, reason, host, port, method, path }: Refused): string {
  const key = `${session} ${reason} ${host}:${port} ${method} ${path}`
  // What is remembered of a loop does not grow with what a sandbox sends.
  return key.length <= keyLengthMax ? key : hash('sha256', key, 'base64')
}
