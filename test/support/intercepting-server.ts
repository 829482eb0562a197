/** A loopback server that does what the walk does after CONNECT: reads the ClientHello, then decrypts as `host`. */

import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Host } from '../../src/net/host.ts'
import { readClientHello } from '../../src/tls/client-hello.ts'
import type { Intercept, Interception } from '../../src/tls/intercept.ts'

export type InterceptingServer = AsyncDisposable & {
  readonly port: number
  /** One for each connection, in the order in which they ended or opened. */
  readonly interceptions: readonly Interception[]
  readonly sockets: readonly Socket[]
  next(): Promise<Interception>
}

export async function interceptingServer(intercept: Intercept, host: Host): Promise<InterceptingServer> {
  const interceptions: Interception[] = []
  const sockets: Socket[] = []
  const waiting: ((interception: Interception) => void)[] = []
  let unseen = 0
  const http = createHttpServer((_request, response) => response.end(`hello from ${host.name}\n`))
  const server = createServer((socket) => {
    sockets.push(socket)
    void serve(socket)
  })

  async function serve(socket: Socket): Promise<void> {
    const interception = await intercept(socket, await firstBytes(socket), host, 'allowed')
    interceptions.push(interception)
    const waiter = waiting.shift()
    if (waiter === undefined) unseen++
    else waiter(interception)
    if (interception.kind === 'open') http.emit('connection', interception.socket)
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address() as AddressInfo
  return {
    port: address.port,
    interceptions,
    sockets,
    next() {
      const seen = interceptions.at(-unseen)
      if (unseen > 0 && seen !== undefined) {
        unseen--
        return Promise.resolve(seen)
      }
      return new Promise((resolve) => waiting.push(resolve))
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      http.close()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Reads until the ClientHello is whole, or is none; leaves the socket paused. */
export async function firstBytes(socket: Socket): Promise<Buffer> {
  socket.on('error', () => undefined)
  let bytes = Buffer.alloc(0)
  while (readClientHello(bytes).kind === 'more' && !socket.readableEnded && !socket.destroyed) {
    const chunk = socket.read() as Buffer | null
    if (chunk === null) await new Promise((resolve) => socket.once('readable', resolve).once('close', resolve))
    else bytes = Buffer.concat([bytes, chunk])
  }
  return bytes
}
