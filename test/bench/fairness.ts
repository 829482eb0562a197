/**
 * What does one session that misbehaves cost another? The median and the 99th percentile of an honest session's requests, one
 * after the other, beside nothing and beside each kind of flood, and the memory of the gateway before and after.
 */

import { readFileSync } from 'node:fs'
import net from 'node:net'
import tls from 'node:tls'
import { setTimeout as delay } from 'node:timers/promises'
import { createWorld, gatewayAuth, print, type Proxy } from './bench-world.ts'

const samples = Number(process.argv[2] ?? 2000)
const basic = Buffer.from(gatewayAuth).toString('base64')
const greedy = Buffer.from(gatewayAuth.replace('bench:', 'greedy:')).toString('base64')

const requestOf = (proof: string, path = '/1k', method = 'GET'): string =>
  `${method} http://origin.bench.test:18080${path} HTTP/1.1\r\nHost: origin.bench.test:18080\r\nProxy-Authorization: Basic ${proof}\r\n\r\n`

const world = await createWorld()
try {
  const proxy = await world.gateway({ policy: 'plain' })
  await honest(proxy, samples)
  const idle = await honest(proxy, samples)
  const memoryBefore = residentMiB(proxy)
  const figures: Record<string, object> = {}
  for (const [name, flood] of Object.entries(floods())) {
    const stop = flood(proxy.port)
    await delay(1000)
    const beside = await honest(proxy, samples)
    await stop()
    figures[name] = { ...beside, ratio: Number((beside.p99 / idle.p99).toFixed(2)) }
    await delay(2000)
  }
  await delay(10_000)
  print('milliseconds of an honest request', {
    idle,
    ...figures,
    'MiB of the gateway': { before: memoryBefore, after: residentMiB(proxy) },
  })
} finally {
  await world.close()
}

type Flood = (port: number) => () => Promise<void>

/** `each` is done with every connection as soon as it stands, and again when it closes. */
function many(count: number, each: (socket: net.Socket) => void): Flood {
  return (port) => {
    let over = false
    const sockets = new Set<net.Socket>()
    const open = (): void => {
      if (over) return
      const socket = net.connect(port, '127.0.0.1', () => each(socket))
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.once('close', () => {
        sockets.delete(socket)
        setTimeout(open, 10)
      })
    }
    for (let i = 0; i < count; i++) open()
    return async () => {
      over = true
      for (const socket of sockets) socket.destroy()
      await delay(100)
    }
  }
}

/** Asks again as soon as it is answered. */
function loop(text: string): (socket: net.Socket) => void {
  return (socket) => {
    socket.on('data', () => socket.write(text))
    socket.write(text)
  }
}

function floods(): Readonly<Record<string, Flood>> {
  const connect = `CONNECT origin.bench.test:18080 HTTP/1.1\r\nProxy-Authorization: Basic ${greedy}\r\n\r\n`
  return {
    'silent connections': many(5000, (socket) => void socket.resume()),
    'slow heads': many(2000, (socket) => void socket.resume().write('GET http://origin')),
    'connections of one session': many(2000, (socket) => void socket.resume().write(requestOf(greedy))),
    'half-open tunnels': many(500, (socket) => void socket.resume().write(connect)),
    'handshakes broken off': many(100, (socket) => {
      socket.write(connect)
      socket.once('data', () => {
        const secure = tls.connect({ socket, servername: 'origin.bench.test', rejectUnauthorized: false })
        secure.on('error', () => undefined)
        secure.once('secureConnect', () => socket.destroy())
      })
    }),
    'a denial loop': many(50, loop(requestOf(greedy, '/1k', 'DELETE'))),
    'slow readers': many(100, (socket) => {
      socket.pause()
      socket.write(requestOf(greedy, '/b/67108864'))
    }),
  }
}
async function honest({ port }: Proxy, count: number): Promise<{ readonly p50: number; readonly p99: number }> {
  const socket = net.connect(port, '127.0.0.1').on('error', (error) => {
    process.exitCode = 1
    console.error(`the honest session was cut: ${error.message}`)
  })
  const times: number[] = []
  const text = requestOf(basic)
  for (let i = 0; i < count; i++) {
    const began = performance.now()
    socket.write(text)
    await answered(socket)
    times.push(performance.now() - began)
    await delay(1)
  }
  socket.destroy()
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number): number => Number((sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(3))
  return { p50: at(0.5), p99: at(0.99) }
}

/** Head and body of an answer of a length that is told. */
function answered(socket: net.Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = ''
    const onData = (bytes: Buffer): void => {
      text += bytes.toString('latin1')
      const head = text.indexOf('\r\n\r\n')
      const length = /content-length: (\d+)/i.exec(text)?.[1]
      if (head < 0 || length === undefined || text.length < head + 4 + Number(length)) return
      socket.off('data', onData)
      if (text.startsWith('HTTP/1.1 200')) resolve()
      else reject(new Error(text.slice(0, 200)))
    }
    socket.on('data', onData)
  })
}

function residentMiB({ pid }: Proxy): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1])
  return Math.round((pages * 4096) / 2 ** 20)
}
