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

export class Allowance {
  max: number
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

  constructor(max: number, lasting: boolean) {
    this.max = max
    if (lasting) this.keep(this.ahead())
    else this.#setMark()
  }

  get left(): number {
    return this.max - this.used
  }

  get isLasting(): boolean {
    return this.kept !== Number.POSITIVE_INFINITY
  }

  /** Whether more should be written down. */
  get isLow(): boolean {
    return this.used > this.#low && this.kept < this.max
  }

  /** What to write down now, so that spending can go on without writing for a while. */
  ahead(): number {
    const left = Math.max(0, this.left)
    return this.used + Math.min(left, leaseBytesMax, Math.max(leaseBytesMin, Math.floor(left / leaseShare)))
  }

  resize(max: number, lasting: boolean): void {
    this.max = max
    this.near &&= this.used >= max * nearShare
    if (lasting && !this.isLasting) this.keep(this.used)
    else this.#setMark()
  }

  /** What was spent before this process, or may have been. */
  restore(used: number): void {
    this.used = used
    this.near = used >= this.max * nearShare
    this.keep(used)
  }

  /** Written down. */
  keep(kept: number): void {
    this.kept = kept
    this.#low = this.used + (kept - this.used) / 2
    this.#asked = false
    this.#setMark()
  }

  /** Called where `used` has passed `mark`: whether this was the step past 80 %, and how soon more must be written down. */
  passed(): { readonly neared: boolean; readonly write: 'no' | 'now' | 'soon' } {
    const neared = !this.near && this.used >= this.max * nearShare
    this.near ||= neared
    const write = this.isLow ? (this.used > this.kept ? 'now' : 'soon') : 'no'
    // Asked when half of what was written ahead is gone, and again when all of it is.
    this.#asked = write !== 'no'
    this.#setMark()
    return { neared, write }
  }

  #setMark(): void {
    const near = this.near ? Number.POSITIVE_INFINITY : this.max * nearShare - 1
    const low = this.#asked ? this.kept : this.#low
    this.mark = Math.min(near, this.kept < this.max ? low : Number.POSITIVE_INFINITY)
  }
}
