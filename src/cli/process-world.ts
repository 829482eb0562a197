/** The process itself, as commands see it. */

import { ownEnvironment } from '../config/load-config.ts'
import type { Terminal, World } from './world.ts'

export function processWorld(): World {
  return {
    env: ownEnvironment(),
    cwd: process.cwd(),
    stdin: process.stdin,
    out: terminal(process.stdout),
    err: terminal(process.stderr),
    now: Date.now,
  }
}

function terminal(stream: NodeJS.WriteStream): Terminal {
  // `sallyport logs | head` closes the pipe while we write: that is an end, not an error.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  return { write: (text) => void stream.write(text), isTerminal: stream.isTTY }
}
