/**
 * One command in namespaces of its own, with our terminal, our signals and its exit code.
 *
 * Promises: the environment and the command line of what runs outside of the namespaces say nothing of the command's; what
 * comes back from inside is held to a few bytes, because the command may get hold of the socket it comes by.
 */

import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { type ChildEnd, type ChildOptions, exitCodeFor, passSignals } from './child-process.ts'
import type { InsideWish } from './inside.ts'
import { systemPath } from './isolation-launcher.ts'
import { insideSocket } from './isolation-plan.ts'

/** Of the proxy, on the loopback that the command has for itself. */
export const insidePort = 3128

const ownFile = fileURLToPath(import.meta.url)
const insideFile = path.join(path.dirname(ownFile), `inside${path.extname(ownFile)}`)
const answerBytesMax = 64 * 1024

/** A terminal sends these to the whole of its session, and bubblewrap would end by them. */
const deaf = 'trap "" INT QUIT; exec "$@"'

export function runIsolated(launcher: readonly string[], options: Omit<ChildOptions, 'onStart'>): Promise<ChildEnd> {
  const isApart = canTypeForOthers()
  const argv = ['-c', deaf, 'sh', ...launcher, process.execPath, insideFile]
  const child = spawn('/bin/sh', argv, {
    cwd: '/',
    env: { PATH: systemPath },
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    detached: isApart,
  })
  const channel = child.stdio[3]
  if (!(channel instanceof Duplex)) throw new Error('a pipe is a stream both ways')
  const hasTerminal = options.hasTerminal && !isApart
  const wish: InsideWish = { ...options, hasTerminal, gatewaySocket: insideSocket, port: insidePort }
  let answer = ''
  const send = (signal: NodeJS.Signals): void => void channel.write(`${signal}\n`)
  // It may be gone already; how it ended is then what counts.
  channel.on('error', () => undefined)
  channel.on('data', (chunk: Buffer) => {
    answer += chunk.toString('latin1').slice(0, answerBytesMax - answer.length)
  })
  channel.write(`${JSON.stringify(wish)}\n`)
  const resize = (): void => send('SIGWINCH')
  if (isApart) process.on('SIGWINCH', resize)
  const release = passSignals(send, hasTerminal)
  return new Promise((resolve) => {
    const end = (exitCode: number, problem: string | null): void => {
      release()
      process.off('SIGWINCH', resize)
      resolve({ exitCode, problem })
    }
    child.on('error', (error) => end(126, `the namespaces could not be made: ${error.message}`))
    child.on('close', (code, signal) => {
      const told = parseAnswer(answer)
      if (told === null) end(exitCodeFor(code, signal) || 1, 'what held the command in its namespaces ended before it')
      else end(told.exitCode, told.problem)
    })
  })
}

/**
 * A program may type on its controlling terminal as if it were the user (TIOCSTI), for a shell that reads it later. Where the
 * kernel has not switched that off, the command gets a session of its own, which has none.
 */
function canTypeForOthers(): boolean {
  try {
    return readFileSync('/proc/sys/dev/tty/legacy_tiocsti', 'utf8').trim() !== '0'
  } catch {
    return true
  }
}

function parseAnswer(line: string): ChildEnd | null {
  try {
    const { exitCode, problem } = JSON.parse(line) as Partial<Record<keyof ChildEnd, unknown>>
    if (typeof exitCode !== 'number' || (problem !== null && typeof problem !== 'string')) return null
    return { exitCode, problem }
  } catch {
    return null
  }
}
