/**
 * What a crash leaves behind, put right before the first new line.
 *
 * Promises: a line that was cut off is ended, so the next one stands alone; every exchange that is still `open` in the
 * log and never ended is closed by a `final` line with the outcome `interrupted` (decision 41). Nothing is removed.
 */

import { closeSync, openSync, readSync } from 'node:fs'
import type { ExchangeRecord } from '../exchange/record.ts'
import { auditLine, linePrefix } from './audit-line.ts'

const chunkBytes = 1024 * 1024

/**
 * The text to append to the newest file. `files` are oldest first, so that an exchange opened before a rotation and
 * ended after it is whole. Reads everything once: about a second per GiB, at start only.
 */
export function auditRepair(files: readonly string[], now: Date): string {
  const open = new Map<string, string>()
  let torn = false
  for (const file of files) {
    torn = eachLine(file, (line) => {
      const isOpen = line.startsWith(linePrefix.open)
      if (!isOpen && (open.size === 0 || !line.startsWith(linePrefix.final))) return
      const id = quotedAt(line, isOpen ? linePrefix.open.length : linePrefix.final.length)
      if (id === null) return
      if (isOpen) open.set(id, line)
      else open.delete(id)
    })
  }
  let repair = torn ? '\n' : ''
  for (const line of open.values()) {
    const opened = parseRecord(line)
    if (opened !== null) repair += `${auditLine(interrupted(opened, now))}\n`
  }
  return repair
}

/** Calls with each whole line, without its end; true if the file's last line has none. */
function eachLine(file: string, use: (line: string) => void): boolean {
  const descriptor = openSync(file, 'r')
  try {
    const chunk = Buffer.allocUnsafe(chunkBytes)
    let rest = ''
    for (;;) {
      const length = readSync(descriptor, chunk, 0, chunkBytes, null)
      if (length === 0) return rest !== ''
      const lines = (rest + chunk.toString('latin1', 0, length)).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) use(line)
    }
  } finally {
    closeSync(descriptor)
  }
}

/** The text between the quotes at this place, or null. Ids are ours and hold nothing that is escaped. */
function quotedAt(line: string, at: number): string | null {
  if (line[at] !== '"') return null
  const end = line.indexOf('"', at + 1)
  return end < 0 ? null : line.slice(at + 1, end)
}

/** A line that we wrote ourselves; one that is damaged is left as it is, for a person to look at. */
function parseRecord(line: string): ExchangeRecord | null {
  try {
    const record = JSON.parse(line) as ExchangeRecord
    return typeof record.decisionId === 'string' && typeof record.durations?.total === 'number' ? record : null
  } catch {
    return null
  }
}

function interrupted(opened: ExchangeRecord, now: Date): ExchangeRecord {
  return {
    ...opened,
    event: 'final',
    outcome: 'interrupted',
    detail: `the gateway stopped before this ended; found at ${now.toISOString()}; bytes and durations are those at opening`,
  }
}
