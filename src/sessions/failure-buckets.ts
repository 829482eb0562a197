/**
 * So many failures a minute for each peer, and a burst of as many.
 *
 * Promises: memory is bounded whatever the number of peers: the one that failed longest ago is forgotten.
 */

export type FailureBucketsOptions = {
  /** Milliseconds. */
  readonly now: () => number
  readonly perMinute: number
  readonly peersMax: number
}

type Bucket = { readonly left: number; readonly at: number }

export class FailureBuckets {
  readonly #options: FailureBucketsOptions
  readonly #buckets = new Map<string, Bucket>()

  constructor(options: FailureBucketsOptions) {
    this.#options = options
  }

  /** Counts one; false: it was one too many. */
  spend(peer: string): boolean {
    const { now, perMinute, peersMax } = this.#options
    const at = now()
    const known = this.#buckets.get(peer) ?? { left: perMinute, at }
    const refilled = known.left + (Math.max(0, at - known.at) * perMinute) / 60_000
    const left = Math.min(perMinute, refilled)
    // Deleted and set again: the map's order is then the order of last failure, and its first is the one to forget.
    this.#buckets.delete(peer)
    this.#buckets.set(peer, { left: left < 1 ? left : left - 1, at })
    const [oldest] = this.#buckets.keys()
    if (this.#buckets.size > peersMax && oldest !== undefined) this.#buckets.delete(oldest)
    return left >= 1
  }

  clear(): void {
    this.#buckets.clear()
  }
}
