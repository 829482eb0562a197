/**
 * The file itself: which one, and what it says.
 *
 * Promises: `run` never takes one from the working directory (decision 2); a file that is there and cannot be read, or
 * that others can write, is a problem and not the defaults.
 */

import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Issue, PlaceOf } from '../policy/issue.ts'
import { isRecord } from '../policy/schema-issues.ts'
import { absolutePath, type Homes } from './homes.ts'
import { pathProblem } from './path-safety.ts'
import { parseYaml } from './yaml.ts'

/** `working-directory` and `user`: `sallyport.yaml` there, if there is one. */
export type ConfigChoice =
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'none' }
  | { readonly kind: 'user' }
  | { readonly kind: 'working-directory' }

export type ConfigText = { readonly value: Readonly<Record<string, unknown>>; readonly at: PlaceOf }

const fileName = 'sallyport.yaml'

/** `named` is what the environment says, for when the command line says nothing. */
export async function findConfigFile(
  choice: ConfigChoice,
  named: string | undefined,
  homes: Homes,
): Promise<string | null> {
  if (choice.kind === 'none') return null
  if (choice.kind === 'file') return absolutePath(choice.file, homes)
  if (named !== undefined) return absolutePath(named, homes)
  const file = join(choice.kind === 'user' ? homes.configHome : homes.cwd, fileName)
  try {
    await stat(file)
    return file
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? null : file
  }
}

export async function readConfigFile(file: string): Promise<ConfigText | Issue[]> {
  const place = { file, line: 0, column: 0 }
  const problem = pathProblem(file)
  if (problem !== null) return [{ ...place, path: '', ...problem }]
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file))
  } catch (error) {
    return [{ ...place, path: '', message: `cannot be read: ${codeOf(error)}`, fix: 'make it a readable UTF-8 text' }]
  }
  const yaml = parseYaml(text, file)
  if (yaml.kind === 'issues') return yaml.issues
  const { value, at } = yaml
  if (!isRecord(value)) return [{ ...at([]), path: '', message: 'is no configuration', fix: 'begin with "version: 1"' }]
  if (!Object.hasOwn(value, 'version'))
    return [{ ...at([]), path: '', message: '"version" is missing', fix: 'add "version: 1" as the first line' }]
  return { value, at }
}

export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message
}
