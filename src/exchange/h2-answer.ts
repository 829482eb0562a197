/**
 * The answer to one request of HTTP/2, written to its stream (RFC 9113 §8.3.2).
 *
 * Promises: an answer that fails ends its own stream and no other; no field of one connection goes out on another; once it
 * is complete, a client that still sends is told to stop.
 */

import type { ServerHttp2Stream } from 'node:http2'
import type { ResponseHead } from '../net/response-head.ts'
import type { Answer } from './answer.ts'
import type { Reply } from './reply.ts'

/** RFC 9113 §7. */
const noError = 0

export class H2Answer implements Answer {
  status: number | null = null
  /** A stream ends by itself: nothing of one answer decides what comes after it. */
  readonly last = false
  /** Ended by us before its end. */
  aborted = false
  /** Bytes handed to the stream. */
  written = 0
  readonly #stream: ServerHttp2Stream
  #bodiless: boolean

  constructor(stream: ServerHttp2Stream, method: string) {
    this.#stream = stream
    this.#bodiless = method === 'HEAD'
  }

  beLast(): void {}

  continue(): void {
    if (this.#writable) this.#stream.additionalHeaders({ ':status': 100 })
  }

  /** RFC 9113 §8.6: there is no 101 here. */
  interim({ status, fields }: ResponseHead): void {
    if (status !== 101 && this.#writable) this.#stream.additionalHeaders(headersOf(status, fields))
  }

  switchTo(): void {
    throw new Error('a stream of HTTP/2 does not leave HTTP')
  }

  start({ status, fields }: ResponseHead): void {
    this.status = status
    this.#bodiless ||= status === 204 || status === 304
    if (!this.#writable) return
    this.#stream.respond(headerList(status, fields), { endStream: this.#bodiless })
  }

  write(piece: Buffer): boolean {
    if (this.#bodiless || !this.#writable) return true
    this.written += piece.length
    return this.#stream.write(piece)
  }

  end(): void {
    if (!this.#bodiless && this.#writable) this.#stream.end()
    // RFC 9113 §8.1: whoever has its answer need not send the rest. Without an error, so that the answer stands.
    if (!this.#stream.readableEnded && !this.#stream.destroyed) this.#stream.close(noError)
  }

  send({ status, fields, body }: Reply): void {
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

function headersOf(status: number, fields: readonly string[]): Record<string, string | string[]> {
  return { ':status': String(status), ...valuesOf(fields) }
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
