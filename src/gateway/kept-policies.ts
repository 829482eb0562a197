/**
 * The policies that were made over the control API, as they are kept: one file of the state directory.
 *
 * Promises: it is replaced as a whole, so a crash leaves the one from before or the new one; a file that cannot be trusted
 * or read is a startup error, for going on without its policies would take them from the sessions that use them.
 */

import { existsSync } from 'node:fs'
import { open, readFile, rename, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { securePrivateDirectory, securePrivateFile } from '../sessions/private-file.ts'
import type { PolicyDocuments } from './policy-shelf.ts'

const formatVersion = 1

export type KeptPolicies = {
  readonly load: () => Promise<PolicyDocuments>
  readonly keep: (made: PolicyDocuments) => Promise<void>
}

/** For gateways whose sessions end with the process too. */
export function createForgottenPolicies(): KeptPolicies {
  return { load: () => Promise.resolve(new Map()), keep: () => Promise.resolve() }
}

export function createKeptPolicies(directory: string): KeptPolicies {
  const path = join(directory, 'policies.json')
  return {
    load: async () => {
      securePrivateDirectory(directory)
      if (!existsSync(path)) return new Map()
      securePrivateFile(path)
      const documents = parseKept(await readFile(path, 'utf8'))
      if (documents === null)
        throw new Error(`${path} is not a file of policies; restore it, or move it away to start without them`)
      return documents
    },
    keep: async (made) => {
      const text = JSON.stringify({ version: formatVersion, policies: Object.fromEntries(made) })
      await replaceFile(path, text)
    },
  }
}

function parseKept(text: string): PolicyDocuments | null {
  const raw = parseJson(text)
  if (!isRecord(raw) || raw['version'] !== formatVersion || !isRecord(raw['policies'])) return null
  const documents = Object.entries(raw['policies']).flatMap(([name, document]): [string, object][] =>
    isRecord(document) ? [[name, document]] : [],
  )
  return documents.length === Object.keys(raw['policies']).length ? new Map(documents) : null
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What was there, or all of the text: never a part, and on the disk when it resolves. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const beside = `${path}.new`
  await unlink(beside).catch(() => null)
  const file = await open(beside, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(beside, path)
  const folder = await open(dirname(path), 'r')
  try {
    // The new name is on the disk too when this resolves.
    await folder.sync()
  } finally {
    await folder.close()
  }
}
