/**
 * Files of the state directory: ours, and nobody else's to write.
 *
 * Promises: a file or directory that another user could have written is a startup error, never trusted; what is made is
 * 0600 in 0700.
 */

import { closeSync, constants, fchmodSync, fstatSync, mkdirSync, openSync, type Stats, statSync } from 'node:fs'

/** Makes the directory if it is not there. */
export function securePrivateDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  refuseForeign(directory, statSync(directory))
}

/** Makes the file if it is not there, empty. A symbolic link in its place is refused: it could lead anywhere. */
export function securePrivateFile(path: string): void {
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0o600)
  try {
    const stats = fstatSync(file)
    if (!stats.isFile()) throw new Error(`${path} is not a file; move it away`)
    refuseForeign(path, stats)
    fchmodSync(file, 0o600)
  } finally {
    closeSync(file)
  }
}

function refuseForeign(path: string, stats: Stats): void {
  const user = process.getuid?.()
  if (user !== undefined && stats.uid !== user)
    throw new Error(`${path} belongs to another user; run as that user, or name another state directory`)
  if ((stats.mode & 0o022) !== 0) throw new Error(`${path} can be written by other users; chmod go-w it`)
}
