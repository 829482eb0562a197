/**
 * TLS of the proxy's own port, for clients that are told `https://` of their proxy, and for those that show a certificate.
 *
 * Promises: TLS 1.2 or later with a deadline; where a CA of clients is named, a certificate that it did not sign, or none,
 * ends in the handshake; a certificate of our own is replaced long before it ends, and one of a file when the file changes.
 */

import type { Socket } from 'node:net'
import tls from 'node:tls'
import { peerNameOf } from './peer-name.ts'

export type DoorCertificate = { readonly key: string; readonly certificate: string }

export type ProxyTlsOptions = {
  /** Asked again every hour. */
  readonly certificate: () => DoorCertificate | Promise<DoorCertificate>
  /** PEM: who signs for clients; null: they show nothing. */
  readonly clientCa: string | null
  readonly handshakeTimeoutMs: number
  /** `peer`: who the certificate of the client names; null: nobody. */
  readonly onOpen: (raw: Socket, stream: tls.TLSSocket, peer: string | null) => void
  readonly log: (message: string) => void
}

export type ProxyTls = {
  /** Of a connection whose first byte is the client's hello. */
  readonly accept: (raw: Socket) => void
  readonly close: () => void
}

const renewMs = 3_600_000

export async function createProxyTls(options: ProxyTlsOptions): Promise<ProxyTls> {
  const contextOf = ({ key, certificate }: DoorCertificate): tls.SecureContextOptions => ({
    key,
    cert: certificate,
    minVersion: 'TLSv1.2',
    ...(options.clientCa === null ? {} : { ca: options.clientCa }),
  })
  const asks = options.clientCa !== null
  let inUse = await options.certificate()
  const server = tls.createServer({
    ...contextOf(inUse),
    allowHalfOpen: true,
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: options.handshakeTimeoutMs,
    requestCert: asks,
    rejectUnauthorized: asks,
  })
  /** Node does not say which connection a TLS socket stands on; its two ends do. */
  const waiting = new Map<string, Socket>()
  const take = (ends: string): Socket | undefined => {
    const raw = waiting.get(ends)
    waiting.delete(ends)
    return raw
  }
  server.on('secureConnection', (stream) => {
    const raw = take(endsOf(stream))
    if (raw === undefined || (asks && !stream.authorized)) {
      stream.destroy()
      return
    }
    stream.on('error', ignore)
    const shown = asks ? stream.getPeerX509Certificate() : undefined
    options.onOpen(raw, stream, shown === undefined ? null : peerNameOf(shown))
  })
  server.on('tlsClientError', (error, stream) => {
    stream.destroy()
    options.log(`TLS with a client of the proxy: ${error.message}`)
  })
  const renew = async (): Promise<void> => {
    try {
      const next = await options.certificate()
      if (next.certificate === inUse.certificate && next.key === inUse.key) return
      server.setSecureContext(contextOf(next))
      inUse = next
    } catch (error) {
      options.log(
        `the certificate of the proxy stays as it is: ${error instanceof Error ? error.message : String(error)}`,
      )
    }
  }
  const timer = setInterval(() => void renew(), renewMs).unref()
  return {
    accept: (raw) => {
      const ends = endsOf(raw)
      waiting.set(ends, raw)
      raw.once('close', () => {
        if (waiting.get(ends) === raw) waiting.delete(ends)
      })
      server.emit('connection', raw)
    },
    close: () => clearInterval(timer),
  }
}

function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`
}

function ignore(): void {}
