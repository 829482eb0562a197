/** A real redis-server of the test's own: on a port of loopback, or a TCP link to it that can be cut. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

export type Redis = AsyncDisposable & {
  readonly url: string
  /** Started with the data of before, on the same port. */
  readonly restart: () => Promise<void>
  readonly kill: () => Promise<void>
  readonly pause: () => void
  readonly resume: () => void
  readonly command: (...words: readonly string[]) => Promise<string>
}

export async function startRedis(more: readonly string[] = []): Promise<Redis> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-redis-'))
  const port = await freePort()
  let child = await launch(directory, port, more)
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    kill,
    restart: async () => {
      await kill()
      child = await launch(directory, port, more)
    },
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    command: (...words) => ask(port, words),
    async [Symbol.asyncDispose]() {
      await kill()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function launch(directory: string, port: number, more: readonly string[]): Promise<ChildProcess> {
  const settings = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', directory, '--save', '']
  const durable = ['--appendonly', 'yes', '--appendfsync', 'always']
  const child = spawn('redis-server', [...settings, ...durable, ...more], { stdio: 'ignore' })
  for (let tries = 0; tries < 200; tries++) {
    if ((await ask(port, ['PING']).catch(() => '')).startsWith('+PONG')) return child
    await delay(25)
  }
  throw new Error('redis-server does not start')
}

/** The first part of the answer, as it comes. */
async function ask(port: number, words: readonly string[]): Promise<string> {
  const socket = net.connect({ port, host: '127.0.0.1' })
  try {
    socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`)
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    return chunk.toString()
  } finally {
    socket.destroy()
  }
}

export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return address !== null && typeof address === 'object' ? address.port : 0
}

export type CutLink = AsyncDisposable & {
  readonly url: string
  /** Nothing passes any more, and nobody is told. */
  readonly cut: () => void
  readonly heal: () => void
}

export async function startLink(url: string): Promise<CutLink> {
  const { port } = new URL(url)
  let isCut = false
  const pairs = new Set<readonly [net.Socket, net.Socket]>()
  const server = net.createServer((near) => {
    const far = net.connect({ port: Number(port), host: '127.0.0.1' })
    const pair = [near, far] as const
    pairs.add(pair)
    for (const [from, to] of [pair, [far, near]] as const) {
      from.on('error', () => to.destroy())
      from.on('close', () => {
        pairs.delete(pair)
        to.destroy()
      })
      from.on('data', (chunk: Buffer) => {
        if (!isCut) to.write(chunk)
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    url: `redis://127.0.0.1:${address !== null && typeof address === 'object' ? address.port : 0}`,
    cut: () => {
      isCut = true
    },
    // What was lost on the way stays lost: those connections are of no use.
    heal: () => {
      isCut = false
      for (const [near] of pairs) near.destroy()
    },
    async [Symbol.asyncDispose]() {
      server.close()
      for (const [near] of pairs) near.destroy()
      await once(server, 'close')
    },
  }
}
