/** Clients of HTTP/2 inside a tunnel of the proxy: Node's own, and one that writes frames as it is told. */

import { once } from 'node:events'
import http2 from 'node:http2'
import type { Socket } from 'node:net'
import tls from 'node:tls'
import { RawClient } from './raw-client.ts'
import type { World, WorldSession } from './world.ts'

export type H2Answer = {
  readonly status: number
  readonly headers: http2.IncomingHttpHeaders
  readonly body: Buffer
  /** How the stream ended (RFC 9113 §7). */
  readonly code: number
  readonly informational: readonly number[]
  readonly trailers: http2.IncomingHttpHeaders | null
}

/** TLS through the proxy to this origin of the world, with HTTP/2 chosen. */
export async function tlsThrough(
  world: World,
  session: WorldSession,
  host: string,
  protocols: readonly string[] = ['h2', 'http/1.1'],
  port: number = world.ports.https,
): Promise<{ readonly secure: tls.TLSSocket; readonly outer: Socket }> {
  const outer = await RawClient.connect(world.ports.proxy)
  const authority = `${host}:${port}`
  await outer.send(
    `CONNECT ${authority} HTTP/1.1\r\nUser-Agent: tests\r\nProxy-Authorization: ${session.authorization}\r\n\r\n`,
  )
  const opened = await outer.response({ bodiless: true })
  if (typeof opened === 'string' || opened.status !== 200) throw new Error(JSON.stringify(opened))
  outer.socket.removeAllListeners('data')
  const secure = tls.connect({
    socket: outer.socket,
    servername: host,
    ca: world.caCertificate,
    ALPNProtocols: [...protocols],
  })
  secure.on('error', () => undefined)
  await once(secure, 'secureConnect')
  return { secure, outer: outer.socket }
}

export class H2Client {
  readonly session: http2.ClientHttp2Session
  readonly authority: string
  readonly outer: Socket
  /** Error code of the GOAWAY that came, if one did. */
  goaway: number | null = null
  /** Of the whole connection. */
  readonly errors: Error[] = []

  constructor(secure: tls.TLSSocket, outer: Socket, authority: string, settings: http2.Settings) {
    this.authority = authority
    this.outer = outer
    this.session = http2.connect(`https://${authority}`, { createConnection: () => secure, settings })
    this.session.on('error', (error) => this.errors.push(error))
    this.session.on('goaway', (code: number) => (this.goaway = code))
  }

  static async open(
    world: World,
    session: WorldSession,
    host: string,
    settings: http2.Settings = {},
    port: number = world.ports.https,
  ): Promise<H2Client> {
    const { secure, outer } = await tlsThrough(world, session, host, undefined, port)
    if (secure.alpnProtocol !== 'h2') throw new Error(`the proxy chose ${secure.alpnProtocol}`)
    return new H2Client(secure, outer, `${host}:${port}`, settings)
  }

  /** A stream under way; its errors are for whoever waits for its end. */
  stream(path: string, headers: http2.OutgoingHttpHeaders = {}, endStream: boolean = true): http2.ClientHttp2Stream {
    const stream = this.session.request({ ':path': path, ':authority': this.authority, ...headers }, { endStream })
    stream.on('error', () => undefined)
    return stream
  }

  async get(path: string, headers: http2.OutgoingHttpHeaders = {}): Promise<H2Answer> {
    return answerOf(this.stream(path, headers))
  }

  async send(path: string, body: Buffer | string, headers: http2.OutgoingHttpHeaders = {}): Promise<H2Answer> {
    const stream = this.stream(path, { ':method': 'POST', ...headers }, false)
    stream.end(body)
    return answerOf(stream)
  }

  close(): void {
    this.session.destroy()
    this.outer.destroy()
  }
}

export async function answerOf(stream: http2.ClientHttp2Stream): Promise<H2Answer> {
  const pieces: Buffer[] = []
  const informational: number[] = []
  let headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {}
  let trailers: http2.IncomingHttpHeaders | null = null
  stream.on('headers', (found) => informational.push(Number(found[':status'])))
  stream.on('response', (found) => (headers = found))
  stream.on('trailers', (found) => (trailers = found))
  stream.on('data', (piece: Buffer) => pieces.push(piece))
  if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve))
  return {
    status: headers[':status'] ?? 0,
    headers,
    body: Buffer.concat(pieces),
    code: stream.rstCode,
    informational,
    trailers,
  }
}

export type Frame = { readonly type: number; readonly flags: number; readonly stream: number; readonly payload: Buffer }

export const frameTypes = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export function frame(type: keyof typeof frameTypes, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = frameTypes[type]
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** RFC 7541 §6.2.2, never indexed and never compressed: exactly these bytes. */
export function hpack(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), hpackString(name), hpackString(value)]))
}

function hpackString(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes])
  const length = [127]
  let rest = bytes.length - 127
  for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128)
  return Buffer.concat([Buffer.from([...length, rest]), bytes])
}

/** Writes what it is told, and hears every frame. */
export class FrameClient {
  readonly outer: Socket
  readonly frames: Frame[] = []
  closed = false
  readonly #secure: tls.TLSSocket
  #rest = Buffer.alloc(0)

  constructor(secure: tls.TLSSocket, outer: Socket) {
    this.#secure = secure
    this.outer = outer
    secure.on('data', (bytes: Buffer) => this.#receive(bytes))
    secure.once('close', () => (this.closed = true))
    secure.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    secure.write(frame('settings', 0, 0, Buffer.alloc(0)))
  }

  static async open(world: World, session: WorldSession, host: string): Promise<FrameClient> {
    const { secure, outer } = await tlsThrough(world, session, host)
    return new FrameClient(secure, outer)
  }

  write(...frames: readonly Buffer[]): void {
    if (!this.closed) this.#secure.write(Buffer.concat(frames))
  }

  of(type: keyof typeof frameTypes): Frame[] {
    return this.frames.filter((one) => one.type === frameTypes[type])
  }

  end(): void {
    this.#secure.end()
  }

  #receive(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes])
    while (this.#rest.length >= 9) {
      const length = this.#rest.readUIntBE(0, 3)
      if (this.#rest.length < 9 + length) return
      const payload = this.#rest.subarray(9, 9 + length)
      const [type = 0, flags = 0] = [this.#rest[3], this.#rest[4]]
      this.frames.push({ type, flags, stream: this.#rest.readUInt32BE(5), payload })
      this.#rest = this.#rest.subarray(9 + length)
    }
  }
}
