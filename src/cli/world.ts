/** What a command sees of the process it runs in. Tests hand in another. */

import type { Readable } from 'node:stream'

export type Environment = Readonly<Record<string, string | undefined>>

export type Terminal = {
  readonly write: (text: string) => void
  /** A person may be looking; otherwise a file or a pipe. */
  readonly isTerminal: boolean
}

export type World = {
  readonly env: Environment
  readonly cwd: string
  readonly stdin: Readable & { readonly isTTY?: boolean }
  /** What was asked for. */
  readonly out: Terminal
  /** Everything else that is said. */
  readonly err: Terminal
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** What a person did or has that does not work: one line with the fix, no stack. */
export class Complaint extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode = 1) {
    super(message)
    this.exitCode = exitCode
  }
}

/** Wrong usage. */
export function misuse(message: string): Complaint {
  return new Complaint(message, 2)
}
