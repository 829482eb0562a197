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
import { type Failure, FailureError, failureOf } from './failure.ts'
import { type H2Session, H2Sessions } from './h2-sessions.ts'
import { type OriginProtocol, type Secured, secureOrigin, speaksOther } from './origin-tls.ts'

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
  /** Those of HTTP/2. */
  readonly h2: H2Sessions
  readonly headTimeoutMs: number
  readonly bodyIdleMs: number
  readonly #options: PoolOptions
  readonly #secureContext: tls.SecureContext
  /** The permit of the exchange that asked last. All permits of a pool carry the same addresses: they are in its key. */
  permit: AddressPermit
  /** The address that was dialled last, for the record. */
  address: string | null = null
  /** What the parent proxy was asked for then; null: there is none between. */
  via: string | null = null
  /** Connections made so far, those of second tries included. */
  dials = 0
  #tlsSession: Buffer | undefined
  readonly #sockets = new WeakMap<Duplex, OriginSocket>()
  readonly #scheme: Scheme
  /** Whether the origin takes who offers HTTP/1.1 alone; null: nobody has tried. */
  #takesHttp1: boolean | null
  #trying: Promise<Failure | H2Session | 'http/1.1'> | null = null
  /** A connection made to see what the origin speaks, for the first who can use it. */
  #spare: Secured | null = null
  /** Nobody asks any more: what still comes to stand is for nobody. */
  #closed = false

  constructor(key: PoolKey, options: PoolOptions, secureContext: tls.SecureContext) {
    this.permit = key.permit
    this.#scheme = key.scheme
    this.#takesHttp1 = key.scheme === 'http' ? true : null
    this.headTimeoutMs = options.headTimeoutMs
    this.bodyIdleMs = options.bodyIdleMs
    this.#options = options
    this.#secureContext = secureContext
    this.pool = this.#createPool(options.connectionsPerOriginMax)
    this.h2 = new H2Sessions({
      origin: `https://${key.permit.authority.text}`,
      connect: (offer) => this.#connectTls(offer),
      onOther: (found) => this.#keepSpare(found),
      connectionsMax: options.connectionsPerOriginMax,
      headBytesMax: options.headBytesMax,
      keepAliveMs: options.keepAliveMs,
    })
  }

  /** What a request of such a client goes on in; null: `negotiate`. */
  ready(client: OriginProtocol): H2Session | 'http/1.1' | null {
    if (client === 'http/1.1' && this.#takesHttp1 !== false) return this.#takesHttp1 === null ? null : 'http/1.1'
    return this.h2.declined ? 'http/1.1' : this.h2.find()
  }

  negotiate(client: OriginProtocol): Promise<Failure | H2Session | 'http/1.1'> {
    if (client === 'h2' || this.#takesHttp1 === false) return this.h2.connect()
    this.#trying ??= this.#tryHttp1().finally(() => {
      this.#trying = null
    })
    return this.#trying
  }

  /** A pool of one connection that is used once: for the second try of a request that a reused connection lost. */
  fresh(): Pool {
    return this.#createPool(1)
  }

  /** Requests on their way finish; nothing new begins. */
  close(): void {
    this.#closed = true
    this.pool.close().catch(ignore)
    this.h2.close()
    this.#spare?.socket.destroy()
  }

  destroy(): void {
    this.#closed = true
    this.pool.destroy().catch(ignore)
    this.h2.destroy()
    this.#spare?.socket.destroy()
  }

  async #tryHttp1(): Promise<Failure | H2Session | 'http/1.1'> {
    const found = await this.#connectTls(['http/1.1'])
    if (found.kind === 'secured') {
      this.#keepSpare(found)
      return 'http/1.1'
    }
    return this.#takesHttp1 === false ? (this.h2.find() ?? this.h2.connect()) : found
  }

  #keepSpare(found: Secured): void {
    this.#spare?.socket.destroy()
    this.#spare = found
    found.socket.on('error', ignore)
    if (this.#closed) found.socket.destroy()
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
    this.dials++
    let result: Dialled | Failure | Secured
    try {
      result = await this.#connect()
    } catch (error) {
      result = failureOf(error)
    }
    if (result.kind === 'failed') callback(new FailureError(result), null)
    else callback(null, heldByListeners(result.socket))
  }

  async #connect(): Promise<Dialled | Failure | Secured> {
    const spare = this.#spare
    this.#spare = null
    spare?.socket.off('error', ignore)
    if (spare !== null && !spare.socket.destroyed) return spare
    return this.#scheme === 'http' ? this.#dial() : this.#connectTls(['http/1.1'])
  }

  async #dial(): Promise<Dialled | Failure> {
    const dialled = await this.#options.dial(this.permit)
    if (dialled.kind === 'failed') return dialled
    this.address = dialled.address
    this.via = dialled.via
    this.#sockets.set(dialled.socket, { stream: dialled.socket, raw: dialled.raw })
    return dialled
  }

  async #connectTls(offer: readonly OriginProtocol[]): Promise<Failure | Secured> {
    const dialled = await this.#dial()
    if (dialled.kind === 'failed') return dialled
    const found = await secureOrigin(dialled, {
      host: this.permit.authority.host,
      offer,
      secureContext: this.#secureContext,
      timeoutMs: this.#options.handshakeTimeoutMs,
      session: this.#tlsSession,
      onSession: (session) => {
        this.#tlsSession = session
      },
    })
    if (found.kind === 'secured') this.#sockets.set(found.socket, { stream: found.socket, raw: found.raw })
    if (found.kind === 'secured' && found.protocol === 'http/1.1') this.#takesHttp1 = true
    else if (found.kind === 'failed' && !offer.includes('h2') && speaksOther(found)) this.#takesHttp1 = false
    return found
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
    const { authority, pinned } = key.permit
    const text = `${key.scheme} ${authority.text} ${key.policyVersion} ${pinned} ${key.identity?.id ?? ''} ${key.addresses}`
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
        oldest.value[1].close()
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
    one.permit.pinned === other.permit.pinned &&
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

function ignore(): void {}
