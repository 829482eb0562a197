/**
 * A histogram of durations that is counted by us; the Prometheus library is told only when somebody scrapes.
 *
 * Promises: adding costs one look through a short list and two additions; what a scrape shows is cumulative, and its count
 * is the number of durations added.
 */

import { Histogram, type Registry } from 'prom-client'

export type DurationsOptions = {
  readonly name: string
  readonly help: string
  /** Upper bounds in seconds, ascending. */
  readonly buckets: readonly number[]
  readonly registers: Registry[]
}

type Sample = {
  readonly metricName: string
  readonly labels: Readonly<Record<string, number | string>>
  readonly value: number
  readonly sharedLabels: object
}

/** As the library's own histograms tell it. */
type Told = {
  readonly name: string
  readonly help: string
  readonly type: 'histogram'
  readonly aggregator: 'sum'
  values: readonly Sample[]
}

export class Durations extends Histogram {
  readonly #name: string
  readonly #help: string
  readonly #bounds: readonly number[]
  /** One more than the bounds: the last is beyond all of them. */
  readonly #counts: number[]
  #sum = 0

  constructor({ name, help, buckets, registers }: DurationsOptions) {
    super({ name, help, buckets: [...buckets], registers })
    this.#name = name
    this.#help = help
    this.#bounds = buckets
    this.#counts = Array.from({ length: buckets.length + 1 }, () => 0)
  }

  add(seconds: number): void {
    let at = 0
    while (at < this.#bounds.length && seconds > (this.#bounds[at] ?? 0)) at++
    this.#counts[at] = (this.#counts[at] ?? 0) + 1
    this.#sum += seconds
  }

  /** What the library asks a histogram for when it writes the exposition format. */
  getForPromString(): Told {
    const values: Sample[] = []
    let count = 0
    for (const [at, counted] of this.#counts.entries()) {
      count += counted
      values.push({
        metricName: `${this.#name}_bucket`,
        labels: { le: this.#bounds[at] ?? '+Inf' },
        value: count,
        sharedLabels: {},
      })
    }
    values.push({ metricName: `${this.#name}_sum`, labels: {}, value: this.#sum, sharedLabels: {} })
    values.push({ metricName: `${this.#name}_count`, labels: {}, value: count, sharedLabels: {} })
    return { name: this.#name, help: this.#help, type: 'histogram', aggregator: 'sum', values }
  }
}
