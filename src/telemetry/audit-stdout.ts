/**
 * The audit log on standard output, for containers whose runtime collects it.
 *
 * Promises: a reader that is slow or gone is an error of the write, never an exception and never a blocked gateway: the
 * descriptor is written by the thread pool, not through `process.stdout`, whose pipes are synchronous.
 */

import { write } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import type { AuditTarget } from './audit-file.ts'

/** How long a full non-blocking pipe is left alone before the next try. */
const fullPipePauseMs = 10

export function createAuditStdout(descriptor = 1): AuditTarget {
  let written = 0
  let isClosing = false
  return {
    startError: null,
    write: async (batch) => {
      while (written < batch.length) {
        const result = await writeOnce(descriptor, batch, written)
        if (typeof result === 'number') written += result
        else if (result.code !== 'EAGAIN' || isClosing) return result
        else await pause(fullPipePauseMs)
      }
      written = 0
      return null
    },
    close: async () => {
      isClosing = true
    },
  }
}

function writeOnce(descriptor: number, batch: Buffer, from: number): Promise<number | NodeJS.ErrnoException> {
  return new Promise((resolve) => {
    write(descriptor, batch, from, batch.length - from, null, (error, length) => resolve(error ?? length))
  })
}
