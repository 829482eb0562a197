/** The real program, `node src/main.ts …`, in a process of its own with an environment of the test's. */

import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'

const mainFile = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

const running = new Set<ChildProcess>()
// A test that failed half-way leaves nothing behind.
afterAll(() => {
  for (const child of running) child.kill('SIGKILL')
})

export type Ended = {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

export type Spawned = {
  readonly child: ChildProcess
  /** Resolves with all that was said so far on standard output or error as soon as it matches. */
  readonly says: (pattern: RegExp) => Promise<string>
  readonly end: Promise<Ended>
}

export type SpawnOptions = {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string
  /** Default: this program from source. */
  readonly command?: readonly [string, ...string[]]
}

export function spawnCli(argv: readonly string[], options: SpawnOptions): Spawned {
  const [file, ...first] = options.command ?? [process.execPath, mainFile]
  // A home of its own: no configuration and no state of whoever runs the tests.
  const env = { PATH: process.env['PATH'] ?? '', HOME: options.cwd, ...options.env }
  const child = spawn(file, [...first, ...argv], { cwd: options.cwd, env, stdio: 'pipe' })
  running.add(child)
  let out = ''
  let err = ''
  const listeners = new Set<() => void>()
  const hear = (text: string, isOut: boolean): void => {
    if (isOut) out += text
    else err += text
    for (const listener of listeners) listener()
  }
  child.stdout.setEncoding('utf8').on('data', (text: string) => hear(text, true))
  child.stderr.setEncoding('utf8').on('data', (text: string) => hear(text, false))
  // A program that ends without reading is none of ours to complain about.
  child.stdin.on('error', () => undefined).end(options.stdin ?? '')
  const end = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      running.delete(child)
      resolve({ code, signal, out, err })
    })
  })
  const says = (pattern: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = [out, err].find((text) => pattern.test(text))
        if (found === undefined) return
        listeners.delete(look)
        resolve(found)
      }
      listeners.add(look)
      look()
      void end.then(() => reject(new Error(`ended before it said ${String(pattern)}:\n${out}\n${err}`)))
    })
  return { child, says, end }
}

export function runCli(argv: readonly string[], options: SpawnOptions): Promise<Ended> {
  return spawnCli(argv, options).end
}
