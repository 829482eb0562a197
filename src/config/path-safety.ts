/**
 * Who can write what we read our orders from (decision 2).
 *
 * Promises: a file that everyone, or another user's group, can write is refused, and so is one in a folder where others
 * can put another in its place; every folder above counts.
 */

import { type Stats, statSync } from 'node:fs'
import { dirname } from 'node:path'

export type PathProblem = { readonly message: string; readonly fix: string }

/** What is not there yet is judged by the folder it will be made in. Null: nobody else can change it. */
export function pathProblem(path: string): PathProblem | null {
  const facts = statOrNull(path)
  const own = facts === null ? null : problemOf(path, facts)
  if (own !== null) return own
  for (let folder = dirname(path), below = path; folder !== below; below = folder, folder = dirname(folder)) {
    const above = statOrNull(folder)
    // In a sticky folder (as /tmp is) others can add files but not replace ours.
    if (above !== null && (above.mode & 0o1000) === 0) {
      const problem = problemOf(folder, above)
      if (problem !== null) return problem
    }
  }
  return null
}

/** Another user who owns it can change it too; in containers that is usually the operator, so it is only said. */
export function isOwnedByAnother(path: string): boolean {
  const facts = statOrNull(path)
  return facts !== null && isAnother(facts)
}

function problemOf(path: string, facts: Stats): PathProblem | null {
  if ((facts.mode & 0o002) !== 0) return { message: `${path} can be written by everyone`, fix: `chmod o-w ${path}` }
  if (isAnother(facts) && (facts.mode & 0o020) !== 0)
    return {
      message: `${path} belongs to another user and its group can write it`,
      fix: `chmod g-w ${path}, or own it`,
    }
  return null
}

function isAnother({ uid }: Stats): boolean {
  return uid !== 0 && uid !== process.getuid?.()
}

function statOrNull(path: string): Stats | null {
  try {
    return statSync(path)
  } catch {
    return null
  }
}
