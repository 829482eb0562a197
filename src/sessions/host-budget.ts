/**
 * A session's budget as the exchanges with one host see it: every byte is taken from what the session has left, and from
 * what it has left for this host.
 *
 * Promises: a byte is counted before it goes on, and one that would be too many is not counted and does not.
 */

import { Allowance, type Keeping } from './allowance.ts'
import type { Budget } from './budget.ts'
import { RateWindow } from './rate-window.ts'
import type { LimitsInForce } from './session-limits.ts'

export class HostBudget {
  readonly name: string
  readonly up: Allowance
  readonly down: Allowance
  readonly requests = new RateWindow()
  /** There is a row of it. */
  written = false
  readonly #all: Budget
  readonly #keeping: Keeping

  constructor(all: Budget, name: string, keeping: Keeping) {
    const { limits } = all
    this.#all = all
    this.#keeping = keeping
    this.name = name
    this.up = new Allowance(limits.perHost.uploadBytes, this.#keepingOf('uploadBytes', limits))
    this.down = new Allowance(limits.perHost.downloadBytes, this.#keepingOf('downloadBytes', limits))
  }

  get upLeft(): number {
    return Math.min(this.#all.up.left, this.up.left)
  }

  get downLeft(): number {
    return Math.min(this.#all.down.left, this.down.left)
  }

  /** What was written ahead of its spending is not used up by half. */
  get isKept(): boolean {
    return this.written && !this.up.isLow && !this.down.isLow
  }

  /** False: the bytes must not go on, and nothing was counted. */
  takeUp(bytes: number): boolean {
    return this.#take(this.#all.up, this.up, bytes, 'uploadBytes')
  }

  takeDown(bytes: number): boolean {
    return this.#take(this.#all.down, this.down, bytes, 'downloadBytes')
  }

  resize(limits: LimitsInForce): void {
    this.up.resize(limits.perHost.uploadBytes, this.#keepingOf('uploadBytes', limits))
    this.down.resize(limits.perHost.downloadBytes, this.#keepingOf('downloadBytes', limits))
  }

  #take(all: Allowance, own: Allowance, bytes: number, name: 'downloadBytes' | 'uploadBytes'): boolean {
    if (all.used + bytes > all.max || own.used + bytes > own.max) return false
    all.used += bytes
    own.used += bytes
    if (own.used > own.mark) this.#all.noted(own, `perHost.${name}`)
    if (all.used > all.mark) this.#all.noted(all, name)
    return true
  }

  /** Where a host may take all that there is, what is written of the session is enough. */
  #keepingOf(name: 'downloadBytes' | 'uploadBytes', limits: LimitsInForce): Keeping {
    return limits.perHost[name] < limits[name] ? this.#keeping : 'here'
  }
}
