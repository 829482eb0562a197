/**
 * One budget of bytes, of a session or of one host of it: how much may flow, how much has, and how much of that would
 * survive the end of the process. Pure.
 *
 * Promises: spending costs two comparisons and an addition; what is `kept` is never less than what was spent without
 * somebody having been told, so that a crash may take from a session and never give.
 */

/** How much of a limit is near it. */
const nearShare = 0.8
/** What is written down ahead: a sixteenth of what is left, within these. So much a crash may cost the session. */
const leaseShare = 16
const leaseBytesMin = 64 * 1024
const leaseBytesMax = 32 * 1024 * 1024
/** What is shared is asked for over a network while spending goes on: one socket may bring two megabytes in one turn. */
const sharedLeaseShare = 8
const sharedLeaseBytesMin = 4 * 1024 * 1024

/** `here`: nothing outlives the process. `written`: it is written down ahead. `shared`: by all replicas, of one amount. */
export type Keeping = 'here' | 'shared' | 'written'

export class Allowance {
  limit: number
  /** What spending may reach now: the limit; where it is shared, what was reserved and one lease more. */
  max: number
  /** Where it is shared, with all that other replicas have reserved, as far as it is known. */
  used = 0
  /** What a restart after a crash would take for spent; infinite where nothing outlives the process. */
  kept = Number.POSITIVE_INFINITY
  /** Past 80 %. */
  near = false
  /** Whoever spends beyond it has something to tell. */
  mark = 0
  /** Half of what was written ahead: past it more should be. */
  #low = Number.POSITIVE_INFINITY
  #asked = false
  #isShared: boolean
  /** What may be spent beyond what is reserved, until word of more comes. */
  #credit = 0

  constructor(limit: number, keeping: Keeping) {
    this.limit = limit
    this.max = limit
    this.#isShared = keeping === 'shared'
    if (keeping === 'here') this.#setMark()
    else this.keep(this.#isShared ? 0 : this.ahead())
  }

  get left(): number {
    return this.limit - this.used
  }

  get isLasting(): boolean {
    return this.kept !== Number.POSITIVE_INFINITY
  }

  /** Whether more should be written down. */
  get isLow(): boolean {
    return this.used > this.#low && this.kept < this.limit
  }

  /** What to write down now, so that spending can go on without writing for a while. */
  ahead(): number {
    return this.used + this.#lease()
  }

  /** What to reserve so that a lease is at hand; nothing while half of one is. */
  wanted(): number {
    return (this.kept - this.used) * 2 >= this.#lease() ? 0 : Math.max(0, this.ahead() - this.kept)
  }

  resize(limit: number, keeping: Keeping): void {
    this.limit = limit
    this.near &&= this.used >= limit * nearShare
    this.#isShared = keeping === 'shared'
    if (keeping !== 'here' && !this.isLasting) this.keep(this.#isShared ? 0 : this.used)
    else this.#setMark()
  }

  /** So much is reserved by all replicas, `granted` of it just now by us. */
  share(total: number, granted: number): void {
    this.used += total - this.kept - granted
    this.keep(total)
  }

  /** What was spent before this process, or may have been. */
  restore(used: number): void {
    this.used = used
    this.near = used >= this.limit * nearShare
    this.keep(used)
  }

  /** Written down. */
  keep(kept: number): void {
    this.kept = kept
    this.#low = this.used + (kept - this.used) / 2
    this.#asked = false
    this.#credit = this.#lease()
    this.#setMark()
  }

  /** Called where `used` has passed `mark`: whether this was the step past 80 %, and how soon more must be written down. */
  passed(): { readonly neared: boolean; readonly write: 'no' | 'now' | 'soon' } {
    const neared = !this.near && this.used >= this.limit * nearShare
    this.near ||= neared
    const write = this.isLow ? (this.used > this.kept ? 'now' : 'soon') : 'no'
    // Asked when half of what was written ahead is gone, and again when all of it is.
    this.#asked = write !== 'no'
    this.#setMark()
    return { neared, write }
  }

  #lease(): number {
    const left = Math.max(0, this.left)
    const share = Math.floor(left / (this.#isShared ? sharedLeaseShare : leaseShare))
    return Math.min(left, leaseBytesMax, Math.max(this.#isShared ? sharedLeaseBytesMin : leaseBytesMin, share))
  }

  #setMark(): void {
    this.max = this.#isShared ? Math.min(this.limit, this.kept + this.#credit) : this.limit
    const near = this.near ? Number.POSITIVE_INFINITY : this.limit * nearShare - 1
    const low = this.#asked ? this.kept : this.#low
    this.mark = Math.min(near, this.kept < this.limit ? low : Number.POSITIVE_INFINITY)
  }
}
