/** A client that sends exactly the bytes it is given, in exactly the segments it is given. */

import { once } from 'node:events'
import net from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import tls from 'node:tls'

export type RawResponse = {
  readonly status: number
  readonly reason: string
  readonly fields: readonly (readonly [string, string])[]
  readonly body: Buffer
  /** False when the connection ended before the framing said so. */
  readonly complete: boolean
  /** Statuses of the 1xx before it. */
  readonly informational: readonly number[]
}

/** `ended` and `reset`: no answer came before the connection did that. */
export type Heard = RawResponse | 'ended' | 'reset' | 'silence'

const silenceMs = 5000

export class RawClient {
  readonly socket: net.Socket
  /** Below TLS, where there is TLS. */
  readonly #raw: net.Socket
  #buffer: Buffer = Buffer.alloc(0)
  #end: 'ended' | 'reset' | null = null
  #wake: () => void = () => undefined

  constructor(socket: net.Socket, raw: net.Socket = socket) {
    this.socket = socket
    this.#raw = raw
    socket.on('data', this.#onData)
    socket.on('error', () => this.#finish('reset'))
    socket.on('end', () => this.#finish('ended'))
    socket.on('close', () => this.#finish('ended'))
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = net.connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true })
    await once(socket, 'connect')
    return new RawClient(socket)
  }

  get end(): 'ended' | 'reset' | null {
    return this.#end
  }

  /** Bytes that came and belong to no response read so far. */
  get unread(): Buffer {
    return this.#buffer
  }

  /** What comes from now on is somebody else's to read. Returns what came and belongs to no response. */
  takeAll(): Buffer {
    this.socket.removeListener('data', this.#onData)
    const bytes = this.#buffer
    this.#buffer = Buffer.alloc(0)
    return bytes
  }

  /** Each segment goes out on its own. Text is latin1. */
  async send(...segments: readonly (Buffer | string)[]): Promise<void> {
    for (const segment of segments) {
      if (!this.socket.writable) return
      this.socket.write(typeof segment === 'string' ? Buffer.from(segment, 'latin1') : segment)
      if (segments.length > 1) await nextTurn()
    }
  }

  /** TLS over this connection, as a client of its own. Rejects when the handshake fails. */
  async startTls(options: tls.ConnectionOptions): Promise<RawClient> {
    const { socket } = this
    socket.removeListener('data', this.#onData)
    const secure = tls.connect({ ALPNProtocols: ['http/1.1'], socket, ...options })
    await once(secure, 'secureConnect')
    return new RawClient(secure, socket)
  }

  /** The next final response. `bodiless`: it answers HEAD. */
  async response(options: { readonly bodiless?: boolean; readonly timeoutMs?: number } = {}): Promise<Heard> {
    const until = performance.now() + (options.timeoutMs ?? silenceMs)
    const informational: number[] = []
    for (;;) {
      const found = readResponse(this.#buffer, options.bodiless === true, this.#end !== null)
      if (found !== null) {
        this.#buffer = this.#buffer.subarray(found.length)
        // RFC 9110 §15.2.2: behind a 101 stands another protocol.
        if (found.response.status >= 200 || found.response.status === 101) return { ...found.response, informational }
        informational.push(found.response.status)
        continue
      }
      if (this.#end !== null) return this.#end
      const left = until - performance.now()
      if (left <= 0) return 'silence'
      await this.#more(left)
    }
  }

  /** The next so many bytes as hex, or fewer where no more come. */
  async bytes(count: number, timeoutMs: number = silenceMs): Promise<string> {
    const until = performance.now() + timeoutMs
    while (this.#buffer.length < count && this.#end === null) {
      const left = until - performance.now()
      if (left <= 0) break
      await this.#more(left)
    }
    const taken = this.#buffer.subarray(0, count)
    this.#buffer = this.#buffer.subarray(taken.length)
    return taken.toString('hex')
  }

  /** When the other side has closed; false when it has not in time. */
  async closed(timeoutMs: number = silenceMs): Promise<boolean> {
    const until = performance.now() + timeoutMs
    while (this.#end === null) {
      const left = until - performance.now()
      if (left <= 0) return false
      await this.#more(left)
    }
    return true
  }

  halfClose(): void {
    this.socket.end()
  }

  reset(): void {
    this.#raw.resetAndDestroy()
  }

  destroy(): void {
    // TLS over a socket that was just reset goes by itself; to destroy it too, within a read, ends Node 26.
    if (!this.#raw.destroyed) this.socket.destroy()
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#buffer = Buffer.concat([this.#buffer, chunk])
    this.#wake()
  }

  #finish(end: 'ended' | 'reset'): void {
    this.#end ??= end
    this.#wake()
  }

  #more(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

type Found = { readonly response: RawResponse; readonly length: number }

function readResponse(bytes: Buffer, bodiless: boolean, ended: boolean): Found | null {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd < 0) return null
  const [first = '', ...lines] = bytes.toString('latin1', 0, headEnd).split('\r\n')
  const match = /^HTTP\/1\.1 (\d{3})(?: (.*))?$/.exec(first)
  if (match === null) throw new Error(`not a status line: ${JSON.stringify(first)}`)
  const fields = lines.map((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
  })
  const status = Number(match[1])
  const at = headEnd + 4
  const of = (body: Buffer, complete: boolean, length: number): Found => ({
    response: { status, reason: match[2] ?? '', fields, body, complete, informational: [] },
    length,
  })
  // RFC 9110 §9.3.6: the answer that opens a tunnel has no body, whatever it says.
  const opens = match[2] === 'Connection Established'
  if (bodiless || opens || status < 200 || status === 204 || status === 304) return of(Buffer.alloc(0), true, at)
  const field = (name: string): string | undefined => fields.find(([found]) => found === name)?.[1]
  if (field('transfer-encoding')?.toLowerCase() === 'chunked') return readChunked(bytes, at, ended, of)
  const length = field('content-length')
  if (length !== undefined) {
    const end = at + Number(length)
    if (bytes.length >= end) return of(bytes.subarray(at, end), true, end)
    return ended ? of(bytes.subarray(at), false, bytes.length) : null
  }
  return ended ? of(bytes.subarray(at), true, bytes.length) : null
}

function readChunked(
  bytes: Buffer,
  start: number,
  ended: boolean,
  of: (body: Buffer, complete: boolean, length: number) => Found,
): Found | null {
  const chunks: Buffer[] = []
  let at = start
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    const size = lineEnd < 0 ? Number.NaN : Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    if (Number.isNaN(size) || bytes.length < lineEnd + 2 + size + 2)
      return ended ? of(Buffer.concat(chunks), false, bytes.length) : null
    if (size === 0) {
      // Behind trailers, where there are any.
      const end = bytes.indexOf('\r\n\r\n', lineEnd)
      if (end >= 0) return of(Buffer.concat(chunks), true, end + 4)
      return ended ? of(Buffer.concat(chunks), false, bytes.length) : null
    }
    chunks.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size))
    at = lineEnd + 2 + size + 2
  }
}

/** The value of a field of a response, or null. */
export function fieldOf(response: Pick<RawResponse, 'fields'>, name: string): string | null {
  return response.fields.find(([found]) => found === name.toLowerCase())?.[1] ?? null
}
