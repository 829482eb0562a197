/**
 * Reads an audit log for people.
 *
 * Promises: a file of any size costs the memory of the lines asked for; a line that is none of ours is counted, not
 * guessed at.
 */

import { createReadStream } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { ExchangeRecord } from '../exchange/record.ts'
import { parseRecordLine, type Wanted } from './decision-query.ts'
import { Complaint, type World } from './world.ts'

/** The last `limit` that are wanted, oldest first. */
export async function readAuditFile(
  file: string,
  wanted: Wanted,
  limit: number,
  world: World,
  print: (record: ExchangeRecord) => void,
): Promise<void> {
  const kept: ExchangeRecord[] = []
  let strange = 0
  try {
    const lines = createInterface({ input: createReadStream(path.resolve(world.cwd, file)), crlfDelay: Infinity })
    for await (const line of lines) {
      if (line === '') continue
      const record = parseRecordLine(line)
      if (record === null) strange++
      else if (isWanted(record, wanted)) kept.push(record)
      if (kept.length > limit) kept.shift()
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'error'
    throw new Complaint(`${file} cannot be read: ${code}; name an audit log of a gateway`)
  }
  for (const record of kept) print(record)
  if (strange > 0) world.err.write(`${strange} lines are no records of this gateway and were left out\n`)
}

/** An exchange has one final line; the one that opens it says less. */
function isWanted(record: ExchangeRecord, { session, host, outcome }: Wanted): boolean {
  return (
    record.event === 'final' &&
    (session === undefined || record.session === session) &&
    (host === undefined || record.host === host) &&
    (outcome === undefined || record.outcome === outcome)
  )
}
