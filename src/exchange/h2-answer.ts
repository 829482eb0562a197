/**
 * The answer to one request of HTTP/2, written to its stream (RFC 9113 §8.3.2).
 *
 * Promises: an answer that fails ends its own stream and no other; no field of one connection goes out on another; once it
 * is complete, a client that still sends is told to stop. Whoever asked for a WebSocket hears a yes only where there is one.
 */

import type { ServerHttp2Stream } from 'node:http2'
import { setTimeout as delay } from 'node:timers/promises'
import type { RawHead } from '../net/request-head.ts'
import type { ResponseHead } from '../net/response-head.ts'
import { cancelStream } from '../upstream/cancel-stream.ts'
import { FailureError, failure } from '../upstream/failure.ts'
import type { Answer, ClientEnd } from './answer.ts'
import { asksGrpc, grpcFieldsOf } from './grpc-reply.ts'
import type { Reply } from './reply.ts'

/** RFC 9113 §7. */
const noError = 0
/** A last word that a client's window does not take by then is not said. */
const lastWordMsMax = 100

export class H2Answer implements Answer {
  readonly protocol = 'h2'
  status: number | null = null
  /** A stream ends by itself: nothing of one answer decides what comes after it. */
  readonly last = false
  /** Ended by us before its end. */
  aborted = false
  /** All of it was said. */
  ended = false
  /** Bytes handed to the stream. */
  written = 0
  readonly #stream: ServerHttp2Stream
  /** Refusals are told as this protocol tells them. */
  readonly #isGrpc: boolean
  readonly #webSocket: boolean
  #bodiless: boolean
  /** The stream ends with trailers, whatever is in them. */
  #trailing = false

  constructor(stream: ServerHttp2Stream, { method, fields }: RawHead, asks: 'answer' | 'websocket') {
    this.#stream = stream
    this.#webSocket = asks === 'websocket'
    this.#isGrpc = asksGrpc(fields)
    this.#bodiless = method === 'HEAD'
  }

  beLast(): void {}

  continue(): void {
    if (this.#writable) this.#stream.additionalHeaders({ ':status': 100 })
  }

  /** RFC 9113 §8.6: there is no 101 here. */
  interim({ status, fields }: ResponseHead): void {
    if (status !== 101 && this.#writable) this.#stream.additionalHeaders({ ':status': status, ...valuesOf(fields) })
  }

  /** RFC 8441 §5: without the proof that only HTTP/1.1 asks for. */
  switchTo(_protocol: string, { fields }: ResponseHead): ClientEnd {
    const stream = this.#stream
    const agreed = fields.filter((_, at) => !/^sec-websocket-accept$/i.test(fields[at - (at % 2)] ?? ''))
    this.status = 200
    if (this.#writable) stream.respond(headerList(this.status, agreed))
    return { stream, status: this.status, reset: (word) => this.#reset(word) }
  }

  #reset(word: Buffer | null): Promise<void> | null {
    const stream = this.#stream
    this.aborted = true
    if (word === null || !this.#writable) {
      cancelStream(stream)
      return null
    }
    // A reset takes back what waits to be written.
    const gone = new Promise<void>((resolve) => void stream.write(word, () => resolve()))
    return Promise.race([gone, delay(lastWordMsMax, undefined, { ref: false })]).then(() => cancelStream(stream))
  }

  start({ status, fields, ended }: ResponseHead): void {
    // Here any 2xx is what 101 is elsewhere (RFC 8441 §4): it would make messages of an answer's body.
    if (this.#webSocket && status < 300)
      throw new FailureError(failure('origin_malformed', new Error(`status ${status} to a WebSocket handshake`)))
    this.status = status
    this.#bodiless ||= status === 204 || status === 304 || ended === true
    if (!this.#writable) return
    // A body of a length that is known ends with itself: no origin of HTTP/1.1 can say more, and hardly any other does.
    this.#trailing = !this.#bodiless && !fields.some((text, at) => at % 2 === 0 && /^content-length$/i.test(text))
    this.#stream.respond(headerList(status, fields), { endStream: this.#bodiless, waitForTrailers: this.#trailing })
  }

  write(piece: Buffer): boolean {
    if (this.#bodiless || !this.#writable) return true
    this.written += piece.length
    return this.#stream.write(piece)
  }

  end(trailers: readonly string[] = []): void {
    this.ended = true
    if (!this.#bodiless && this.#writable) {
      if (this.#trailing) this.#stream.once('wantTrailers', () => this.#sendTrailers(trailers))
      this.#stream.end()
    }
    if (this.#stream.readableEnded) return
    // A head that waits to be written is dropped by a reset; a body is waited for.
    if (this.#bodiless) setImmediate(() => this.#stop())
    else this.#stop()
  }

  send(reply: Reply): void {
    const { status, fields, body } = reply
    if (this.#isGrpc) {
      this.start({ status: 200, reason: '', fields: grpcFieldsOf(reply), bytes: 0, ended: true })
      this.end()
      return
    }
    const bytes = Buffer.from(body)
    this.start({ status, reason: '', fields: [...fields, 'content-length', String(bytes.length)], bytes: 0 })
    this.write(bytes)
    this.end()
  }

  abort(): void {
    this.aborted = true
    // Not by `close`: that ends the stream as if all had been said, and resets it only then.
    if (!this.#stream.destroyed) this.#stream.destroy(new Error('the answer broke off'))
  }

  /** RFC 9113 §8.1: whoever has its answer need not send the rest. Without an error, so that the answer stands. */
  #stop(): void {
    if (!this.#stream.readableEnded && !this.#stream.destroyed) this.#stream.close(noError)
  }

  #sendTrailers(trailers: readonly string[]): void {
    if (this.#writable) this.#stream.sendTrailers(valuesOf(trailers))
  }

  get #writable(): boolean {
    return !this.#stream.destroyed && !this.#stream.closed
  }
}

/** Fields that concern one connection were taken off already: `ResponseHead` has none, and a `Reply` never had. */
function headerList(status: number, fields: readonly string[]): string[] {
  const list = [':status', String(status)]
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] ?? '').toLowerCase()
    // RFC 9110 §8.6: none with a 204.
    if (name === 'content-length' && status === 204) continue
    // RFC 9113 §8.2.1: blanks around a value, which HTTP/1.1 ignores, are malformed here.
    list.push(name, (fields[i + 1] ?? '').replace(/^[ \t]+|[ \t]+$/g, ''))
  }
  return list
}

/** As the library wants them where it takes no list. */
function valuesOf(fields: readonly string[]): Record<string, string[]> {
  const values = new Map<string, string[]>()
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] ?? '').toLowerCase()
    values.set(name, [...(values.get(name) ?? []), (fields[i + 1] ?? '').trim()])
  }
  return Object.fromEntries(values)
}
