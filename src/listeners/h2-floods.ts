/**
 * What a client may do in HTTP/2 that costs it nothing and us something: counted per connection, to a bound.
 *
 * Promises: whatever a client repeats (streams opened and reset, made to be reset, pings, settings, frames that carry
 * nothing), it is told to be calm before it has cost much; clients that cancel, probe and tune as they do stay far below.
 */

type Allowance = { readonly burst: number; readonly perSecond: number }

/** Rapid reset (CVE-2023-44487) and MadeYouReset (CVE-2025-8671) are one thing from here: a stream that ended by a reset. */
const allowances = {
  malformed: { burst: 50, perSecond: 2 },
  ping: { burst: 1000, perSecond: 100 },
  reset: { burst: 200, perSecond: 20 },
  settings: { burst: 100, perSecond: 5 },
} as const satisfies Record<string, Allowance>

export type FloodKind = keyof typeof allowances

/** Bytes of frames that are neither head nor body, beside as many as those have. */
const idleBytes: Allowance = { burst: 1024 * 1024, perSecond: 65_536 }

export class FloodGauge {
  readonly #buckets: Readonly<Record<FloodKind, Bucket>>
  readonly #idle: Bucket
  #useful = 0
  #read = 0
  #written = 0

  constructor(now: number) {
    this.#buckets = {
      malformed: new Bucket(allowances.malformed, now),
      ping: new Bucket(allowances.ping, now),
      reset: new Bucket(allowances.reset, now),
      settings: new Bucket(allowances.settings, now),
    }
    this.#idle = new Bucket(idleBytes, now)
  }

  /** False: that was one too many. */
  allows(kind: FloodKind, now: number): boolean {
    return this.#buckets[kind].take(1, now)
  }

  /** Bytes of a head or of a body, as the application sees them. */
  useful(bytes: number): void {
    this.#useful += bytes
  }

  /** Once a sweep, with all that was read so far. A download is acknowledged as it goes: it pays for that itself. */
  allowsBytes(read: number, written: number, now: number): boolean {
    const idle = read - this.#read - 2 * this.#useful - (written - this.#written) / 8
    this.#read = read
    this.#written = written
    this.#useful = 0
    return this.#idle.take(Math.max(0, idle), now)
  }
}

class Bucket {
  readonly #allowance: Allowance
  #left: number
  #at: number

  constructor(allowance: Allowance, now: number) {
    this.#allowance = allowance
    this.#left = allowance.burst
    this.#at = now
  }

  take(count: number, now: number): boolean {
    const { burst, perSecond } = this.#allowance
    this.#left = Math.min(burst, this.#left + ((now - this.#at) * perSecond) / 1000) - count
    this.#at = now
    return this.#left >= 0
  }
}
