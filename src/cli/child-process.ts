/**
 * One command with our terminal, our signals and our exit code.
 *
 * Promises: it ends as the command ends: with its code, or 128 and the signal's number. 127: there is no such command;
 * 126: it cannot be started (as shells have it).
 */

import { spawn } from 'node:child_process'
import { constants } from 'node:os'

/** Sent to us alone. */
const passedOn = ['SIGHUP', 'SIGTERM'] as const
/** A terminal sends these to the command too: passed on they would come twice, and twice often means "at once". */
const fromTerminals = ['SIGINT', 'SIGQUIT'] as const

export type ChildOptions = {
  readonly command: readonly [string, ...string[]]
  readonly environment: Readonly<Record<string, string>>
  readonly cwd: string
  /** A terminal's keys reach the command without us. */
  readonly hasTerminal: boolean
  /** For signals that come some other way than to us. */
  readonly onStart?: (kill: (signal: NodeJS.Signals) => void) => void
}

export type ChildEnd = {
  readonly exitCode: number
  /** Why it did not start; null: it did. */
  readonly problem: string | null
}

export function runChild(options: ChildOptions): Promise<ChildEnd> {
  const [file, ...args] = options.command
  return new Promise((resolve) => {
    const child = spawn(file, args, { cwd: options.cwd, env: { ...options.environment }, stdio: 'inherit' })
    const kill = (signal: NodeJS.Signals): void => void child.kill(signal)
    const release = passSignals(kill, options.hasTerminal)
    options.onStart?.(kill)
    const end = (exitCode: number, problem: string | null): void => {
      release()
      resolve({ exitCode, problem })
    }
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (child.pid !== undefined) return // a signal that could not be sent: it is ending already
      const isMissing = error.code === 'ENOENT'
      end(
        isMissing ? 127 : 126,
        isMissing ? `${file}: there is no such command` : `${file}: ${error.code ?? error.message}`,
      )
    })
    child.on('exit', (code, signal) => end(exitCodeFor(code, signal), null))
  })
}

/** Until the function that it gives is called. */
export function passSignals(send: (signal: NodeJS.Signals) => void, hasTerminal: boolean): () => void {
  const keep = (signal: NodeJS.Signals): void => {
    if (!hasTerminal) send(signal)
  }
  for (const signal of passedOn) process.on(signal, send)
  for (const signal of fromTerminals) process.on(signal, keep)
  return () => {
    for (const signal of passedOn) process.off(signal, send)
    for (const signal of fromTerminals) process.off(signal, keep)
  }
}

export function exitCodeFor(code: number | null, signal: NodeJS.Signals | null): number {
  return signal === null ? (code ?? 1) : 128 + constants.signals[signal]
}
