/** Origins of HTTP/2: Node's own server, with its certificates from the world's CA, and what it saw. */

import { once } from 'node:events'
import http2 from 'node:http2'
import type net from 'node:net'
import type { TestCa } from './test-ca.ts'

type H2Handler = (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => void

export type H2Origin = AsyncDisposable & {
  readonly port: number
  /** Set when the world stands. */
  ca: TestCa | null
  handler: H2Handler
  /** Of extended CONNECT, where it is enabled. */
  onConnect: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void
  /** Connections made so far, and those of HTTP/2 among them. */
  connections: number
  readonly sessions: readonly http2.ServerHttp2Session[]
}

export async function startH2Origin(options: {
  readonly allowHTTP1: boolean
  readonly settings?: http2.Settings
}): Promise<H2Origin> {
  const sessions: http2.ServerHttp2Session[] = []
  const sockets = new Set<net.Socket>()
  const server = http2.createSecureServer({
    ...options,
    SNICallback: (name, callback) => callback(null, origin.ca?.contextFor(name)),
  })
  server.on('session', (session) => sessions.push(session))
  server.on('sessionError', () => undefined)
  server.on('tlsClientError', () => undefined)
  server.on('connection', (socket: net.Socket) => {
    origin.connections++
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('request', (request, response) => {
    request.on('error', () => undefined)
    response.on('error', () => undefined)
    request.stream?.on('error', () => undefined)
    origin.handler(request, response)
  })
  server.on('connect', ({ stream, headers }: http2.Http2ServerRequest) => {
    stream.on('error', () => undefined)
    origin.onConnect(stream, headers)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const origin: H2Origin = {
    port,
    ca: null,
    handler: (_request, response) => void response.end('ok\n'),
    onConnect: (stream) => stream.respond({ ':status': 501 }, { endStream: true }),
    connections: 0,
    sessions,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy()
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
  return origin
}
