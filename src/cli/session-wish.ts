/** What `session create` and `session update` ask for, from the words on the command line. */

import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { InvalidArgumentError } from 'commander'
import { loadPolicyFiles } from '../config/load-policies.ts'
import { parseYaml } from '../config/yaml.ts'
import { parseDurationMs } from '../policy/parse-limits.ts'
import { issuesText, looksLikeFile } from './policy-files.ts'
import { Complaint, type World } from './world.ts'

/** A name stays a name; of a file the content goes to the gateway as an inline policy. */
export async function policyWish(written: string, world: World): Promise<unknown> {
  if (!looksLikeFile(written)) return written
  const file = path.resolve(world.cwd, written)
  const loaded = await loadPolicyFiles([file])
  if (loaded.kind === 'issues') throw new Complaint(issuesText(loaded.issues))
  const yaml = parseYaml(await readFile(file, 'utf8'), file)
  if (yaml.kind === 'issues') throw new Complaint(issuesText(yaml.issues))
  return yaml.value
}

/** `30m` to seconds. */
export function parseTtl(text: string): number {
  const ms = parseDurationMs(text)
  if (ms === null || ms < 1000) throw new InvalidArgumentError('Write a duration such as 30m or 8h.')
  return Math.floor(ms / 1000)
}

/** `name=value`, several times. */
export function parsePair(text: string, before: Readonly<Record<string, string>>): Record<string, string> {
  const sign = text.indexOf('=')
  if (sign < 1) throw new InvalidArgumentError('Write name=value.')
  return { ...before, [text.slice(0, sign)]: text.slice(sign + 1) }
}

/** `slot=credential`, or one name where both are the same. */
export function parseFilling(text: string, before: Readonly<Record<string, string>>): Record<string, string> {
  return parsePair(text.includes('=') ? text : `${text}=${text}`, before)
}
