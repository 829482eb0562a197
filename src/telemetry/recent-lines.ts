/**
 * The last lines of the audit log, kept as bytes outside the heap: a record that is kept as an object is copied by the
 * garbage collector twice before it is old, and that costs every request.
 *
 * Promises: at most `linesMax` are shown and a little more are kept, in at most `bytesMax` bytes.
 */

type Segment = { readonly memory: Buffer; readonly ends: number[] }

const segmentBytes = 256 * 1024

export class RecentLines {
  readonly #linesMax: number
  readonly #segmentsMax: number
  /** Oldest first; never empty once a line came. */
  readonly #segments: Segment[] = []
  #lines = 0
  #added = 0

  constructor(options: { readonly linesMax: number; readonly bytesMax: number }) {
    this.#linesMax = options.linesMax
    this.#segmentsMax = Math.max(2, Math.floor(options.bytesMax / segmentBytes))
  }

  /** ASCII only. A line larger than a segment is not kept. */
  add(line: string): void {
    if (line.length > segmentBytes) return
    const { memory, ends } = this.#segmentFor(line.length)
    const start = ends.at(-1) ?? 0
    memory.write(line, start, 'latin1')
    ends.push(start + line.length)
    this.#lines++
    this.#added++
  }

  /** How many lines were ever kept: the number of the newest, counted from 1. */
  get added(): number {
    return this.#added
  }

  /** Newest first. */
  *newest(): Generator<string> {
    let left = this.#linesMax
    for (const { memory, ends } of this.#segments.toReversed()) {
      for (let i = ends.length - 1; i >= 0 && left > 0; i--, left--)
        yield memory.toString('latin1', ends[i - 1] ?? 0, ends[i])
    }
  }

  #segmentFor(length: number): Segment {
    const last = this.#segments.at(-1)
    if (last !== undefined && (last.ends.at(-1) ?? 0) + length <= segmentBytes) return last
    const [oldest] = this.#segments
    const full = this.#segments.length >= this.#segmentsMax
    const spare = oldest !== undefined && (full || this.#lines - oldest.ends.length >= this.#linesMax) ? oldest : null
    if (spare !== null) {
      this.#segments.shift()
      this.#lines -= spare.ends.length
    }
    const made = { memory: spare?.memory ?? Buffer.allocUnsafeSlow(segmentBytes), ends: [] }
    this.#segments.push(made)
    return made
  }
}
