/**
 * Counters by labels, bounded.
 *
 * Promises: at most `seriesMax` series, and what comes after is counted under `other`, never forgotten: the sum over all
 * series is always the sum of what was added. Adding to a child that is kept by its user costs one addition.
 */

export type Child = { readonly labels: Readonly<Record<string, string>>; value: number }

export type LabelledCounter = {
  /** The series of these label values, in the order of the names. */
  readonly child: (...values: readonly string[]) => Child
  readonly children: () => Iterable<Child>
}

export type LabelledCounterOptions = {
  readonly names: readonly string[]
  /** Labels an operator or a policy can make many of; they become `other`, first to last, when there are too many. */
  readonly open: readonly string[]
  readonly seriesMax: number
  readonly onOverflow: () => void
}

export function createLabelledCounter(options: LabelledCounterOptions): LabelledCounter {
  const series = new Map<string, Child>()

  function find(values: readonly string[], mayCreate: 'always' | 'below-cap'): Child | null {
    const key = values.join('\u0000')
    const known = series.get(key)
    if (known !== undefined) return known
    if (mayCreate === 'below-cap' && series.size >= options.seriesMax) return null
    const labels = Object.fromEntries(options.names.map((name, index) => [name, values[index] ?? 'none']))
    const made = { labels, value: 0 }
    series.set(key, made)
    return made
  }

  return {
    child: (...values) => {
      const exact = find(values, 'below-cap')
      if (exact !== null) return exact
      options.onOverflow()
      // What is left when every open label is `other` is a product of closed sets: bounded without a cap of its own.
      return find(
        values.map((value, index) => (options.open.includes(options.names[index] ?? '') ? 'other' : value)),
        'always',
      ) as Child
    },
    children: () => series.values(),
  }
}
