/** An origin that keeps every byte it was sent, and answers as it is told. */

import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { readStrictly, type StrictReading, type StrictRequest } from './strict-http.ts'
import type { CertificateFault, TestCa } from './test-ca.ts'

/** One connection that something made to the origin, for as long as the test lives. */
export type OriginConnection = {
  /** What came; of TLS, decrypted. */
  received: Buffer
  readonly encrypted: boolean
  /** The server name of the ClientHello; null where there is none. */
  serverName: string | null
  /** How the peer went: not yet, with a FIN, or with a reset. */
  end: 'fin' | 'open' | 'reset'
  readonly socket: net.Socket
  readonly reading: () => StrictReading
}

/** Writes the answer to one request; called once for each whole request, in order. */
export type Answer = (request: StrictRequest, socket: net.Socket, connection: OriginConnection) => void

export type RawOrigin = AsyncDisposable & {
  readonly port: number
  readonly connections: readonly OriginConnection[]
  /** How requests are answered from now on. */
  answer: Answer
  /** Instead of anything else, done to a connection as soon as it stands. */
  onConnection: ((socket: net.Socket) => void) | null
  /** What is wrong with the certificate, TLS origins only. */
  fault: CertificateFault | null
  /** Versions spoken, TLS origins only. */
  maxVersion: tls.SecureVersion | null
}

export const answerOk: Answer = (request, socket) => {
  socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n${request.method === 'HEAD' ? '' : 'ok\n'}`)
}

export async function startRawOrigin(ca: TestCa | null = null): Promise<RawOrigin> {
  const connections: OriginConnection[] = []
  const sockets = new Set<net.Socket>()
  const origin = { answer: answerOk, onConnection: null, fault: null, maxVersion: null } as Pick<
    RawOrigin,
    'answer' | 'fault' | 'maxVersion' | 'onConnection'
  >

  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    const connection: OriginConnection = {
      received: Buffer.alloc(0),
      encrypted: ca !== null,
      serverName: null,
      end: 'open',
      socket,
      reading: () => readStrictly(connection.received),
    }
    connections.push(connection)
    socket.on('error', () => {
      connection.end = 'reset'
    })
    if (origin.onConnection !== null) {
      origin.onConnection(socket)
      return
    }
    if (ca === null) record(socket, connection, origin)
    else record(terminate(socket, connection, ca, origin), connection, origin)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  return Object.assign(origin, {
    port,
    connections,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  })
}

function terminate(
  socket: net.Socket,
  connection: OriginConnection,
  ca: TestCa,
  { fault, maxVersion }: Pick<RawOrigin, 'fault' | 'maxVersion'>,
): tls.TLSSocket {
  // TLS 1.0 and 1.1 need the security level at which OpenSSL still speaks them.
  const more: tls.SecureContextOptions =
    maxVersion === null ? {} : { minVersion: 'TLSv1', maxVersion, ciphers: 'DEFAULT@SECLEVEL=0' }
  const secure = new tls.TLSSocket(socket, {
    isServer: true,
    ALPNProtocols: ['http/1.1'],
    // For peers that send no name, as is right for an address.
    secureContext: ca.contextFor('127.0.0.1', fault ?? undefined, more),
    SNICallback: (name, callback) => {
      callback(null, ca.contextFor(name, fault ?? undefined, more))
    },
  })
  secure.on('secure', () => {
    // The callback is not asked when a session is resumed; the socket knows in both cases.
    const name: unknown = 'servername' in secure ? secure.servername : null
    connection.serverName = typeof name === 'string' ? name : null
  })
  secure.on('error', () => {
    connection.end = 'reset'
  })
  secure.on('_tlsError', () => secure.destroy())
  return secure
}

function record(socket: net.Socket, connection: OriginConnection, origin: Pick<RawOrigin, 'answer'>): void {
  let answered = 0
  socket.on('data', (chunk: Buffer) => {
    connection.received = Buffer.concat([connection.received, chunk])
    for (const request of connection.reading().requests.slice(answered)) {
      answered++
      origin.answer(request, socket, connection)
    }
  })
  socket.on('end', () => {
    if (connection.end === 'open') connection.end = 'fin'
    socket.end()
  })
}
