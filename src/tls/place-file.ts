/**
 * Files that others read while we write: they see the whole old file or the whole new one, also after a crash.
 *
 * Promises: the bytes are on the disk before the name is; a file that is placed once is never written over.
 */

import { randomUUID } from 'node:crypto'
import { link, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Puts the file there unless one is there already, and says whether it was ours that came first. */
export async function placeFileOnce(path: string, text: string, mode: number): Promise<boolean> {
  return place(path, text, mode, async (temporary) => {
    try {
      // Unlike rename, link fails where the name exists: of two processes exactly one wins.
      await link(temporary, path)
      return true
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
      throw error
    }
  })
}

/** Puts the file there, in place of the one that was. */
export async function replaceFile(path: string, content: Buffer | string, mode: number): Promise<void> {
  await place(path, content, mode, (temporary) => rename(temporary, path))
}

async function place<T>(
  path: string,
  content: Buffer | string,
  mode: number,
  name: (temporary: string) => Promise<T>,
): Promise<T> {
  const temporary = `${path}.${randomUUID()}`
  try {
    const file = await open(temporary, 'wx', mode)
    try {
      await file.chmod(mode) // open's mode is cut by the umask
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    const result = await name(temporary)
    const directory = await open(dirname(path), 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
    return result
  } finally {
    await rm(temporary, { force: true })
  }
}
