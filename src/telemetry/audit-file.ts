/**
 * The audit log's file: append, rotate, come back after trouble.
 *
 * Promises: only whole lines stay in the file: what a failed write left of a line is taken back before it is written
 * again. A file that was moved or deleted under us is noticed at the next batch and opened anew. Order is kept across
 * rotation: `.1` is older than the file, `.2` older than `.1`.
 */

import { closeSync, existsSync, fstatSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { auditRepair } from './audit-repair.ts'

export type AuditFileOptions = {
  readonly file: string
  /** The file is rotated before it grows beyond this. */
  readonly bytesMax: number
  /** How many rotated files are kept beside the current one. */
  readonly filesMax: number
  readonly fsync: 'always' | 'never'
  readonly now: () => number
}

/** Writes one batch of whole lines; on an error the part that did not arrive is remembered and comes next. */
export type AuditTarget = {
  /** Why nothing can be written from the start; null: ready. */
  readonly startError: unknown
  /** Null: all of it arrived. */
  readonly write: (batch: Buffer) => Promise<unknown>
  readonly close: () => Promise<void>
}

type Opened = { readonly handle: FileHandle; readonly inode: number; readonly isRegular: boolean; bytes: number }

/** Only the gateway's own user reads what sandboxes did. */
const fileMode = 0o600

/** How often the file's name is compared with the file we write to. */
const lookEveryMs = 1000

export function createAuditFile(options: AuditFileOptions): AuditTarget {
  let current: Opened | null = null
  let written = 0
  let isTorn = false
  let lookedAt = Number.NEGATIVE_INFINITY
  // Once, before our own first line: later every `open` in the file may still be running.
  let unprepared = prepareAuditFile(options)
  const startError = unprepared

  /** Who renames or removes the file sees the next second's lines go after the old one. */
  function isTimeToLook(): boolean {
    const now = performance.now()
    if (now - lookedAt < lookEveryMs) return false
    lookedAt = now
    return true
  }

  async function ready(batchBytes: number): Promise<Opened> {
    if (unprepared !== null) unprepared = prepareAuditFile(options)
    if (unprepared !== null) throw new Error('the audit file cannot be prepared', { cause: unprepared })
    if (current !== null && isTimeToLook() && (await inodeOf(options.file)) !== current.inode) await drop()
    current ??= await openForAppend(options.file)
    if (current.isRegular && current.bytes > 0 && current.bytes + batchBytes > options.bytesMax) {
      await drop()
      await rotate(options.file, options.filesMax)
      current = await openForAppend(options.file)
    }
    if (isTorn) current.bytes += (await current.handle.write('\n')).bytesWritten
    isTorn = false
    return current
  }

  async function drop(): Promise<void> {
    const gone = current
    current = null
    await gone?.handle.close().catch(() => undefined)
  }

  /** Leaves only whole lines, and moves the mark back to where the first missing line begins. */
  async function takeBack(batch: Buffer, before: { readonly mark: number; readonly bytes: number }): Promise<void> {
    if (current === null) return
    // A pipe or a device takes nothing back: it gets the rest of the line.
    if (!current.isRegular) return drop()
    const whole = options.fsync === 'always' ? before.mark : batch.subarray(0, written).lastIndexOf(10) + 1
    const kept = Math.max(whole, before.mark)
    const bytes = before.bytes + (kept - before.mark)
    written = kept
    await current.handle.truncate(bytes).catch(() => {
      isTorn = true
    })
    await drop()
  }

  return {
    startError,
    write: async (batch) => {
      let before: { mark: number; bytes: number } | null = null
      try {
        const { handle, ...rest } = await ready(batch.length - written)
        before = { mark: written, bytes: rest.bytes }
        while (written < batch.length) {
          written += (await handle.write(batch, written, batch.length - written, null)).bytesWritten
        }
        if (options.fsync === 'always') await handle.datasync()
        if (current !== null) current.bytes += batch.length - before.mark
        written = 0
        return null
      } catch (error) {
        if (before === null) await drop()
        else await takeBack(batch, before)
        return error
      }
    },
    close: drop,
  }
}

/** Makes the folder if there is none, ends a torn line, closes what a crash left open. The error, or null. */
function prepareAuditFile(options: AuditFileOptions): unknown {
  try {
    mkdirSync(dirname(options.file), { recursive: true, mode: 0o700 })
    const descriptor = openSync(options.file, 'a', fileMode)
    try {
      if (fstatSync(descriptor).isFile()) appendRepair(descriptor, options)
    } finally {
      closeSync(descriptor)
    }
    return null
  } catch (error) {
    return error
  }
}

function appendRepair(descriptor: number, options: AuditFileOptions): void {
  const rotated = rotatedNames(options.file, options.filesMax).filter((name) => existsSync(name))
  const repair = Buffer.from(auditRepair([...rotated, options.file], new Date(options.now())), 'latin1')
  for (let done = 0; done < repair.length; ) done += writeSync(descriptor, repair, done)
}

async function openForAppend(file: string): Promise<Opened> {
  const handle = await open(file, 'a', fileMode)
  const facts = await handle.stat()
  return { handle, inode: facts.ino, isRegular: facts.isFile(), bytes: facts.size }
}

async function inodeOf(file: string): Promise<number | null> {
  return stat(file).then(
    (facts) => facts.ino,
    () => null,
  )
}

async function rotate(file: string, filesMax: number): Promise<void> {
  const names = [...rotatedNames(file, filesMax), file]
  const [oldest] = names
  if (oldest !== undefined) await rm(oldest, { force: true })
  for (let i = 0; i + 1 < names.length; i++) {
    const [older, newer] = [names[i] ?? '', names[i + 1] ?? '']
    if (newer === file || existsSync(newer)) await rename(newer, older)
  }
}

/** Oldest first, the current file not among them. */
function rotatedNames(file: string, filesMax: number): string[] {
  return Array.from({ length: filesMax }, (_, index) => `${file}.${filesMax - index}`)
}
