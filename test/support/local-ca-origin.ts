/**
 * A web site on loopback for real clients: plain and TLS, one handler behind both, and a memory of who asked for what.
 *
 * It answers any name, with a certificate of the test's own CA, so that only names and roots tell it from the internet.
 */

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import http, { type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import https from 'node:https'
import type { AddressInfo, Server, Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { createTestCa, type TestCa } from './test-ca.ts'

type SeenRequest = {
  readonly scheme: 'http' | 'https'
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
}

export type SiteHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void

export type Site = AsyncDisposable & {
  readonly ca: TestCa
  readonly httpPort: number
  readonly httpsPort: number
  /** In the order of their heads; test files empty it between tests. */
  readonly requests: SeenRequest[]
  /** Connections open now, both ports. */
  readonly sockets: ReadonlySet<Socket>
  /** For what it does not answer itself: WebSockets. */
  readonly secure: https.Server
}

/** `handler` sees what `answerPages` does not know. */
export async function startSite(handler: SiteHandler = notFound): Promise<Site> {
  const ca = createTestCa()
  const requests: SeenRequest[] = []
  const sockets = new Set<Socket>()
  const listenerFor =
    (scheme: SeenRequest['scheme']) =>
    (request: IncomingMessage, response: ServerResponse): void => {
      const { method = '', url = '', headers } = request
      requests.push({ scheme, method, url, headers })
      response.on('error', () => undefined)
      void answer(handler, request, response).catch(() => response.destroy())
    }
  const plain = http.createServer(listenerFor('http'))
  const secure = https.createServer(
    { SNICallback: (name, callback) => callback(null, ca.contextFor(name)) },
    listenerFor('https'),
  )
  for (const server of [plain, secure]) {
    server.on('connection', (socket: Socket) => {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.once('close', () => sockets.delete(socket))
    })
  }
  secure.on('tlsClientError', () => undefined)
  const [httpPort, httpsPort] = [await listen(plain), await listen(secure)]
  return {
    ca,
    httpPort,
    httpsPort,
    requests,
    sockets,
    secure,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await Promise.all([plain, secure].map((server) => new Promise((resolve) => server.close(resolve))))
    },
  }
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return port
}

/** What bodies are made of: position-dependent, so that a shifted or repeated chunk changes the digest. */
const pattern = Buffer.from(Uint8Array.from({ length: 65_521 }, (_, i) => (i * 31) % 251))

/** SHA-256 of the body that `/bytes?length` answers with. */
export function digestOfBytes(length: number): string {
  const hash = createHash('sha256')
  for (let left = length; left > 0; left -= pattern.length) hash.update(pattern.subarray(0, left))
  return hash.digest('hex')
}

async function answer(handler: SiteHandler, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '', 'http://site')
  switch (url.pathname) {
    case '/hello':
      response.end(`hello from ${request.headers.host}\n`)
      return
    case '/bytes':
      await sendBytes(response, Number(url.search.slice(1)))
      return
    case '/drip':
      await drip(response)
      return
    case '/upload':
      response.end(await digestOf(request))
      return
    default:
      await handler(request, response)
  }
}

async function sendBytes(response: ServerResponse, length: number): Promise<void> {
  response.setHeader('content-length', length)
  await pipeline(function* () {
    for (let left = length; left > 0; left -= pattern.length) yield pattern.subarray(0, left)
  }, response)
}

/** A line every 10 ms, without an end. */
async function drip(response: ServerResponse): Promise<void> {
  while (!response.destroyed) {
    response.write('drop\n')
    await delay(10)
  }
}

async function digestOf(request: IncomingMessage): Promise<string> {
  const hash = createHash('sha256')
  let length = 0
  for await (const chunk of request) {
    const bytes = chunk as Buffer
    hash.update(bytes)
    length += bytes.length
  }
  return `${length} ${hash.digest('hex')}\n`
}

function notFound(_request: IncomingMessage, response: ServerResponse): void {
  response.statusCode = 404
  response.end('no such page\n')
}
