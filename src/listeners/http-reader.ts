/**
 * HTTP/1.1 out of the bytes of one connection: one head after the other, each with its body.
 *
 * Promises: a request is read only when the one before it has been answered; what comes early waits, up to a bound, and
 * then the client does; a body is read when somebody wants it. After bytes that are no HTTP nothing more is read.
 */

import type net from 'node:net'
import { type BodySource, RequestBody } from '../exchange/request-body.ts'
import { type BodyDecoder, createBodyDecoder } from '../net/body-decoder.ts'
import { canBecomeHead, HeadTexts } from '../net/head-text.ts'
import {
  type HeadPlace,
  type HeadProblem,
  parseRequestHead,
  type RawHead,
  type RequestHead,
} from '../net/request-head.ts'
import { isSocks } from '../net/socks.ts'

/** What a reader tells its door. */
export type HttpListener = {
  /** A request; of a head that is a problem the body is unknown, and nothing follows. */
  readonly onRequest: (raw: RawHead, head: HeadProblem | RequestHead, body: RequestBody) => void
  /** `behind`: it came before the request ahead of it was answered. The door detaches or stops the reader. */
  readonly onConnect: (raw: RawHead, place: { readonly behind: boolean }) => void
  /** What comes begins like SOCKS. True: the door has detached the reader, and reads it as that. */
  readonly onSocks: () => boolean
  /** Bytes that are no head; nothing follows. */
  readonly onBadHead: (detail: string) => void
  /** The body of the request under way is not what its head said; nothing follows. */
  readonly onBadBody: (detail: string) => void
  /** What was left of a body, after the answer, has come to its end. */
  readonly onDropped: () => void
  /** A bug of ours: the connection cannot go on. */
  readonly onFault: (error: unknown) => void
  /** The client says nothing more: within a body, within a head, or where it may. Told again where more of it shows. */
  readonly onEnd: (within: 'body' | 'head' | 'nothing') => void
}

export type HttpStart = {
  readonly stream: net.Socket
  readonly place: HeadPlace
  /** Read from the stream before. */
  readonly early: Buffer
  readonly headBytesMax: number
}

export class HttpReader implements BodySource {
  readonly #stream: net.Socket
  readonly #place: HeadPlace
  readonly #headBytesMax: number
  readonly #listener: HttpListener
  readonly #heads = new HeadTexts()
  /** Read from the stream, and not yet by anybody. */
  #unread: Buffer | null
  #decoder: BodyDecoder | null = null
  #body: RequestBody | null = null
  /** Who reads the body under way. */
  #wanted: 'drop' | 'no' | 'yes' = 'no'
  /** A request is under way; the next one waits. */
  #busy = false
  #behind = false
  #stopped = false
  #paused = false
  /** How much of an unfinished head was looked through already. */
  #scanned = 0
  #advancing = false
  /** The client has said its last word, and what the door was told of it. */
  #ended = false
  #told: 'body' | 'head' | 'nothing' | null = null
  readonly #onData = (bytes: Buffer): void => this.#receive(bytes)
  readonly #onEnd = (): void => {
    this.#ended = true
    this.#advance()
  }

  constructor(start: HttpStart, listener: HttpListener) {
    this.#stream = start.stream
    this.#place = start.place
    this.#unread = start.early.length > 0 ? start.early : null
    this.#headBytesMax = start.headBytesMax
    this.#listener = listener
  }

  start(): void {
    this.#stream.on('data', this.#onData)
    this.#stream.once('end', this.#onEnd)
    // Whoever looked at the first bytes left it paused.
    this.#stream.resume()
    this.#advance()
  }

  /** Bytes that wait for their turn. */
  get unreadBytes(): number {
    return this.#unread?.length ?? 0
  }

  get withinBody(): boolean {
    return this.#decoder !== null
  }

  /** The request under way has been answered: the next may be read, after what is left of its body. */
  next(): void {
    if (this.#stopped) return
    this.#busy = false
    this.#behind = this.#unread !== null
    if (this.#decoder !== null) this.#wanted = 'drop'
    this.#advance()
  }

  /** Lets go of the stream, which stays as it is; returns what was read too much. */
  detach(): Buffer {
    const unread = this.#unread ?? Buffer.alloc(0)
    this.stop()
    this.#stream.removeListener('data', this.#onData)
    this.#stream.removeListener('end', this.#onEnd)
    this.#stream.pause()
    return unread
  }

  /** Reads nothing more; what still comes is dropped by whoever resumes the stream. */
  stop(): void {
    this.#stopped = true
    this.#unread = null
    this.#body = null
    this.#decoder = null
  }

  /** The client is gone. */
  fail(error: Error): void {
    const body = this.#body
    this.stop()
    body?.fail(error)
  }

  takeWhole(body: RequestBody): Buffer | null {
    const unread = this.#unread
    if (this.#decoder === null || body !== this.#body || unread === null) return null
    const length = this.#decoder.lengthWithin(unread.length)
    if (length === null) return null
    this.#keep(unread, length)
    this.#endBody()
    this.#advance()
    return unread.subarray(0, length)
  }

  // Who read an earlier body may let go of it, or ask for more, when the next one is under way already.
  resume(body: RequestBody): void {
    if (this.#decoder === null || body !== this.#body || this.#wanted === 'drop') return
    this.#wanted = 'yes'
    this.#advance()
  }

  drop(body: RequestBody): void {
    if (this.#decoder === null || body !== this.#body || this.#wanted === 'drop') return
    this.#wanted = 'drop'
    this.#advance()
  }

  #receive(bytes: Buffer): void {
    if (this.#stopped) return
    if (this.#unread === null) {
      this.#unread = bytes
      // Of what was there before the answer nothing is left.
      this.#behind = false
    } else this.#unread = Buffer.concat([this.#unread, bytes])
    this.#advance()
  }

  /** Moves what can be moved. What a listener or a body asks for meanwhile is seen by the same loop. */
  #advance(): void {
    if (this.#advancing || this.#stopped) return
    this.#advancing = true
    try {
      while (!this.#stopped && this.#unread !== null) {
        const moved = this.#decoder !== null ? this.#readBody(this.#decoder) : this.#busy ? false : this.#readHead()
        if (!moved) break
      }
      this.#rest()
    } catch (error) {
      this.#listener.onFault(error)
    } finally {
      this.#advancing = false
    }
  }

  /** Nothing more moves for now. */
  #rest(): void {
    if (this.#stopped) return
    // A client that is ahead waits; one that is not must be heard when it leaves.
    const full =
      this.#decoder !== null ? this.#wanted === 'no' && this.#unread !== null : this.unreadBytes > this.#headBytesMax
    if (full !== this.#paused) {
      this.#paused = full
      if (full) this.#stream.pause()
      else this.#stream.resume()
    }
    if (this.#ended) this.#tellEnd()
  }

  /** What the client left unfinished shows only when all that came before it has been taken. */
  #tellEnd(): void {
    const unfinished = this.#decoder !== null ? this.#unread === null : !this.#busy && this.#unread !== null
    const within = unfinished ? (this.#decoder === null ? 'head' : 'body') : 'nothing'
    if (within === this.#told) return
    this.#told = within
    this.#listener.onEnd(within)
  }

  #readBody(decoder: BodyDecoder): boolean {
    const unread = this.#unread
    if (this.#wanted === 'no' || unread === null) return false
    const body = this.#body
    let goOn = true
    const end = decoder.take(unread, 0, (piece) => {
      if (this.#wanted === 'yes' && body?.push(piece) === false) goOn = false
    })
    if (this.#stopped) return false
    this.#keep(unread, end)
    if (decoder.state === 'broken') {
      this.#listener.onBadBody(decoder.problem ?? 'the body is not what its head said')
      return false
    }
    if (decoder.state === 'ended') this.#endBody()
    else if (!goOn) this.#wanted = 'no'
    return decoder.state === 'ended'
  }

  #endBody(): void {
    const body = this.#body
    const dropped = !this.#busy
    if (body !== null && this.#decoder !== null) body.trailers = this.#decoder.trailers
    this.#decoder = null
    this.#body = null
    body?.end()
    if (dropped) this.#listener.onDropped()
  }

  #readHead(): boolean {
    const unread = this.#unread
    if (unread === null) return false
    // RFC 9112 §2.2: one empty line before a request is a relic of old clients, and no request.
    const start = unread[0] === 13 && unread[1] === 10 ? 2 : 0
    const end = unread.indexOf('\r\n\r\n', Math.max(start, this.#scanned - 3), 'latin1')
    if ((end < 0 ? unread.length : end) - start > this.#headBytesMax) return this.#badHead('the head is too large')
    if (end < 0) return this.#waitForHead(unread, start)
    const raw = this.#heads.parse(unread.toString('latin1', start, end + 2))
    if ('kind' in raw) return this.#badHead(raw.detail)
    this.#keep(unread, end + 4)
    this.#busy = true
    if (raw.method === 'CONNECT') this.#listener.onConnect(raw, { behind: this.#behind })
    else this.#begin(raw, parseRequestHead(raw, this.#place))
    return true
  }

  /** Only what is new is looked at: a head may come a byte at a time. */
  #waitForHead(unread: Buffer, start: number): boolean {
    // A line end may have come in halves, and is looked at as a whole.
    const last = Math.max(start, this.#scanned - 1)
    const from = last > start && unread[last] === 10 ? last - 1 : last
    if (!canBecomeHead(unread.toString('latin1', from))) return this.#badHead('what has come is no HTTP/1.1 head')
    this.#scanned = unread.length
    return false
  }

  #begin(raw: RawHead, head: HeadProblem | RequestHead): void {
    const body = new RequestBody(this)
    this.#wanted = 'no'
    if ('kind' in head) this.stop()
    else {
      this.#decoder = createBodyDecoder(head.body)
      this.#body = body
    }
    body.complete = this.#decoder === null && !this.#stopped
    this.#listener.onRequest(raw, head, body)
  }

  #badHead(detail: string): false {
    // Asked only of what is no head, so that heads pay nothing for it.
    if (isSocks(this.#unread?.[0]) && this.#listener.onSocks()) return false
    this.stop()
    this.#listener.onBadHead(detail)
    return false
  }

  #keep(bytes: Buffer, from: number): void {
    this.#unread = from < bytes.length ? bytes.subarray(from) : null
    this.#scanned = 0
  }
}
