/** A world for commands that keeps what was said. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { afterAll } from 'vitest'
import { runCli } from '../../../src/cli/cli.ts'
import type { World } from '../../../src/cli/world.ts'

export type Said = { readonly code: number; readonly out: string; readonly err: string }

const made: string[] = []
afterAll(() => {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true, force: true })
})

/** A directory that holds these files and is gone after the tests of the file. */
export function directoryWith(files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'sallyport-cli-'))
  made.push(directory)
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(directory, name), text, { mode: 0o644 })
  return directory
}

/** Runs one command line in this process. */
export async function say(
  argv: readonly string[],
  options: {
    readonly cwd?: string
    readonly env?: World['env']
    readonly stdin?: string
    readonly isTerminal?: boolean
  } = {},
): Promise<Said> {
  const { cwd = tmpdir(), env = {}, stdin = '', isTerminal = false } = options
  let out = ''
  let err = ''
  const code = await runCli(argv, {
    env: { HOME: cwd, ...env },
    cwd,
    stdin: Readable.from([stdin]),
    out: { write: (text) => void (out += text), isTerminal },
    err: { write: (text) => void (err += text), isTerminal },
    now: () => Date.parse('2026-03-04T05:06:07Z'),
  })
  return { code, out, err }
}
