/**
 * Deliver, third step: TLS with an origin, on a connection that stands.
 *
 * Promises: the chain, the name and the dates are verified, TLS is 1.2 or later, and the origin has chosen one of the
 * protocols that were offered, or none, before the socket leaves this file; whatever fails has closed it.
 */

import type net from 'node:net'
import tls from 'node:tls'
import type { Host } from '../net/host.ts'
import type { Dialled } from './dial.ts'
import { type Failure, FailureError, failure, failureOf } from './failure.ts'

export type OriginProtocol = 'h2' | 'http/1.1'

export type OriginTls = {
  readonly host: Host
  /** In our order of preference. */
  readonly offer: readonly OriginProtocol[]
  readonly secureContext: tls.SecureContext
  readonly timeoutMs: number
  readonly session: Buffer | undefined
  readonly onSession: (session: Buffer) => void
}

export type Secured = {
  readonly kind: 'secured'
  readonly socket: tls.TLSSocket
  /** Beneath it: what a cut resets. */
  readonly raw: net.Socket
  readonly protocol: OriginProtocol
}

export function secureOrigin(dialled: Dialled, options: OriginTls): Promise<Failure | Secured> {
  const { host, offer, session } = options
  return new Promise((resolve) => {
    const socket = tls.connect({
      ALPNProtocols: [...offer],
      checkServerIdentity: (_name, certificate) => tls.checkServerIdentity(host.name, certificate),
      rejectUnauthorized: true,
      secureContext: options.secureContext,
      socket: dialled.socket,
      ...(host.ip === null ? { servername: host.name } : {}),
      ...(session === undefined ? {} : { session }),
    })
    const timer = setTimeout(() => finish(failure('tls_failed', new Error('handshake timed out'))), options.timeoutMs)
    const finish = (result: Failure | Secured): void => {
      clearTimeout(timer)
      socket.removeAllListeners('secureConnect')
      socket.removeAllListeners('error')
      if (result.kind === 'failed') {
        socket.on('error', ignore)
        socket.destroy()
        dialled.socket.destroy()
      }
      resolve(result)
    }
    socket.once('secureConnect', () => {
      const chosen = protocolOf(socket, offer)
      finish(
        chosen instanceof Error
          ? failure('tls_failed', chosen)
          : { kind: 'secured', socket, raw: dialled.raw, protocol: chosen },
      )
    })
    socket.once('error', (error) => finish(tlsFailureOf(error)))
    socket.on('session', options.onSession)
  })
}

/** The origin speaks none of what was offered (RFC 7301 §3.2). */
export function speaksOther({ cause }: Failure): boolean {
  const error = cause instanceof FailureError ? cause.failure.cause : cause
  return error instanceof Error && 'code' in error && error.code === 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL'
}

function protocolOf(socket: tls.TLSSocket, offer: readonly OriginProtocol[]): Error | OriginProtocol {
  // Both are what Node already promises; they are asked again because everything after rests on them.
  if (!socket.authorized) return new Error(`certificate not verified: ${socket.authorizationError.message}`)
  const chosen = socket.alpnProtocol
  // An origin that knows nothing of ALPN speaks what all spoke before there was a choice.
  if (chosen === false || chosen === null) return 'http/1.1'
  return offer.find((one) => one === chosen) ?? new Error(`origin chose ${chosen}`)
}

/** An error within the handshake that is not about the certificate is the handshake's. */
function tlsFailureOf(error: Error): Failure {
  const found = failureOf(error)
  return found.code === 'tls_untrusted' ? found : failure('tls_failed', error)
}

function ignore(): void {}
