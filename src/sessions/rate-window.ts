/**
 * How many there were in the last minute, of one session or of one host of it. Pure.
 *
 * Promises: never more than the limit in any sixty seconds, wherever they begin; one second late, at most, in letting
 * more through. A request costs a comparison or two, and nothing is allocated after the first.
 */

/** One for each second of the minute, and one for the second that has begun. */
const slotCount = 61

export class RateWindow {
  #counts: Uint32Array | null = null
  #second = 0
  #total = 0

  /** `now` in milliseconds of a clock that never goes back. False: there were `max` in the last minute. */
  take(now: number, max: number): boolean {
    const counts = this.#advance(now)
    if (this.#total >= max) return false
    const slot = this.#second % slotCount
    counts[slot] = (counts[slot] ?? 0) + 1
    this.#total++
    return true
  }

  /** As it was when somebody asked last. */
  get total(): number {
    return this.#total
  }

  /** In the last minute. */
  recent(now: number): number {
    if (this.#counts === null) return 0
    this.#advance(now)
    return this.#total
  }

  /** Whole seconds until one more fits. */
  waitSeconds(now: number, max: number): number {
    const counts = this.#advance(now)
    let left = this.#total
    for (let second = this.#second - slotCount + 1; second <= this.#second; second++) {
      left -= counts[(second + slotCount) % slotCount] ?? 0
      if (left < max) return Math.max(1, Math.ceil(second + slotCount - now / 1000))
    }
    return slotCount
  }

  /** What there was already when the process began. */
  restore(now: number, count: number): void {
    const counts = this.#advance(now)
    const slot = this.#second % slotCount
    counts[slot] = (counts[slot] ?? 0) + count
    this.#total += count
  }

  #advance(now: number): Uint32Array {
    const second = Math.floor(now / 1000)
    this.#counts ??= new Uint32Array(slotCount)
    const counts = this.#counts
    if (second - this.#second >= slotCount) {
      counts.fill(0)
      this.#total = 0
      this.#second = second
    }
    while (this.#second < second) {
      this.#second++
      const slot = this.#second % slotCount
      this.#total -= counts[slot] ?? 0
      counts[slot] = 0
    }
    return counts
  }
}
