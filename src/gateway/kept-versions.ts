/**
 * The versions of policies, as they are kept: a version that a client or a record names is of one content, over restarts too.
 *
 * Promises: the file is replaced as a whole; one that cannot be read is a startup error. A version that was counted and not yet
 * kept when the process ended is counted again for what the policy is then.
 */

import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { PolicyVersions } from '../policy/policy-book.ts'
import { securePrivateDirectory, securePrivateFile } from '../sessions/private-file.ts'
import { replaceFile } from './kept-policies.ts'

export type KeptVersions = {
  readonly load: () => Promise<PolicyVersions>
  /** Those that are known when its turn has come. */
  readonly keep: (versions: () => PolicyVersions) => Promise<void>
}

/** For gateways whose sessions end with the process too. */
export function createForgottenVersions(): KeptVersions {
  return { load: () => Promise.resolve(new Map()), keep: () => Promise.resolve() }
}

export function createKeptVersions(directory: string): KeptVersions {
  const path = join(directory, 'policy-versions.json')
  let last: Promise<unknown> = Promise.resolve()
  return {
    load: async () => {
      securePrivateDirectory(directory)
      if (!existsSync(path)) return new Map()
      securePrivateFile(path)
      const versions = parseVersions(await readFile(path, 'utf8'))
      if (versions === null)
        throw new Error(`${path} is not a file of versions; restore it, or move it away to count from 1 again`)
      return versions
    },
    keep: (versions) => {
      const turn = last.then(() => replaceFile(path, JSON.stringify(Object.fromEntries(versions()))))
      last = turn.catch(() => null)
      return turn
    },
  }
}

function parseVersions(text: string): PolicyVersions | null {
  const raw = parseJson(text)
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return null
  const read = Object.entries(raw).flatMap(([name, one]: [string, unknown]): [string, KnownVersion][] =>
    isVersion(one) ? [[name, one]] : [],
  )
  return read.length === Object.keys(raw).length ? new Map(read) : null
}

type KnownVersion = PolicyVersions extends ReadonlyMap<string, infer Known> ? Known : never

function isVersion(one: unknown): one is KnownVersion {
  return (
    typeof one === 'object' &&
    one !== null &&
    'version' in one &&
    Number.isSafeInteger(one.version) &&
    'fingerprint' in one &&
    typeof one.fingerprint === 'string'
  )
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
