/**
 * The first admin token, for a gateway whose configuration names none: read, or made on first use.
 *
 * Promises: it stands in a file that only we can read, and nowhere else; of two processes that start at once one makes it.
 */

import { randomBytes } from 'node:crypto'
import { link, open, readFile, unlink } from 'node:fs/promises'
import { join } from 'node:path'

const tokenBytes = 32

export async function loadAdminToken(
  stateDirectory: string,
): Promise<{ readonly token: string; readonly path: string }> {
  const path = join(stateDirectory, 'admin-token')
  const token = ((await read(path)) ?? (await make(path)) ?? (await readFile(path, 'utf8'))).trim()
  if (token.length < tokenBytes)
    throw new Error(`${path}: is too short to be an admin token; delete it to make a new one`)
  return { token, path }
}

/** Null when there is none. */
async function read(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}

/** Null when another process made it meanwhile. Written beside it and linked, so that nobody ever reads half of it. */
async function make(path: string): Promise<string | null> {
  const token = randomBytes(tokenBytes).toString('base64url')
  const beside = `${path}.${randomBytes(6).toString('hex')}`
  const file = await open(beside, 'wx', 0o600)
  try {
    await file.writeFile(`${token}\n`)
    await file.sync()
    await link(beside, path)
    return token
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return null
    throw error
  } finally {
    await file.close()
    await unlink(beside)
  }
}
