/** One end of a WebSocket, client or server, that shows every frame as it came; and an origin made of such ends. */

import { createHash, randomBytes } from 'node:crypto'
import type net from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import type { RawOrigin } from './raw-origin.ts'
import { readStrictly, type StrictRequest, valuesOf } from './strict-http.ts'
import type { TestCa } from './test-ca.ts'

export type Frame = {
  readonly opcode: 'binary' | 'close' | 'continuation' | 'ping' | 'pong' | 'text'
  readonly fin: boolean
  readonly masked: boolean
  readonly payload: Buffer
}

const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

export class WebSocketPeer {
  /** A connection, or a stream of one. */
  readonly socket: Duplex
  /** Bytes of frames, heads included. */
  bytesIn = 0
  bytesOut = 0
  /** How the connection ended, if it has. */
  end: 'fin' | 'open' | 'reset' = 'open'
  readonly #masks: boolean
  #chunks: Buffer[] = []
  #size = 0
  #wake: () => void = () => undefined

  constructor(socket: Duplex, options: { readonly masks: boolean; readonly early?: Buffer }) {
    this.socket = socket
    this.#masks = options.masks
    if (options.early !== undefined) this.#take(options.early)
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', () => this.#ended('reset'))
    socket.on('aborted', () => this.#ended('reset'))
    socket.on('end', () => this.#ended('fin'))
    socket.on('close', () => this.#ended('reset'))
  }

  /** False: the socket has taken as much as it wants. */
  send(opcode: Frame['opcode'], payload: Buffer | string = '', fin: boolean = true): boolean {
    return this.sendRaw(frameOf(opcode, Buffer.from(payload), this.#masks, fin))
  }

  sendRaw(bytes: Buffer): boolean {
    this.bytesOut += bytes.length
    return this.socket.write(bytes)
  }

  close(code: number, reason: string): void {
    const payload = Buffer.alloc(2 + reason.length)
    payload.writeUInt16BE(code)
    payload.write(reason, 2)
    this.send('close', payload)
  }

  /** The next frame; the end where none comes any more. */
  async next(timeoutMs: number = 5000): Promise<Frame | 'fin' | 'reset' | 'silence'> {
    const until = performance.now() + timeoutMs
    for (;;) {
      const frame = this.#frame()
      if (frame !== null) return frame
      if (this.end !== 'open') return this.end
      const left = until - performance.now()
      if (left <= 0) return 'silence'
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  #take(chunk: Buffer): void {
    this.bytesIn += chunk.length
    this.#chunks.push(chunk)
    this.#size += chunk.length
    this.#wake()
  }

  #ended(how: 'fin' | 'reset'): void {
    if (this.end === 'open') this.end = how
    this.#wake()
  }

  #frame(): Frame | null {
    const head = this.#peek(14)
    if (head.length < 2) return null
    const masked = ((head[1] ?? 0) & 0x80) !== 0
    const short = (head[1] ?? 0) & 0x7f
    const more = short === 126 ? 2 : short === 127 ? 8 : 0
    const maskAt = 2 + more
    const start = maskAt + (masked ? 4 : 0)
    if (head.length < start) return null
    const length = more === 0 ? short : more === 2 ? head.readUInt16BE(2) : Number(head.readBigUInt64BE(2))
    if (this.#size < start + length) return null
    const all = Buffer.concat(this.#chunks)
    const payload = Buffer.from(all.subarray(start, start + length))
    if (masked) mask(payload, all.subarray(maskAt, start))
    const rest = all.subarray(start + length)
    this.#chunks = rest.length > 0 ? [rest] : []
    this.#size = rest.length
    const number = (all[0] ?? 0) & 0x0f
    const names = Object.entries(opcodes) as [Frame['opcode'], number][]
    const opcode = names.find(([, code]) => code === number)?.[0]
    if (opcode === undefined) throw new Error(`opcode ${number}`)
    return { opcode, fin: ((all[0] ?? 0) & 0x80) !== 0, masked, payload }
  }

  #peek(bytes: number): Buffer {
    const [first] = this.#chunks
    return first !== undefined && first.length >= bytes ? first.subarray(0, bytes) : Buffer.concat(this.#chunks)
  }
}

/** Code and reason of a close frame. */
export function closeOf(frame: Frame | string): string {
  if (typeof frame === 'string' || frame.opcode !== 'close')
    return typeof frame === 'string' ? frame : `frame ${frame.opcode}`
  return `${frame.payload.readUInt16BE(0)} ${frame.payload.toString('utf8', 2)}`
}

export function frameOf(opcode: Frame['opcode'], payload: Buffer, masks: boolean, fin: boolean = true): Buffer {
  const { length } = payload
  const more = length < 126 ? 0 : length < 65_536 ? 2 : 8
  const head = Buffer.alloc(2 + more + (masks ? 4 : 0))
  head[0] = opcodes[opcode] | (fin ? 0x80 : 0)
  head[1] = (more === 0 ? length : more === 2 ? 126 : 127) | (masks ? 0x80 : 0)
  if (more === 2) head.writeUInt16BE(length, 2)
  if (more === 8) head.writeBigUInt64BE(BigInt(length), 2)
  if (!masks) return Buffer.concat([head, payload])
  const key = randomBytes(4)
  key.copy(head, 2 + more)
  const masked = Buffer.from(payload)
  mask(masked, key)
  return Buffer.concat([head, masked])
}

function mask(payload: Buffer, key: Buffer): void {
  for (let i = 0; i < payload.length; i++) payload[i] = (payload[i] ?? 0) ^ (key[i & 3] ?? 0)
}

/** Written down from RFC 6455 §1.3, not taken from the product. */
export function acceptFor(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}

export type WebSocketOrigin = {
  readonly handshakes: readonly StrictRequest[]
  readonly peers: readonly WebSocketPeer[]
  /** What is answered to a handshake; frames follow where it begins with a 101. */
  answer: (request: StrictRequest, key: string) => Buffer | string
  /** Called with each peer that stands. */
  onPeer: (peer: WebSocketPeer) => void
}

export const agree: WebSocketOrigin['answer'] = (_request, key) =>
  `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptFor(key)}\r\n\r\n`

/** From now on an origin of the world speaks WebSocket. */
export function serveWebSockets(on: RawOrigin, ca: TestCa | null): WebSocketOrigin {
  const handshakes: StrictRequest[] = []
  const peers: WebSocketPeer[] = []
  const origin: WebSocketOrigin = { handshakes, peers, answer: agree, onPeer: () => undefined }
  const serve = (socket: net.Socket): void => {
    let received = Buffer.alloc(0)
    const onData = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk])
      const end = received.indexOf('\r\n\r\n')
      if (end < 0) return
      const [request] = readStrictly(received.subarray(0, end + 4)).requests
      if (request === undefined) throw new Error(`no request: ${received.toString('latin1')}`)
      const early = received.subarray(end + 4)
      received = Buffer.alloc(0)
      handshakes.push(request)
      const answer = Buffer.from(origin.answer(request, valuesOf(request, 'sec-websocket-key')[0] ?? ''))
      socket.write(answer)
      if (!answer.toString('latin1', 0, 16).startsWith('HTTP/1.1 101 ')) return
      socket.removeListener('data', onData)
      const peer = new WebSocketPeer(socket, { masks: false, early })
      peers.push(peer)
      origin.onPeer(peer)
    }
    socket.on('data', onData)
    socket.on('error', () => undefined)
    socket.on('end', () => socket.end())
  }
  on.onConnection = (socket) => {
    if (ca === null) {
      serve(socket)
      return
    }
    const SNICallback = (name: string, callback: (error: null, context: tls.SecureContext) => void): void =>
      callback(null, ca.contextFor(name))
    serve(new tls.TLSSocket(socket, { isServer: true, secureContext: ca.contextFor('127.0.0.1'), SNICallback }))
  }
  return origin
}
