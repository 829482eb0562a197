/**
 * The key of this gateway's state: 32 random bytes in the state directory, made on first use.
 *
 * Promises: it is the same after a restart, so placeholders stay what sandboxes hold and stored sessions stay readable; a
 * key file of the wrong size is a startup error, never replaced, because everything sealed with it would be lost.
 */

import { createHmac } from 'node:crypto'
import { closeSync, existsSync, fsyncSync, linkSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { securePrivateDirectory, securePrivateFile } from './private-file.ts'
import type { Random } from './session-token.ts'

const keyBytes = 32

export function loadStateKey(directory: string, random: Random): Buffer {
  securePrivateDirectory(directory)
  const path = join(directory, 'state-key')
  if (!existsSync(path)) createKey(path, random)
  securePrivateFile(path)
  const key = readFileSync(path)
  if (key.length !== keyBytes)
    throw new Error(`${path} is not a key of ${keyBytes} bytes; restore it, or remove it with sessions.db`)
  return key
}

/** One that is configured, as text; null: it is none. */
export function parseStateKey(text: string): Buffer | null {
  const written = text.trim()
  if (/^[0-9a-f]{64}$/i.test(written)) return Buffer.from(written, 'hex')
  const key = Buffer.from(written, 'base64')
  return key.length === keyBytes && /^[A-Za-z0-9+/]{43}=?$/.test(written) ? key : null
}

/** A key of its own for each purpose, so that what one reveals says nothing about another. */
export function deriveKey(
  stateKey: Buffer,
  purpose: 'cookies' | 'placeholders' | 'secrets' | 'sessions' | 'tickets',
): Buffer {
  return createHmac('sha256', stateKey).update(purpose).digest()
}

/** Written whole under another name first, then linked: whoever comes second finds the first one's key. */
function createKey(path: string, random: Random): void {
  const draft = `${path}.${random(8).toString('hex')}`
  const file = openSync(draft, 'wx', 0o600)
  try {
    writeSync(file, random(keyBytes))
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  try {
    linkSync(draft, path)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  } finally {
    unlinkSync(draft)
  }
}
