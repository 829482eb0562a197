/**
 * Intercept: from a client's raw socket to a decrypted one, with the leaf of the host the caller permitted.
 *
 * Promises: ends within the deadline, in exactly one of three ways; unless it is open the raw socket is destroyed; no
 * error of this connection, before or after, is uncaught. It speaks HTTP/2 and HTTP/1.1, TLS 1.2 or later, no renegotiation,
 * no early data.
 *
 * It does not judge the name: the caller has judged the ClientHello, and compares `serverName` with it once more.
 */

import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Host } from '../net/host.ts'
import { readClientHello } from './client-hello.ts'
import type { LeafCache, LeafPurpose } from './leaf-cache.ts'

export type Interception =
  /** Decrypted; it stays paused until someone reads. The owner listens for `error` and `close` from here on. */
  | {
      readonly kind: 'open'
      readonly socket: TLSSocket
      readonly serverName: string | null
      readonly protocol: 'h2' | 'http/1.1'
    }
  /** `clientRejected`: the client said that it does not accept our certificate. */
  | { readonly kind: 'failed'; readonly detail: string; readonly clientRejected: boolean }
  /** There is no leaf to be had for this host now. */
  | { readonly kind: 'no_leaf' }

/** `first` is what was already read from the socket, which is paused: it is put back before the handshake. */
export type Intercept = (socket: Socket, first: Buffer, host: Host, purpose: LeafPurpose) => Promise<Interception>

/** In our order. A refusal is best said where there is a reason phrase, because some clients show nothing else. */
const offers: Readonly<Record<LeafPurpose, string[]>> = { allowed: ['h2', 'http/1.1'], denied: ['http/1.1', 'h2'] }

export function createIntercept(options: {
  readonly leaves: Pick<LeafCache, 'contextFor'>
  readonly handshakeTimeoutMs: number
}): Intercept {
  return async (socket, first, host, purpose) => {
    // For the whole life of the socket: a client that vanishes between two owners would otherwise end the process.
    socket.on('error', ignore)
    const secureContext = options.leaves.contextFor(host, purpose)
    if (secureContext === null || socket.destroyed) {
      socket.destroy()
      return secureContext === null ? { kind: 'no_leaf' } : failed('the client left before the handshake')
    }
    if (first.length > 0) socket.unshift(first)
    const tls = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: offers[purpose] })
    return handshake(tls, socket, first, options.handshakeTimeoutMs)
  }
}

function handshake(tls: TLSSocket, socket: Socket, first: Buffer, timeoutMs: number): Promise<Interception> {
  return new Promise((resolve) => {
    let ended = false
    const end = (outcome: Interception): void => {
      if (ended) return
      ended = true
      clearTimeout(deadline)
      if (outcome.kind !== 'open') {
        tls.destroy()
        socket.destroy()
      }
      resolve(outcome)
    }
    const deadline = setTimeout(() => end(failed('the TLS handshake took too long')), timeoutMs)
    tls.once('secure', () => {
      // A server's TLSSocket without a tls.Server never says so itself, and a session of HTTP/2 would wait for it for ever.
      const protocol = tls.alpnProtocol === 'h2' ? 'h2' : 'http/1.1'
      if (protocol === 'h2') Object.assign(tls, { secureConnecting: false })
      end({ kind: 'open', socket: tls, serverName: serverNameOf(tls, first), protocol })
    })
    const onGone = (): void => end(failed('the client closed the connection during the handshake'))
    tls.once('close', onGone)
    // A client that was gone before our first flight: the write that failed says nothing, and only the end is seen.
    tls.once('end', onGone)
    tls.on('error', (error) => end(failed(error.message)))
    // A server's TLSSocket without a tls.Server tells of TLS errors by this event alone. After the handshake it would
    // neither end nor say so: a fatal alert must end the connection with its error.
    tls.on('_tlsError', (error: Error) => {
      end(failed(error.message, isCertificateAlert(error)))
      tls.destroy(error)
    })
  })
}

/** The name as OpenSSL read it. Node says `false` where the client gave none. */
function serverNameOf(tls: TLSSocket, first: Buffer): string | null {
  const name: unknown = 'servername' in tls ? tls.servername : null
  if (typeof name === 'string' && name !== '') return name
  // OpenSSL forgets the name when a TLS 1.2 session is resumed. The hello still says it, and the session itself proves
  // the host: its ticket is good for the context of that name alone.
  if (!tls.isSessionReused()) return null
  const hello = readClientHello(first)
  return hello.kind === 'hello' ? hello.serverName : null
}

// RFC 8446 §6.2: the alerts that speak of a certificate, as OpenSSL names them. Clients differ in which they send.
const certificateAlert =
  /_ALERT_(BAD_CERTIFICATE|CERTIFICATE_EXPIRED|CERTIFICATE_REVOKED|CERTIFICATE_UNKNOWN|UNKNOWN_CA|UNSUPPORTED_CERTIFICATE)$/

function isCertificateAlert(error: Error): boolean {
  return 'code' in error && typeof error.code === 'string' && certificateAlert.test(error.code)
}

function failed(detail: string, clientRejected: boolean = false): Interception {
  return { kind: 'failed', detail, clientRejected }
}

function ignore(): void {}
