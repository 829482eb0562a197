/** A gateway on a core of its own for questions about sessions, its control API, and what its process weighs. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const main = new URL('../../src/main.ts', import.meta.url).pathname
const adminToken = randomBytes(32).toString('hex')
const ports = { proxy: 23_900, control: 23_901 }

export type Answered = { readonly status: number; readonly text: string }
export type SessionWorld = {
  readonly proxyPort: number
  readonly call: (method: string, path: string, body?: object) => Promise<Answered>
  readonly make: (policy: string) => Promise<Made>
  /** KiB of resident memory. */
  readonly residentKib: () => number
  /** Value of a series without labels. */
  readonly metric: (name: string) => Promise<number>
  readonly close: () => Promise<void>
}
export type Made = { readonly id: string; readonly proof: string }

export async function createSessionWorld(
  store: 'file' | 'memory',
  policies: Readonly<Record<string, object>>,
): Promise<SessionWorld> {
  const home = mkdtempSync(join(tmpdir(), 'sallyport-sessions-'))
  mkdirSync(join(home, 'policies'), { mode: 0o700 })
  for (const [name, rules] of Object.entries(policies))
    writeFileSync(join(home, 'policies', `${name}.yaml`), JSON.stringify({ version: 1, name, rules }))
  const config = {
    version: 1,
    listeners: [{ address: `127.0.0.1:${ports.proxy}` }],
    control: {
      address: `127.0.0.1:${ports.control}`,
      tokens: [{ name: 'bench', scopes: ['admin'], secret: { env: 'BENCH_ADMIN' } }],
    },
    stateDirectory: join(home, 'state'),
    policies: join(home, 'policies'),
    sessions: { store },
    limits: { sessions: 200_000 },
    upstream: { dns: { hosts: { 'origin.test': '127.0.0.1' } } },
    audit: { file: join(home, 'audit.jsonl') },
    log: { level: 'warn' },
  }
  writeFileSync(join(home, 'sallyport.yaml'), JSON.stringify(config), { mode: 0o600 })
  const argv = ['-c', '0', process.execPath, main, 'serve', '--config', join(home, 'sallyport.yaml')]
  const child = spawn('taskset', argv, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, BENCH_ADMIN: adminToken },
  })
  // Client and origin share the other core.
  execFileSync('taskset', ['-a', '-cp', '1', String(process.pid)], { stdio: 'ignore' })
  await listening(ports.control)
  const agent = new http.Agent({ keepAlive: true, maxSockets: 64 })
  const call: SessionWorld['call'] = (method, path, body) => ask(agent, method, path, body)
  return {
    proxyPort: ports.proxy,
    call,
    make: async (policy) => {
      const { status, text } = await call('POST', '/v1/sessions', { policy, ttlSeconds: 86_400 })
      if (status !== 201) throw new Error(text)
      const { id, token } = JSON.parse(text) as { id: string; token: string }
      return { id, proof: `Basic ${Buffer.from(`${id}:${token}`).toString('base64')}` }
    },
    residentKib: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'latin1'))?.[1]),
    metric: async (name) => {
      const { text } = await call('GET', '/metrics')
      return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
    },
    close: () => end(child, agent, home),
  }
}

function ask(agent: http.Agent, method: string, path: string, body?: object): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? '' : JSON.stringify(body)
    const headers = {
      authorization: `Bearer ${adminToken}`,
      ...(text !== '' && { 'content-type': 'application/json', 'content-length': text.length }),
    }
    const sent = http.request({ host: '127.0.0.1', port: ports.control, agent, method, path, headers }, (response) => {
      let heard = ''
      response.setEncoding('utf8')
      response.on('data', (piece: string) => (heard += piece))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: heard }))
    })
    sent.on('error', reject).end(text)
  })
}

async function listening(port: number): Promise<void> {
  for (;;) {
    const stands = await new Promise<boolean>((resolve) => {
      const socket = net.connect({ port, host: '127.0.0.1' }, () => resolve(true))
      socket.on('error', () => resolve(false)).on('connect', () => socket.destroy())
    })
    if (stands) return
    await delay(100)
  }
}

async function end(child: ChildProcess, agent: http.Agent, home: string): Promise<void> {
  agent.destroy()
  child.kill('SIGKILL')
  await delay(200)
  rmSync(home, { recursive: true, force: true })
}

/** So many at once until all are done. */
export async function inLanes(count: number, lanes: number, deed: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await deed(index)
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return Number((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(2))
}
