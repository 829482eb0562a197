/**
 * `secret: { command: [program, argument…], ttl: 5m }`: what a program prints, for stores that have one.
 *
 * Promises: no shell, and of our environment only PATH; one run at a time, ended with all it started at its deadline or
 * when it prints more than a secret may have; what it says on stderr is never read. No value is given once `ttl` has passed
 * since the beginning of the run that printed it.
 */

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { Type } from 'typebox'
import { parseDurationMs } from '../../policy/parse-limits.ts'
import { kindKeys, parseKeys } from '../credential-kind.ts'
import { createKeptValue } from '../kept-value.ts'
import { parseSecret, secretBytesMax, type SecretRules } from '../secret.ts'
import type { SecretSource, SecretSourceKind, SecretWorld } from '../secret-source.ts'
import { problem } from '../shape-problems.ts'

const timeoutMsDefault = 10_000
const timeoutMsMax = 60_000
const ttlMsMin = 1000
const ttlMsMax = 86_400_000
const plainPath = '/usr/local/bin:/usr/bin:/bin'

const schema = kindKeys({
  command: Type.Array(Type.String({ pattern: '^[^\\u0000]*$', maxLength: 4096 }), {
    minItems: 1,
    maxItems: 100,
    description: 'a program and its arguments, as a list of texts',
  }),
  ttl: Type.String({ maxLength: 32, description: 'how long its answer holds, as in 5m' }),
  timeout: Type.Optional(Type.String({ maxLength: 32, description: 'how long it may run, as in 10s' })),
})

type Spec = { readonly argv: readonly string[]; readonly ttlMs: number; readonly timeoutMs: number }

export const commandSource: SecretSourceKind<Spec> = {
  key: 'command',
  schema,
  parse: (raw) => {
    const parsed = parseKeys(schema, raw, ({ command, ttl, timeout }) => {
      const problems = []
      // By name through PATH, or absolute: what is relative to a working directory is whoever's that directory is.
      if (!/^(?:[^/]+|\/.*)$/s.test(command[0] ?? ''))
        problems.push(problem(['command', 0], 'is no program', 'write a name that PATH finds, or an absolute path'))
      if (durationMs(ttl, ttlMsMin, ttlMsMax) === null)
        problems.push(problem(['ttl'], 'is no duration from 1s to 1d', 'write it with its unit, as in 5m'))
      if (timeout !== undefined && durationMs(timeout, 1, timeoutMsMax) === null)
        problems.push(problem(['timeout'], 'is no duration up to 60s', 'write it with its unit, as in 10s'))
      return problems
    })
    if (parsed.kind === 'problems') return parsed
    const { command, ttl, timeout } = parsed.spec
    const ttlMs = durationMs(ttl, ttlMsMin, ttlMsMax) ?? ttlMsMin
    const timeoutMs = timeout === undefined ? timeoutMsDefault : (durationMs(timeout, 1, timeoutMsMax) ?? 1)
    // What took longer to print than it holds would be stale when it is there.
    return { kind: 'parsed', spec: { argv: command, ttlMs, timeoutMs: Math.min(timeoutMs, ttlMs) } }
  },
  variables: () => [],
  open: openCommand,
}

function durationMs(text: string, min: number, max: number): number | null {
  const ms = parseDurationMs(text)
  return ms !== null && ms >= min && ms <= max ? ms : null
}

function openCommand({ argv, ttlMs, timeoutMs }: Spec, rules: SecretRules, world: SecretWorld): SecretSource {
  let running: Run | null = null
  return createKeptValue({
    ttlMs,
    now: world.now,
    obtain: async () => {
      running = start(argv, world.variable('PATH') ?? plainPath, timeoutMs)
      const printed = await running.printed
      running = null
      const secret = typeof printed === 'string' ? printed : parseSecret(printed, rules)
      return typeof secret === 'string' ? `command ${argv[0] ?? ''} ${secret}` : secret
    },
    close: () => running?.end(),
  })
}

/** What it printed, or a sentence about why it is no secret. Never rejects. */
type Run = { readonly printed: Promise<Buffer | string>; readonly end: () => void }

function start(argv: readonly string[], path: string, timeoutMs: number): Run {
  const { promise: printed, resolve } = Promise.withResolvers<Buffer | string>()
  const child = spawnProgram(argv, path)
  if (typeof child === 'string') return { printed: Promise.resolve(child), end: () => undefined }
  let over = false
  const finish = (result: Buffer | string): void => {
    over = true
    clearTimeout(timer)
    resolve(result)
  }
  const stop = (why: string): void => {
    // A group that is gone leaves its number to others.
    if (over) return
    endGroup(child)
    child.stdout.destroy()
    finish(why)
  }
  const timer = setTimeout(() => stop(`did not end within ${timeoutMs} ms`), timeoutMs)
  const chunks: Buffer[] = []
  let bytes = 0
  child.stdout.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > secretBytesMax) stop(`printed over ${secretBytesMax} bytes`)
  })
  child.stdout.on('error', () => stop('could not be read'))
  child.on('error', (error) => finish(notStarted(error)))
  child.on('close', (code, signal) => finish(code === 0 ? Buffer.concat(chunks) : `ended with ${signal ?? code}`))
  return { printed, end: () => stop('was ended') }
}

type Program = ChildProcessByStdio<null, Readable, null>

function spawnProgram([program = '', ...args]: readonly string[], path: string): Program | string {
  try {
    return spawn(program, args, {
      cwd: '/',
      env: { PATH: path },
      stdio: ['ignore', 'pipe', 'ignore'],
      // A group of its own, so that what it starts ends with it.
      detached: true,
    })
  } catch (error) {
    return notStarted(error)
  }
}

function endGroup({ pid }: Program): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It ended by itself in the meantime.
  }
}

function notStarted(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : null
  return `cannot be started (${typeof code === 'string' ? code : 'unknown error'})`
}
