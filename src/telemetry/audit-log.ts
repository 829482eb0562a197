/**
 * The audit log: one JSON line per record, buffered, in order, never silently lost.
 *
 * Promises: a line is on its way to the file within 100 ms; while lines cannot be written nothing new is accepted, what
 * is already here is kept and tried again every second, and when it is through the log accepts again, nothing lost.
 * Memory is bounded: past the queue's bound refusals are summed up per session and reason (`repeated`), so that a
 * sandbox that hammers on a closed door cannot fill it. `dropped` counts what even that could not hold; it must stay 0.
 */

import type { ExchangeRecord } from '../exchange/record.ts'
import { type AuditTarget, createAuditFile } from './audit-file.ts'
import { auditLine } from './audit-line.ts'
import { createAuditQueue } from './audit-queue.ts'
import { createAuditStdout } from './audit-stdout.ts'

export type AuditLogOptions = {
  readonly file: string | null
  readonly stdout: boolean
  readonly bytesMax: number
  readonly filesMax: number
  readonly queueBytesMax: number
  readonly fsync: 'always' | 'never'
  readonly now: () => number
}

export type AuditLog = {
  /** False: nothing new may be allowed, it could not be recorded. */
  readonly accepting: () => boolean
  /** `line` is the record as `auditLine` says it. */
  readonly append: (record: ExchangeRecord, line: string) => void
  /** Tries to write everything that is queued, and resolves when that was done or has failed. */
  readonly flush: () => Promise<void>
  readonly stats: () => { readonly dropped: number; readonly queuedBytes: number; readonly blocked: boolean }
  /** One last try; what cannot be written then is counted as dropped. */
  readonly close: () => Promise<void>
}

/** Half of the 100 ms promised, the other half is for the disk. */
const batchDelayMs = 50
const retryDelayMs = 1000
/** Large enough that the system call does not count, small enough that one batch holds the queue up for a moment only. */
const batchBytesMax = 256 * 1024
/** Past the bound the queue still takes what was allowed before: the final records of exchanges already running. */
const reserveFactor = 2
/** Kinds of refusals that are summed up while the queue is full; sessions times reasons, so this is never reached honestly. */
const summedMax = 10_000

const nothing = Buffer.alloc(0)

export function createAuditLog(options: AuditLogOptions): AuditLog {
  const targets = targetsOf(options)
  const summed = createSummedRefusals()
  const queue = createAuditQueue(Math.min(batchBytesMax, options.bytesMax))
  /** Which targets the first batch has not reached; fewer than all where one of two got stuck. */
  let remaining: readonly AuditTarget[] = targets
  let blocked = targets.some(({ startError }) => startError !== null)
  let dropped = 0
  let isClosed = false
  let timer: NodeJS.Timeout | null = null
  let timerDelayMs = 0
  let writing: Promise<void> | null = null

  function append(record: ExchangeRecord, line: string): void {
    if (queue.bytes() >= options.queueBytesMax && summed.add(record)) return
    if (isClosed || queue.bytes() + line.length > options.queueBytesMax * reserveFactor) {
      dropped += record.repeated
      return
    }
    queue.add(line)
    if (blocked) schedule(retryDelayMs)
    else schedule(options.fsync === 'always' || queue.bytes() > batchBytesMax ? 0 : batchDelayMs)
  }

  function schedule(delayMs: number): void {
    if (isClosed || writing !== null || (timer !== null && delayMs >= timerDelayMs)) return
    if (timer !== null) clearTimeout(timer)
    timer = setTimeout(() => void pump(), delayMs)
    timerDelayMs = delayMs
  }

  function pump(): Promise<void> {
    if (timer !== null) clearTimeout(timer)
    timer = null
    writing ??= drain().finally(() => {
      writing = null
      if (blocked) schedule(retryDelayMs)
      else if (queue.bytes() > 0) schedule(batchDelayMs)
    })
    return writing
  }

  async function drain(): Promise<void> {
    for (;;) {
      if (queue.bytes() < options.queueBytesMax) for (const record of summed.take()) queue.add(auditLine(record))
      const batch = queue.first()
      if (batch === null && !blocked) return
      const failed: AuditTarget[] = []
      // An empty write still opens the target: that is how a log that is blocked and idle finds its way back.
      for (const target of remaining) if ((await target.write(batch?.bytes ?? nothing)) !== null) failed.push(target)
      blocked = failed.length > 0
      remaining = blocked ? failed : targets
      if (blocked || batch === null) return
      queue.confirm()
    }
  }

  if (blocked) schedule(retryDelayMs)

  return {
    accepting: () => !blocked && !isClosed && queue.bytes() < options.queueBytesMax,
    append,
    flush: async () => {
      await writing
      await pump()
    },
    stats: () => ({ dropped, queuedBytes: queue.bytes(), blocked }),
    close: async () => {
      if (isClosed) return
      await writing
      await pump()
      isClosed = true
      if (timer !== null) clearTimeout(timer)
      for (const record of summed.take()) dropped += record.repeated
      dropped += queue.lines()
      await Promise.all(targets.map((target) => target.close()))
    },
  }
}

function targetsOf(options: AuditLogOptions): AuditTarget[] {
  const targets: AuditTarget[] = []
  if (options.file !== null) targets.push(createAuditFile({ ...options, file: options.file }))
  if (options.stdout) targets.push(createAuditStdout())
  return targets
}

/** Refusals of one session for one reason as one record: its `repeated` is the sum, so records still equal counters. */
function createSummedRefusals() {
  const sums = new Map<string, ExchangeRecord>()
  return {
    add: (record: ExchangeRecord): boolean => {
      if (record.event !== 'final' || (record.outcome !== 'deny' && record.outcome !== 'challenge')) return false
      const key = `${record.session} ${record.outcome} ${record.reason} ${record.policyLabel}`
      const known = sums.get(key)
      if (known === undefined && sums.size >= summedMax) return false
      sums.set(key, known === undefined ? summary(record) : { ...known, repeated: known.repeated + record.repeated })
      return true
    },
    take: (): ExchangeRecord[] => {
      const records = [...sums.values()]
      sums.clear()
      return records
    },
  }
}

function summary(record: ExchangeRecord): ExchangeRecord {
  return {
    ...record,
    rule: null,
    ruleHost: null,
    host: null,
    port: null,
    method: null,
    path: null,
    address: null,
    detail: 'summed up while the audit log could not be written; targets differ',
  }
}
