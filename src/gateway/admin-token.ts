/**
 * The first admin token, for a gateway whose configuration names none: read, or made on first use.
 *
 * Promises: it stands in a file that only we can read, and nowhere else; of two processes that start at once one makes it.
 */

import { randomBytes } from 'node:crypto'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'

const tokenBytes = 32

export async function loadAdminToken(
  stateDirectory: string,
): Promise<{ readonly token: string; readonly path: string }> {
  const path = join(stateDirectory, 'admin-token')
  const token = ((await make(path)) ?? (await readFile(path, 'utf8'))).trim()
  if (token.length < tokenBytes)
    throw new Error(`${path}: is too short to be an admin token; delete it to make a new one`)
  return { token, path }
}

/** Null when it is there already. */
async function make(path: string): Promise<string | null> {
  try {
    const file = await open(path, 'wx', 0o600)
    try {
      const token = randomBytes(tokenBytes).toString('base64url')
      await file.writeFile(`${token}\n`)
      await file.sync()
      return token
    } finally {
      await file.close()
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return null
    throw error
  }
}
