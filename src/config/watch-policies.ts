/**
 * Tells when a folder of policies has changed and come to rest.
 *
 * Promises: nothing is told while a file is still being written: sizes and times must hold still first (decision 19).
 * The folder is watched, not its files, so editors that replace files and Kubernetes' swap of `..data` are seen; and it
 * is looked at now and then, for file systems that send no events.
 */

import { type FSWatcher, watch } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'

export type PolicyWatch = { readonly close: () => void }

export type WatchTimes = {
  /** Sizes and times must be the same at both ends of this. */
  readonly stableMs: number
  readonly rescanMs: number
}

const usualTimes: WatchTimes = { stableMs: 150, rescanMs: 5000 }

/** `onSettled` is called once for each change that has settled; it reads the folder itself. */
export function watchPolicies(dir: string, onSettled: () => void, times: WatchTimes = usualTimes): PolicyWatch {
  let isClosed = false
  let isLooking = false
  let isAskedAgain = false
  let settled: string | null = null
  let watcher: FSWatcher | null = null
  let timer: NodeJS.Timeout | null = null

  const look = async (): Promise<void> => {
    if (isLooking) {
      isAskedAgain = true
      return
    }
    isLooking = true
    const before = await snapshot(dir)
    await wait(times.stableMs)
    const after = await snapshot(dir)
    isLooking = false
    if (isClosed) return
    if (before !== after || isAskedAgain) {
      isAskedAgain = false
      void look()
    } else if (after !== settled) {
      settled = after
      onSettled()
    }
  }
  const wait = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      setTimeout(resolve, ms).unref()
    })
  // A watcher follows the folder it was given, not the name: a folder that was replaced needs a new one.
  const rewatch = (): void => {
    watcher?.close()
    try {
      watcher = watch(dir, { persistent: false }, () => void look())
      watcher.on('error', () => watcher?.close())
    } catch {
      watcher = null // not there now; the next rescan tries again
    }
  }

  void snapshot(dir).then((first) => {
    if (isClosed) return
    settled = first
    rewatch()
    void look() // what changed before the watcher stood
    timer = setInterval(() => {
      rewatch()
      void look()
    }, times.rescanMs).unref()
  })
  return {
    close: () => {
      isClosed = true
      watcher?.close()
      if (timer !== null) clearInterval(timer)
    },
  }
}

/** Names, identities, sizes and times of all that could be a policy; links are followed. */
async function snapshot(dir: string): Promise<string> {
  try {
    const names = (await readdir(dir)).filter((name) => !name.startsWith('.')).sort()
    const lines = await Promise.all(
      names.map(async (name) => {
        const found = await stat(path.join(dir, name), { bigint: true }).catch(() => null)
        return found === null ? `${name} gone` : `${name} ${found.ino} ${found.size} ${found.mtimeNs} ${found.mode}`
      }),
    )
    return lines.join('\n')
  } catch {
    return 'unreadable'
  }
}
