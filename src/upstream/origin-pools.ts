/**
 * Deliver, third step: connections to origins, kept for reuse.
 *
 * Promises: no connection is shared between sessions, policy versions, answers of DNS, or client certificates; TLS is verified (chain, name,
 * dates, 1.2 or later) against an explicit list of roots before one byte of a request is written, whatever the
 * environment says.
 */

import type net from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import { type buildConnector, Pool } from 'undici'
import type { Scheme } from '../net/authority.ts'
import type { ClientIdentity } from '../net/client-identity.ts'
import type { AddressPermit } from '../policy/decide-address.ts'
import type { Dial, Dialled } from './dial.ts'
import { type Failure, FailureError, failure, failureOf } from './failure.ts'

export type PoolOptions = {
  readonly dial: Dial
  /** PEM roots; always explicit, so that environment variables add nothing. */
  readonly roots: readonly string[]
  readonly handshakeTimeoutMs: number
  readonly keepAliveMs: number
  /** Silence of the origin before its head, and within its body. */
  readonly headTimeoutMs: number
  readonly bodyIdleMs: number
  readonly headBytesMax: number
  readonly connectionsPerOriginMax: number
  readonly poolsPerSessionMax: number
}

/** What makes two requests of one session share connections. */
export type PoolKey = {
  readonly scheme: Scheme
  readonly permit: AddressPermit
  readonly addresses: string
  readonly policyVersion: number
  /** Who we are in the handshake; null: nobody. */
  readonly identity: ClientIdentity | null
}

/** A connection to an origin: what is read and written, and what a cut resets (of TLS, the socket beneath it). */
export type OriginSocket = { readonly stream: net.Socket; readonly raw: net.Socket }

export class OriginPool {
  readonly pool: Pool
  readonly headTimeoutMs: number
  readonly #options: PoolOptions
  readonly #secureContext: tls.SecureContext
  /** The permit of the exchange that asked last. All permits of a pool carry the same addresses: they are in its key. */
  permit: AddressPermit
  /** The address that was dialled last, for the record. */
  address: string | null = null
  /** Connections made so far, those of second tries included. */
  dials = 0
  #tlsSession: Buffer | undefined
  readonly #sockets = new WeakMap<Duplex, OriginSocket>()
  readonly #scheme: Scheme

  constructor(key: PoolKey, options: PoolOptions, secureContext: tls.SecureContext) {
    this.permit = key.permit
    this.#scheme = key.scheme
    this.headTimeoutMs = options.headTimeoutMs
    this.#options = options
    this.#secureContext = secureContext
    this.pool = this.#createPool(options.connectionsPerOriginMax)
  }

  /** A pool of one connection that is used once: for the second try of a request that a reused connection lost. */
  fresh(): Pool {
    return this.#createPool(1)
  }

  destroy(): void {
    this.pool.destroy().catch(ignore)
  }

  /** Of a connection that left HTTP: undici gives back what it was given. */
  socketOf(stream: Duplex): OriginSocket | null {
    return this.#sockets.get(stream) ?? null
  }

  #createPool(connections: number): Pool {
    return new Pool(`${this.#scheme}://${this.permit.authority.text}`, {
      allowH2: false,
      bodyTimeout: this.#options.bodyIdleMs,
      connect: (_target, callback) => void this.#answer(callback),
      connections,
      // One timer of one length for both, which undici then only winds up again; the shorter one is ours to watch.
      headersTimeout: this.#options.bodyIdleMs,
      keepAliveMaxTimeout: this.#options.keepAliveMs,
      keepAliveTimeout: this.#options.keepAliveMs,
      maxHeaderSize: this.#options.headBytesMax,
      pipelining: 1,
    })
  }

  /** Undici asks by callback; what fails is carried through as an error and comes out as the failure it was. */
  async #answer(callback: buildConnector.Callback): Promise<void> {
    let result: Dialled | Failure
    try {
      result = await this.#connect()
    } catch (error) {
      result = failureOf(error)
    }
    if (result.kind === 'dialled') callback(null, heldByListeners(result.socket))
    else callback(new FailureError(result), null)
  }

  async #connect(): Promise<Dialled | Failure> {
    this.dials++
    const dialled = await this.#options.dial(this.permit)
    if (dialled.kind === 'failed') return dialled
    this.address = dialled.address
    const result = this.#scheme === 'http' ? dialled : await this.#secure(dialled)
    if (result.kind === 'dialled') this.#sockets.set(result.socket, { stream: result.socket, raw: dialled.socket })
    return result
  }

  #secure(dialled: Dialled): Promise<Dialled | Failure> {
    const { host } = this.permit.authority
    return new Promise((resolve) => {
      const socket = tls.connect({
        ALPNProtocols: ['http/1.1'],
        checkServerIdentity: (_name, certificate) => tls.checkServerIdentity(host.name, certificate),
        rejectUnauthorized: true,
        secureContext: this.#secureContext,
        socket: dialled.socket,
        ...(host.ip === null ? { servername: host.name } : {}),
        ...(this.#tlsSession === undefined ? {} : { session: this.#tlsSession }),
      })
      const timer = setTimeout(
        () => finish(failure('tls_failed', new Error('handshake timed out'))),
        this.#options.handshakeTimeoutMs,
      )
      const finish = (result: Dialled | Failure): void => {
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
        const refused = whyUnfit(socket)
        finish(
          refused === null ? { kind: 'dialled', socket, address: dialled.address } : failure('tls_failed', refused),
        )
      })
      socket.once('error', (error) => finish(tlsFailureOf(error)))
      socket.on('session', (session) => {
        this.#tlsSession = session
      })
    })
  }
}

/** The pools of one session. Least recently used goes first when there are too many. */
export class SessionPools {
  readonly #options: PoolOptions
  readonly #secureContext: tls.SecureContext
  readonly #pools = new Map<string, OriginPool>()
  /** The one at the end of the order: most requests of a session go where the one before went. */
  #latest: { readonly key: PoolKey; readonly pool: OriginPool } | null = null

  constructor(options: PoolOptions, secureContext: tls.SecureContext) {
    this.#options = options
    this.#secureContext = secureContext
  }

  poolFor(key: PoolKey): OriginPool {
    const latest = this.#latest
    if (latest !== null && isSameKey(latest.key, key)) {
      latest.pool.permit = key.permit
      return latest.pool
    }
    const text = `${key.scheme} ${key.permit.authority.text} ${key.policyVersion} ${key.identity?.id ?? ''} ${key.addresses}`
    const known = this.#pools.get(text)
    if (known !== undefined) {
      known.permit = key.permit
      // To the end of the order, so that the first is the one used least recently.
      this.#pools.delete(text)
      this.#pools.set(text, known)
      this.#latest = { key, pool: known }
      return known
    }
    if (this.#pools.size >= this.#options.poolsPerSessionMax) {
      const oldest = this.#pools.entries().next()
      if (oldest.done !== true) {
        this.#pools.delete(oldest.value[0])
        // Requests on their way finish; nothing new begins there.
        oldest.value[1].pool.close().catch(ignore)
      }
    }
    const { roots } = this.#options
    const context = key.identity === null ? this.#secureContext : createUpstreamContext(roots, key.identity)
    const made = new OriginPool(key, this.#options, context)
    this.#pools.set(text, made)
    this.#latest = { key, pool: made }
    return made
  }

  destroy(): void {
    for (const pool of this.#pools.values()) pool.destroy()
    this.#pools.clear()
    this.#latest = null
  }
}

/**
 * Undici lets a connection go of the event loop after each request and takes hold again for the next, at the price of two
 * calls into the runtime. The gateway's listeners hold the loop for as long as it serves, and its end destroys every pool.
 */
function heldByListeners(socket: net.Socket): net.Socket {
  socket.unref()
  socket.ref = () => socket
  socket.unref = () => socket
  return socket
}

function isSameKey(one: PoolKey, other: PoolKey): boolean {
  return (
    one.scheme === other.scheme &&
    one.policyVersion === other.policyVersion &&
    one.addresses === other.addresses &&
    one.identity === other.identity &&
    one.permit.authority.text === other.permit.authority.text
  )
}

/** One context for all origins that we are nobody to: parsing the roots costs more than a handshake. */
export function createUpstreamContext(
  roots: readonly string[],
  identity: ClientIdentity | null = null,
): tls.SecureContext {
  const own = identity === null ? {} : { cert: identity.certificates, key: identity.key() }
  return tls.createSecureContext({ ca: [...roots], minVersion: 'TLSv1.2', ...own })
}

function whyUnfit(socket: tls.TLSSocket): Error | null {
  // Both are what Node already promises; they are asked again because everything after rests on them.
  if (!socket.authorized) return new Error(`certificate not verified: ${socket.authorizationError.message}`)
  if (socket.alpnProtocol !== false && socket.alpnProtocol !== 'http/1.1')
    return new Error(`origin chose ${socket.alpnProtocol}`)
  return null
}

/** An error within the handshake that is not about the certificate is the handshake's. */
function tlsFailureOf(error: Error): Failure {
  const found = failureOf(error)
  return found.code === 'tls_untrusted' ? found : failure('tls_failed', error)
}

function ignore(): void {}
