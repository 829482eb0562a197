/**
 * The answer to one request of HTTP/1.1, written to the client: head, framing, body.
 *
 * Promises: framing is ours (the length the origin promised, or chunks, or for HTTP/1.0 the end of the connection); a head
 * and a body that come together go out in one write; a head that comes alone goes out alone, in the same turn.
 */

import type net from 'node:net'
import { FieldMemo } from '../net/field-memo.ts'
import { fieldValues, listTokens } from '../net/fields.ts'
import type { RawHead } from '../net/request-head.ts'
import type { ResponseHead } from '../net/response-head.ts'
import { resetSocket } from '../upstream/reset-socket.ts'
import type { Answer, ClientEnd } from './answer.ts'
import type { Connection } from './connection.ts'
import type { Outbox } from './outbox.ts'
import type { Reply } from './reply.ts'

/** The largest piece that is copied between its chunk's size and end, to save writes. */
const copiedBytesMax = 16_384

type Framing = 'chunks' | 'close' | 'length' | 'none'

export class ClientAnswer implements Answer {
  readonly protocol = 'http/1.1'
  /** What the client was told; null: nothing so far. */
  status: number | null = null
  /** Nothing follows this answer on the connection. */
  last: boolean
  readonly #connection: Connection
  readonly #request: RawHead
  readonly #stream: net.Socket
  readonly #out: Outbox
  readonly #bodiless: boolean
  readonly #knowsChunks: boolean
  #framing: Framing = 'none'

  constructor(connection: Connection, request: RawHead) {
    this.#connection = connection
    this.#request = request
    this.#stream = connection.start.stream
    this.#out = connection.out
    this.#bodiless = request.method === 'HEAD'
    this.#knowsChunks = request.httpVersion === '1.1'
    this.last = !staysOpen(request)
  }

  beLast(): void {
    this.last = true
  }

  continue(): void {
    this.#out.pass('HTTP/1.1 100 Continue\r\n\r\n')
  }

  /** A 1xx. A client of HTTP/1.0 knows none (RFC 9110 §15.2). */
  interim({ status, reason, fields }: ResponseHead): void {
    if (!this.#knowsChunks) return
    this.#out.pass(`HTTP/1.1 ${status} ${reason}\r\n${linesOf(fields)}\r\n`)
  }

  /** The connection leaves HTTP: the answer that says so, and the last one. */
  switchTo(protocol: string, { status, reason, fields }: ResponseHead): ClientEnd {
    this.status = status
    this.last = true
    this.#out.gather(
      `HTTP/1.1 ${status} ${reason}\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n${linesOf(fields)}\r\n`,
    )
    this.#out.flush()
    const { stream, raw } = this.#connection.start
    return {
      stream,
      status,
      reset: (word) => {
        if (word !== null) stream.write(word)
        resetSocket(raw)
        return null
      },
    }
  }

  start({ status, reason, fields }: ResponseHead): void {
    let lines = ''
    let length = false
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i] ?? ''
      if (name.length === 14 && name.toLowerCase() === 'content-length') {
        // RFC 9110 §8.6: none with a 204.
        if (status === 204) continue
        length = true
      }
      lines += `${name}: ${fields[i + 1]}\r\n`
    }
    const bodiless = this.#bodiless || status === 204 || status === 304
    this.#framing = bodiless ? 'none' : length ? 'length' : this.#knowsChunks ? 'chunks' : 'close'
    if (this.#framing === 'chunks') lines += 'Transfer-Encoding: chunked\r\n'
    if (this.#framing === 'close') this.last = true
    this.status = status
    this.#out.gather(`HTTP/1.1 ${status} ${reason}\r\n${lines}${this.#connectionField()}\r\n`)
  }

  /** False: wait for the stream to drain. */
  write(piece: Buffer): boolean {
    if (this.#framing === 'none') return true
    if (this.#framing !== 'chunks') return this.#out.pass(piece)
    if (piece.length <= copiedBytesMax) return this.#out.pass(chunkOf(piece))
    this.#stream.cork()
    this.#out.pass(`${piece.length.toString(16)}\r\n`)
    this.#out.pass(piece)
    const goOn = this.#out.pass('\r\n')
    this.#stream.uncork()
    return goOn
  }

  end(trailers: readonly string[] = []): void {
    if (this.#framing === 'chunks') this.#out.gather(`0\r\n${this.#trailerLines(trailers)}\r\n`)
  }

  /** A whole answer of our own. */
  send({ status, reason, fields, body }: Reply): void {
    this.status = status
    const bytes = Buffer.from(body)
    const head = `HTTP/1.1 ${status} ${reason}\r\n${linesOf(fields)}Content-Length: ${bytes.length}\r\n${this.#connectionField()}\r\n`
    this.#out.gather(this.#bodiless ? head : head + bytes.toString('latin1'))
  }

  /** A reset, since the end of a connection is how an answer without framing ends. */
  abort(): void {
    this.#out.flush()
    this.#connection.cut()
  }

  /** RFC 9110 §6.5.1: for those who said that they take them. */
  #trailerLines(trailers: readonly string[]): string {
    if (trailers.length === 0 || !takesTrailers(this.#request)) return ''
    let lines = ''
    for (let i = 0; i < trailers.length; i += 2) lines += `${trailers[i]}: ${trailers[i + 1]}\r\n`
    return lines
  }

  #connectionField(): string {
    if (this.last) return 'Connection: close\r\n'
    return this.#knowsChunks ? '' : 'Connection: keep-alive\r\n'
  }
}

/** RFC 9112 §9.3. `Proxy-Connection` is what some clients say to proxies instead. */
function staysOpen({ fields, httpVersion }: RawHead): boolean {
  const { close, keepAlive } = connectionTokens.of(fields)
  return !close && (keepAlive || httpVersion === '1.1')
}

const connectionTokens = new FieldMemo((fields) => {
  const values = [...fieldValues(fields, 'connection'), ...fieldValues(fields, 'proxy-connection')]
  const tokens = values.flatMap(listTokens)
  // Behind a handshake stand frames, and nothing of them is a request, whatever the answer is (RFC 9931).
  const webSocket = tokens.includes('upgrade') && fieldValues(fields, 'upgrade').some((one) => /^websocket$/i.test(one))
  return { close: webSocket || tokens.includes('close'), keepAlive: tokens.includes('keep-alive') }
})

function linesOf(fields: readonly string[]): string {
  let lines = ''
  for (let i = 0; i < fields.length; i += 2) lines += `${fields[i]}: ${fields[i + 1]}\r\n`
  return lines
}

function takesTrailers({ fields }: RawHead): boolean {
  return fieldValues(fields, 'te').flatMap(listTokens).includes('trailers')
}

/** Empty pieces would be the end of the body. */
function chunkOf(piece: Buffer): string {
  return piece.length === 0 ? '' : `${piece.length.toString(16)}\r\n${piece.toString('latin1')}\r\n`
}
