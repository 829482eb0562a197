/**
 * From DELETE to the last byte: 100 sessions with a stream each, in tunnels of TLS and plain, are ended one by one, while 8 others load
 * the gateway. Milliseconds; and how many bytes came behind the 204.
 */

import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import { setTimeout as delay } from 'node:timers/promises'
import { createTestCa } from '../support/test-ca.ts'
import { print } from './bench-world.ts'
import { createSessionWorld, inLanes, percentile, type SessionWorld } from './session-world.ts'

const streams = 100
const originPorts = { plain: 23_910, tunnel: 23_911 }
const rules = [{ host: 'origin.test', ports: Object.values(originPorts), addresses: ['127.0.0.0/8'] }]
const piece = Buffer.alloc(1024, 0x61)

type Stream = { readonly id: string; readonly socket: net.Socket; bytes: number; lastAt: number }

const answer: http.RequestListener = (request, response) => {
  if (request.url !== '/stream') {
    response.end('ok')
    return
  }
  const timer = setInterval(() => void (response.writableNeedDrain || response.write(piece)), 10)
  response.on('close', () => clearInterval(timer))
}
const ca = createTestCa()
const origins = {
  plain: http.createServer(answer),
  tunnel: https.createServer({ SNICallback: (name, callback) => callback(null, ca.contextFor(name)) }, answer),
}
for (const through of ['plain', 'tunnel'] as const)
  await new Promise<void>((resolve) => origins[through].listen(originPorts[through], '127.0.0.1', resolve))
const world = await createSessionWorld('file', { bench: rules })
const load = { going: true, requests: 0 }
try {
  const busy = Promise.all(Array.from({ length: 8 }, () => keepAsking(world)))
  const figures: Record<string, unknown> = {}
  for (const through of ['tunnel', 'plain'] as const) figures[through] = await revokeAll(world, through)
  load.going = false
  await busy
  print('from DELETE to the last byte', { streams, 'requests beside': load.requests, ...figures })
} finally {
  await world.close()
  for (const origin of Object.values(origins)) {
    origin.closeAllConnections()
    origin.close()
  }
}

async function revokeAll(to: SessionWorld, through: 'plain' | 'tunnel'): Promise<object> {
  const open: Stream[] = []
  await inLanes(streams, 16, async () => void open.push(await openStream(to, through)))
  await delay(1000)
  const [answered, silent, behind]: [number[], number[], number[]] = [[], [], []]
  for (const one of open) {
    const began = performance.now()
    const { status } = await to.call('DELETE', `/v1/sessions/${one.id}`)
    if (status !== 204 || one.bytes === 0) throw new Error(`answered ${status} after ${one.bytes} bytes`)
    const [at, bytes] = [performance.now(), one.bytes]
    await delay(20)
    answered.push(at - began)
    silent.push(one.lastAt - began)
    behind.push(one.bytes - bytes)
    one.socket.destroy()
  }
  const ms = (all: readonly number[]) => ({
    p50: percentile(all, 0.5),
    p99: percentile(all, 0.99),
    max: percentile(all, 1),
  })
  return { 'to 204': ms(answered), 'to the last byte': ms(silent), 'bytes behind the 204': Math.max(...behind) }
}

async function openStream(to: SessionWorld, through: 'plain' | 'tunnel'): Promise<Stream> {
  const { id, proof } = await to.make('bench')
  const target = `origin.test:${originPorts[through]}`
  let socket = net.connect(to.proxyPort, '127.0.0.1')
  socket.on('error', () => undefined)
  const proven = `Host: ${target}\r\nProxy-Authorization: ${proof}\r\n\r\n`
  if (through === 'tunnel') {
    socket.write(`CONNECT ${target} HTTP/1.1\r\n${proven}`)
    await once(socket, 'data')
    socket = tls.connect({ socket, servername: 'origin.test', ca: ca.certificate })
    socket.on('error', () => undefined)
    await once(socket, 'secureConnect')
    socket.write(`GET /stream HTTP/1.1\r\nHost: ${target}\r\n\r\n`)
  } else socket.write(`GET http://${target}/stream HTTP/1.1\r\n${proven}`)
  const one: Stream = { id, socket, bytes: 0, lastAt: 0 }
  socket.on('data', (chunk: Buffer) => {
    one.bytes += chunk.length
    one.lastAt = performance.now()
  })
  return one
}

/** One client after the other, each with a session of its own. */
async function keepAsking(to: SessionWorld): Promise<void> {
  const { proof } = await to.make('bench')
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  const path = `http://origin.test:${originPorts.plain}/`
  const headers = { host: `origin.test:${originPorts.plain}`, 'proxy-authorization': proof }
  while (load.going) {
    await new Promise<void>((resolve) => {
      http
        .get({ host: '127.0.0.1', port: to.proxyPort, path, agent, headers }, (response) =>
          response.resume().on('end', resolve),
        )
        .on('error', () => resolve())
    })
    load.requests++
  }
  agent.destroy()
}
