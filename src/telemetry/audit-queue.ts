/**
 * Lines on their way to the audit log, as bytes, in order.
 *
 * Promises: a batch is whole lines; a line is copied once, when it comes, into memory outside the garbage collector's
 * care, so a queue that has grown while the disk was full costs its bytes and no pauses.
 */

type Batch = { readonly bytes: Buffer; readonly lineCount: number }

export type AuditQueue = {
  /** Bytes of all lines that were not yet confirmed as written. */
  readonly bytes: () => number
  readonly lines: () => number
  /** The line must be ASCII: its length is taken for its size. Its end is added here. */
  readonly add: (line: string) => void
  /** The oldest lines, the same ones until they are confirmed; null: empty. */
  readonly first: () => Batch | null
  /** The batch last given is written everywhere. */
  readonly confirm: () => void
}

const lineEnd = 10

type Slab = { readonly memory: Buffer; used: number; lineCount: number }

export function createAuditQueue(batchBytesMax: number): AuditQueue {
  const slabs: Slab[] = []
  /** Given out: takes no more lines. */
  let given: Batch | null = null
  /** The one slab that is reused, so that a steady trickle of lines allocates nothing. */
  let spare: Buffer | null = null
  let bytes = 0
  let lines = 0

  function slabFor(length: number): Slab {
    const last = slabs.at(-1)
    const isOpen = last !== undefined && (slabs.length > 1 || given === null)
    if (isOpen && last.used + length <= last.memory.length) return last
    const memory =
      spare !== null && length <= spare.length ? spare : Buffer.allocUnsafeSlow(Math.max(batchBytesMax, length))
    if (memory === spare) spare = null
    const slab = { memory, used: 0, lineCount: 0 }
    slabs.push(slab)
    return slab
  }

  return {
    bytes: () => bytes,
    lines: () => lines,
    add: (line) => {
      const length = line.length + 1
      const slab = slabFor(length)
      slab.memory.write(line, slab.used, 'latin1')
      slab.used += length
      slab.memory[slab.used - 1] = lineEnd
      slab.lineCount++
      bytes += length
      lines++
    },
    first: () => {
      const [slab] = slabs
      if (given === null && slab !== undefined)
        given = { bytes: slab.memory.subarray(0, slab.used), lineCount: slab.lineCount }
      return given
    },
    confirm: () => {
      if (given === null) return
      bytes -= given.bytes.length
      lines -= given.lineCount
      given = null
      spare = slabs.shift()?.memory ?? null
      if (spare !== null && spare.length > batchBytesMax) spare = null
    },
  }
}
