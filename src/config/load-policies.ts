/**
 * Policy files from a folder, and the shipped ones.
 *
 * Promises: a folder is taken whole or not at all; what others than its owner can write is not taken; a file costs no
 * more than its bounded size.
 */

import { open, readdir, realpath, stat } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Issue, parsePolicy, type PolicySource } from '../policy/parse-policy.ts'
import { parseYaml, yamlBytesMax } from './yaml.ts'

export { watchPolicies } from './watch-policies.ts'

export type LoadedPolicies =
  | { readonly kind: 'issues'; readonly issues: Issue[] }
  | { readonly kind: 'loaded'; readonly sources: PolicySource[] }

/** The shipped policies; the same place seen from `src` and from `dist`. */
const shippedPoliciesDir = fileURLToPath(new URL('../../policies/', import.meta.url))

const filesMax = 10_000

/**
 * All `*.yaml`, `*.yml` and `*.json` of the folder, not of folders in it; names that begin with a dot are not ours. The
 * shipped folder itself gives nothing: its policies are there already.
 */
export async function loadPolicyFolder(dir: string): Promise<LoadedPolicies> {
  return (await isShippedFolder(dir)) ? { kind: 'loaded', sources: [] } : loadFolder(dir)
}

/** The policies that come with the gateway. */
export async function loadPresets(): Promise<LoadedPolicies> {
  return loadFolder(shippedPoliciesDir)
}

async function loadFolder(dir: string): Promise<LoadedPolicies> {
  let names: string[]
  try {
    names = policyNames(await readdir(dir))
  } catch (error) {
    return refused(dir, `cannot be read: ${codeOf(error)}`, 'create the folder, or correct the path')
  }
  if (names.length > filesMax) return refused(dir, `holds more than ${filesMax} policies`, 'take some away')
  const folder = await checkWritable(dir)
  const files = await loadPolicyFiles(names.map((name) => path.join(dir, name)))
  if (folder === null) return files
  return { kind: 'issues', issues: [folder, ...(files.kind === 'issues' ? files.issues : [])] }
}

/** These files, every problem of all of them at once. */
export async function loadPolicyFiles(files: readonly string[]): Promise<LoadedPolicies> {
  const sources: PolicySource[] = []
  const issues: Issue[] = []
  for (const file of files) {
    const found = await loadPolicyFile(file)
    if (Array.isArray(found)) issues.push(...found)
    else sources.push(found)
  }
  return issues.length > 0 ? { kind: 'issues', issues } : { kind: 'loaded', sources }
}

/** Those of a folder's names that are policies, in order. */
function policyNames(names: readonly string[]): string[] {
  return names.filter((name) => !name.startsWith('.') && /\.(?:json|ya?ml)$/.test(name)).sort()
}

async function loadPolicyFile(file: string): Promise<PolicySource | Issue[]> {
  const writable = await checkWritable(file)
  if (writable !== null) return [writable]
  let text: string
  try {
    text = await readBounded(file)
  } catch (error) {
    return [issue(file, `cannot be read: ${codeOf(error)}`, 'make it a readable UTF-8 text of less than 16 MiB')]
  }
  const yaml = parseYaml(text, file)
  return yaml.kind === 'issues' ? yaml.issues : parsePolicy(yaml.value, yaml.at)
}

/** The bytes of one open file, so that size and content belong together; invalid UTF-8 is no text. */
async function readBounded(file: string): Promise<string> {
  const handle = await open(file, 'r')
  try {
    const { size } = await handle.stat()
    if (size > yamlBytesMax) throw new RangeError('too long')
    const buffer = Buffer.alloc(size + 1)
    let length = 0
    for (;;) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length)
      if (bytesRead === 0) break
      length += bytesRead
      if (length > size) throw new RangeError('grows while it is read')
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, length))
  } finally {
    await handle.close()
  }
}

async function isShippedFolder(dir: string): Promise<boolean> {
  try {
    return (await realpath(dir)) === (await realpath(shippedPoliciesDir))
  } catch {
    return false // not there: reading it says so
  }
}

/** Who can write a policy grants with it (decision 2). */
async function checkWritable(file: string): Promise<Issue | null> {
  try {
    const found = await stat(file)
    if (!found.isFile() && !found.isDirectory()) return issue(file, 'is no file', 'put a regular file there')
    const { mode, uid } = found
    if ((mode & 0o002) !== 0) return issue(file, 'can be written by everyone', `take that away: chmod o-w ${file}`)
    const isOthers = uid !== 0 && uid !== process.getuid?.()
    if (isOthers && (mode & 0o022) !== 0)
      return issue(file, 'belongs to another user and its group can write it', `own it: chown, or chmod g-w ${file}`)
    return null
  } catch (error) {
    return issue(file, `cannot be read: ${codeOf(error)}`, 'correct the path')
  }
}

function refused(dir: string, message: string, fix: string): LoadedPolicies {
  return { kind: 'issues', issues: [issue(dir, message, fix)] }
}

function issue(file: string, message: string, fix: string): Issue {
  return { file, line: 0, column: 0, path: '', message, fix }
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message
}
