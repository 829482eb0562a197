/**
 * Connections to one origin that speak HTTP/2: each carries as many requests as the origin lets it.
 *
 * Promises: a connection that the origin is about to leave (GOAWAY), or that let a request wait in vain, takes no new one;
 * what an origin may make us hold is bounded by windows, per stream and for all; nothing is pushed, and what an origin says
 * of other origins (ORIGIN, ALTSVC) is not heard (decision 29).
 */

import http2 from 'node:http2'
import type net from 'node:net'
import { type Failure, failure } from './failure.ts'
import type { OriginProtocol, Secured } from './origin-tls.ts'
import { resetSocket } from './reset-socket.ts'

export type H2SessionsOptions = {
  /** `https://host:port`. */
  readonly origin: string
  readonly connect: (offer: readonly OriginProtocol[]) => Promise<Failure | Secured>
  /** The origin chose HTTP/1.1: the connection is for whoever speaks that. */
  readonly onOther: (found: Secured) => void
  readonly connectionsMax: number
  readonly headBytesMax: number
  readonly keepAliveMs: number
}

/** Bytes that an origin may send ahead of whoever reads: of one stream, and of all. */
const streamWindow = 256 * 1024
const connectionWindow = 4 * 1024 * 1024
/** All streams' windows, and heads. */
const sessionMemoryMiB = 64
/** A field twice goes on twice, as in HTTP/1.1. */
const likeHttp1 = { strictSingleValueFields: false }
/** RFC 9113 §7. */
const refused = 0x7
const streamsMax = 100
const fieldsMax = 256

export class H2Sessions {
  /** The origin had the choice, and chose HTTP/1.1. */
  declined = false
  readonly #options: H2SessionsOptions
  readonly #sessions = new Set<H2Session>()
  #connecting: Promise<Failure | H2Session | 'http/1.1'> | null = null
  /** Nobody asks any more: what still comes to stand serves who waited for it, and ends. */
  #closed = false

  constructor(options: H2SessionsOptions) {
    this.#options = options
  }

  /** One that stands and takes a request now; null: `connect`. */
  find(): H2Session | null {
    let least: H2Session | null = null
    for (const one of this.#sessions) {
      if (one.retired) continue
      if (one.hasRoom) return one
      if (least === null || one.streams < least.streams) least = one
    }
    // Where no more connections may be made, what is too much waits for its turn on one of them.
    return this.#sessions.size < this.#options.connectionsMax ? null : least
  }

  /** Whoever asks while one is under way gets the same. */
  connect(): Promise<Failure | H2Session | 'http/1.1'> {
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = null
    })
    return this.#connecting
  }

  /** What is under way goes on, and nothing new begins. */
  close(): void {
    this.#closed = true
    for (const one of this.#sessions) one.retire()
  }

  /** Cuts all of them (decision 28). */
  destroy(): void {
    this.#closed = true
    for (const one of this.#sessions) one.cut()
  }

  async #connect(): Promise<Failure | H2Session | 'http/1.1'> {
    const found = await this.#options.connect(['h2', 'http/1.1'])
    if (found.kind === 'failed') return found
    this.declined = found.protocol !== 'h2'
    if (this.declined) {
      this.#options.onOther(found)
      return 'http/1.1'
    }
    const { origin, headBytesMax, keepAliveMs } = this.#options
    const session = http2.connect(origin, {
      createConnection: () => found.socket,
      maxHeaderListPairs: fieldsMax,
      maxSessionMemory: sessionMemoryMiB,
      settings: { enablePush: false, initialWindowSize: streamWindow, maxHeaderListSize: headBytesMax },
      ...likeHttp1,
    })
    const made = new H2Session(session, found.raw, keepAliveMs)
    // HTTP/2 has no use for half a connection, and hears of its end only where somebody reads.
    found.socket.once('end', () => session.destroy())
    found.socket.resume()
    this.#sessions.add(made)
    session.once('close', () => this.#sessions.delete(made))
    // In the next turn: whoever waited has asked by then.
    if (this.#closed) setImmediate(() => made.retire())
    return made
  }
}

export class H2Session {
  readonly session: http2.ClientHttp2Session
  /** Takes no new request. */
  retired = false
  streams = 0
  /** Requests that were answered here: it stood before the one that fails on it. */
  answered = 0
  readonly #raw: net.Socket
  readonly #told = Promise.withResolvers<void>()

  constructor(session: http2.ClientHttp2Session, raw: net.Socket, keepAliveMs: number) {
    this.session = session
    this.#raw = raw
    session.on('error', ignore)
    session.once('connect', () => session.setLocalWindowSize(connectionWindow))
    // Before it knows that we want none, an origin may push.
    session.on('stream', (pushed: http2.ClientHttp2Stream) => {
      pushed.close(refused)
    })
    session.once('goaway', () => {
      this.retired = true
    })
    session.once('close', () => {
      this.retired = true
      this.#told.resolve()
    })
    session.once('remoteSettings', () => this.#told.resolve())
    session.setTimeout(keepAliveMs, () => {
      if (this.streams === 0) this.retire()
    })
  }

  get hasRoom(): boolean {
    return this.streams < Math.min(streamsMax, this.session.remoteSettings.maxConcurrentStreams ?? streamsMax)
  }

  /** Why no stream may leave HTTP here, as the origin's SETTINGS say (RFC 8441 §3), once they are here; null: one may. */
  async refusesConnect(): Promise<Failure | null> {
    await this.#told.promise
    if (this.session.destroyed) return failure('origin_closed', new Error('the connection ended before SETTINGS'))
    if (this.session.remoteSettings.enableConnectProtocol === true) return null
    return failure('origin_no_websocket', new Error('the origin has not enabled extended CONNECT'))
  }

  /** Throws what the library says of a head that it does not send. */
  open(list: readonly string[], options: http2.ClientSessionRequestOptions): http2.ClientHttp2Stream {
    const stream = this.session.request([...list], options)
    this.streams++
    stream.once('close', () => {
      this.streams--
    })
    return stream
  }

  retire(): void {
    this.retired = true
    if (!this.session.closed && !this.session.destroyed) this.session.close()
  }

  /** The session and its streams hear of it by the close of their socket: we may be within one of its reads. */
  cut(): void {
    this.retired = true
    resetSocket(this.#raw)
  }
}

function ignore(): void {}
