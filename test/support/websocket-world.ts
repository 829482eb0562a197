/** A world whose origins speak WebSocket, and a client that asks for one through the proxy. */

import { once } from 'node:events'
import type http2 from 'node:http2'
import { H2Client } from './h2-client.ts'
import { RawClient, type RawResponse } from './raw-client.ts'
import { serveWebSockets, type WebSocketOrigin, WebSocketPeer } from './websocket-peer.ts'
import { createWorld, type World, type WorldOptions, type WorldSession } from './world.ts'

/** On the proxy's own port, decrypted inside a CONNECT, or inside a CONNECT without TLS. */
export type Way = 'clear' | 'plain' | 'tls'
export const ways: readonly Way[] = ['plain', 'tls', 'clear']
/** And on a stream of HTTP/2. */
export const everyWay = [...ways, 'h2'] as const

export const key = 'dGhlIHNhbXBsZSBub25jZQ=='
export const upgrade = 'Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n'
export const handshake = `${upgrade}Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n`

/** Fields as lines in the order of the alphabet, without Host, which every place has its own of. */
export function linesOf(fields: readonly (readonly [string, string])[]): readonly string[] {
  const lines = fields.filter(([name]) => name !== 'host').map(([name, value]) => `${name}: ${value}`)
  return lines.toSorted((one, other) => (one < other ? -1 : 1))
}

export type Reached = {
  readonly client: RawClient
  /** Beneath TLS, where there is TLS. */
  readonly outer: RawClient
  readonly head: (lines: string, start?: string) => string
}

type Answer = Pick<RawResponse, 'fields' | 'status'>

/** A WebSocket that stands, from both ends. */
export type Opened = {
  readonly client: WebSocketPeer
  readonly origin: WebSocketPeer
  readonly answer: Answer
  readonly outer: { readonly reset: () => void }
}

export class WebSocketWorld implements AsyncDisposable {
  readonly world: World
  readonly #plain: WebSocketOrigin
  readonly #secure: WebSocketOrigin

  constructor(world: World) {
    this.world = world
    this.#plain = serveWebSockets(world.http, null)
    this.#secure = serveWebSockets(world.https, world.originCa)
  }

  static async create(options: Omit<WorldOptions, 'dns'>): Promise<WebSocketWorld> {
    const a = { a: ['127.0.0.1'] }
    const limits = { firstBytesTimeoutMs: 15_000, handshakeTimeoutMs: 15_000, headTimeoutMs: 15_000, ...options.limits }
    return new WebSocketWorld(
      await createWorld({ ...options, limits, dns: { 'good.test': a, 'key.test': a, 'get.test': a } }),
    )
  }

  originOf(way: Way | 'h2'): WebSocketOrigin {
    return way === 'tls' || way === 'h2' ? this.#secure : this.#plain
  }

  /** A client that has asked nothing yet, and how its head begins. */
  async reach(way: Way, session: WorldSession, host: string = 'good.test'): Promise<Reached> {
    const { ports, caCertificate } = this.world
    const authority = `${host}:${way === 'tls' ? ports.https : ports.http}`
    const proof = `Proxy-Authorization: ${session.authorization}\r\n`
    const outer = await RawClient.connect(ports.proxy)
    if (way === 'plain') {
      const head: Reached['head'] = (lines, start = 'GET /chat HTTP/1.1') =>
        `${start.replace(' /', ` http://${authority}/`)}\r\nHost: ${authority}\r\n${proof}${lines}\r\n`
      return { client: outer, outer, head }
    }
    await outer.send(`CONNECT ${authority} HTTP/1.1\r\nUser-Agent: tests\r\n${proof}\r\n`)
    const opened = await outer.response({ bodiless: true })
    if (typeof opened === 'string' || opened.status !== 200) throw new Error(`CONNECT: ${JSON.stringify(opened)}`)
    const client = way === 'tls' ? await outer.startTls({ servername: host, ca: caCertificate }) : outer
    return {
      client,
      outer,
      head: (lines, start = 'GET /chat HTTP/1.1') => `${start}\r\nHost: ${authority}\r\n${lines}\r\n`,
    }
  }

  async open(
    way: Way | 'h2',
    session: WorldSession,
    lines: string = handshake,
    host: string = 'good.test',
  ): Promise<Opened> {
    const origin = this.originOf(way)
    const stood = origin.peers.length
    if (way === 'h2') {
      const client = await H2Client.open(this.world, session, host)
      const { stream, answer } = await askFor(client, lines)
      if (answer.status !== 200) throw new Error(`handshake: ${JSON.stringify(answer)}`)
      const peer = new WebSocketPeer(stream, { masks: true })
      const other = origin.peers[stood]
      if (other === undefined) throw new Error('no WebSocket at the origin')
      return { client: peer, origin: other, answer, outer: { reset: () => client.outer.resetAndDestroy() } }
    }
    const { client, outer, head } = await this.reach(way, session, host)
    await client.send(head(lines))
    const answer = await client.response()
    if (typeof answer === 'string' || answer.status !== 101) throw new Error(`handshake: ${JSON.stringify(answer)}`)
    const peer = new WebSocketPeer(client.socket, { masks: true, early: client.takeAll() })
    const other = origin.peers[stood]
    if (other === undefined) throw new Error('no WebSocket at the origin')
    return { client: peer, origin: other, answer, outer }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]()
  }
}

/** What a head of HTTP/1.1 asks, asked on a stream (RFC 8441 §5). */
export async function askFor(
  client: H2Client,
  lines: string,
): Promise<{ readonly stream: http2.ClientHttp2Stream; readonly answer: Answer }> {
  const fields = lines
    .split('\r\n')
    .map((line) => line.split(': '))
    .filter(([name = '']) => !/^(?:connection|upgrade|sec-websocket-key|)$/i.test(name))
  // Node takes repeated fields in a list, and the pseudo-header fields with them.
  const list = [':method', 'CONNECT', ':protocol', 'websocket', ':scheme', 'https', ':authority', client.authority]
  if (client.session.remoteSettings.enableConnectProtocol !== true) await once(client.session, 'remoteSettings')
  if (client.session.remoteSettings.enableConnectProtocol !== true) throw new Error('no extended CONNECT here')
  const more = fields.flatMap(([name = '', value = '']) => [name.toLowerCase(), value])
  const stream = client.session.request([...list, ':path', '/chat', ...more], { endStream: false })
  stream.on('error', () => undefined)
  const [headers, , raw] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders, number, string[]]
  const pairs = raw.flatMap((name, at) => (at % 2 === 0 ? [[name, raw[at + 1] ?? ''] as const] : []))
  return { stream, answer: { status: Number(headers[':status']), fields: pairs } }
}
