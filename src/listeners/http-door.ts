/**
 * Accept: HTTP/1.1 out of any socket, for the proxy's own port and for the inside of tunnels alike.
 *
 * Promises: there is one HTTP server for every path, so no path can miss a check. It never listens: sockets are handed to
 * it. Requests of one connection walk one after the other; after an ambiguous one nothing more is read.
 */

import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Connection } from '../exchange/connection.ts'
import { handleConnect } from '../exchange/handle-connect.ts'
import { beginFacts, finishFacts, handleRequest, identify, noteSession } from '../exchange/handle-request.ts'
import { type Reply, replyTo } from '../exchange/reply.ts'
import type { Rooms } from '../exchange/rooms.ts'
import { fieldCountMax } from '../net/request-head.ts'
import { type Deny, deny } from '../policy/decision.ts'

export type HttpDoorOptions = {
  readonly headBytesMax: number
  /** Pipelined requests that may wait for the one before them. */
  readonly pipelinedMax: number
}

type Waiting = { readonly request: IncomingMessage; readonly response: ServerResponse }

/** Where the parser is on one connection, as far as we are told. */
type Reading = {
  readonly waiting: Waiting[]
  /** The request whose head came last; its body may still be coming. */
  latest: IncomingMessage | null
  /** The parser lost its place behind requests that are still to be answered. */
  broken: Deny | null
}

export type HttpDoor = {
  readonly serve: (connection: Connection, early: Buffer) => void
  /** For a connection that the process has no room for: answered, recorded and gone, before a byte of it is read. */
  readonly refuse: (connection: Connection) => void
  /** Resolves when every exchange under way has its record. */
  readonly settled: () => Promise<void>
  readonly close: () => void
}

export function createHttpDoor(rooms: Rooms, options: HttpDoorOptions): HttpDoor {
  return new Door(rooms, options)
}

class Door implements HttpDoor {
  readonly #rooms: Rooms
  readonly #options: HttpDoorOptions
  readonly #connections = new WeakMap<Duplex, Connection>()
  readonly #readings = new WeakMap<Connection, Reading>()
  readonly #underWay = new Set<Promise<void>>()
  readonly #server: http.Server

  constructor(rooms: Rooms, options: HttpDoorOptions) {
    this.#rooms = rooms
    this.#options = options
    this.#server = http.createServer({
      // What Node would answer by itself it would answer without a record: these are all refused in our own words.
      requireHostHeader: false,
      insecureHTTPParser: false,
      keepAliveTimeout: 0,
      maxHeaderSize: options.headBytesMax,
      noDelay: true,
      optimizeEmptyRequests: true,
      requestTimeout: 0,
      shouldUpgradeCallback: () => false,
    })
    // One more than we accept, so that one too many can be seen.
    this.#server.maxHeadersCount = fieldCountMax + 1
    this.#server.headersTimeout = 0
    this.#server.timeout = 0
    const onRequest = (request: IncomingMessage, response: ServerResponse): void => this.#onRequest(request, response)
    this.#server.on('request', onRequest)
    this.#server.on('checkContinue', onRequest)
    this.#server.on('checkExpectation', onRequest)
    this.#server.on('connect', (request, socket, head) => this.#onConnect(request, socket, head))
    this.#server.on('clientError', (error, socket) => this.#onClientError(error, socket))
  }

  serve(connection: Connection, early: Buffer): void {
    const { stream } = connection.start
    // A tunnel with plain HTTP in it is another connection on the same socket.
    this.#connections.set(stream, connection)
    if (!this.#readings.has(connection)) {
      this.#readings.set(connection, { waiting: [], latest: null, broken: null })
      connection.onHeadTimeout = () => {
        // What drips in behind an answer that did not wait for it is the rest of a body, not a head.
        if (this.#readings.get(connection)?.latest?.complete === false) connection.cut()
        else this.#refuseUnread(connection, deny('malformed_request', 'the head did not end in time'))
      }
      stream.once('close', () => this.#closed(connection))
    }
    connection.finish(early.length)
    this.#rooms.deadlines.add(connection)
    if (early.length > 0) stream.unshift(early)
    this.#server.emit('connection', stream)
    // Whoever looked at the first bytes left it paused.
    if (stream.isPaused()) stream.resume()
  }

  refuse(connection: Connection): void {
    const { stream } = connection.start
    const problem = deny('overloaded', 'the process holds as many connections as it may')
    const facts = beginFacts(this.#rooms, connection, 'request')
    const reply = replyTo(problem, facts)
    if (reply !== null) stream.end(textOf(reply), () => stream.destroy())
    finishFacts(this.#rooms, facts, problem, reply?.status ?? null)
  }

  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  close(): void {
    this.#server.close()
  }

  /** Whatever goes wrong in a walk ends its connection, and nothing else. */
  #walk(connection: Connection, walk: Promise<void>): Promise<void> {
    const walked = walk.catch(() => connection.cut()).finally(() => this.#underWay.delete(walked))
    this.#underWay.add(walked)
    return walked
  }

  #closed(connection: Connection): void {
    this.#rooms.deadlines.delete(connection)
    connection.closed()
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const connection = this.#connections.get(request.socket)
    const reading = connection === undefined ? undefined : this.#readings.get(connection)
    if (connection === undefined || reading === undefined) {
      request.socket.destroy()
      return
    }
    // Already cut or hung up. Not destroyed once more: TLS over a socket that was just reset, destroyed from within one
    // of its own reads, is a use after free in Node 26.
    if (connection.poisoned) return
    reading.latest = request
    if (connection.active === null) this.#run(connection, reading, { request, response })
    else if (reading.waiting.length >= this.#options.pipelinedMax) connection.cut()
    else reading.waiting.push({ request, response })
  }

  #run(connection: Connection, reading: Reading, { request, response }: Waiting): void {
    void this.#walk(connection, handleRequest(this.#rooms, connection, request, response)).then(() => {
      if (connection.poisoned) return
      const next = reading.waiting.shift()
      if (next !== undefined) this.#run(connection, reading, next)
      else if (reading.broken !== null) this.#refuseUnread(connection, reading.broken)
    })
  }

  #onConnect(request: IncomingMessage, socket: Duplex, early: Buffer): void {
    const connection = this.#connections.get(socket)
    const reading = connection === undefined ? undefined : this.#readings.get(connection)
    if (connection === undefined || reading === undefined) {
      socket.destroy()
      return
    }
    if (connection.poisoned) return
    // It would answer before the requests that still wait.
    if (connection.active !== null) {
      reading.broken = deny('malformed_request', 'CONNECT behind a request that still waits for its answer')
      return
    }
    connection.requests++
    // The tunnel has deadlines of its own.
    this.#rooms.deadlines.delete(connection)
    void this.#walk(connection, handleConnect(this.#rooms, connection, request, early))
  }

  #onClientError(error: Error, socket: Duplex): void {
    const connection = this.#connections.get(socket)
    const reading = connection === undefined ? undefined : this.#readings.get(connection)
    const parsing = 'code' in error && typeof error.code === 'string' && error.code.startsWith('HPE_')
    if (connection === undefined || reading === undefined || !parsing) {
      if (connection?.start.raw.destroyed !== true) socket.destroy()
      return
    }
    // The parser repeats itself with every byte that follows.
    if (connection.poisoned || reading.broken !== null) return
    const problem = deny('malformed_request', error.message)
    reading.broken = problem
    const { latest, waiting } = reading
    if (latest === null || latest.complete) {
      // What came whole before it is answered first, by its own merits.
      if (connection.active === null) this.#refuseUnread(connection, problem)
    } else if (waiting.at(-1)?.request === latest) waiting.pop()
    else {
      connection.poisoned = true
      if (connection.active !== null) connection.active.interrupt(problem)
      else this.#hangUp(connection)
    }
  }

  /** Says nothing more; the client may still read what it was told. */
  #hangUp(connection: Connection): void {
    const { stream } = connection.start
    stream.resume()
    stream.end()
    this.#rooms.deadlines.lingerThenDestroy(stream)
  }

  /** A head that never became a request still is an exchange: refused and recorded like any other. */
  #refuseUnread(connection: Connection, problem: Deny): void {
    if (connection.poisoned) return
    connection.poisoned = true
    connection.requests++
    const { stream } = connection.start
    const facts = beginFacts(this.#rooms, connection, 'request')
    const who = identify(this.#rooms, connection, [])
    if (who.kind === 'allow') noteSession(facts, connection, who.permit)
    const { place } = connection.start
    if (place.kind === 'tunnel') facts.authority = place.authority
    const reply = replyTo(problem, facts)
    if (reply !== null && stream.writable) {
      stream.write(textOf(reply))
      this.#hangUp(connection)
    }
    finishFacts(this.#rooms, facts, problem, reply?.status ?? null)
  }
}

/** A whole answer, for where no request of the parser carries one. */
function textOf(reply: Reply): string {
  const head = [
    `HTTP/1.1 ${reply.status} ${reply.reason}`,
    ...reply.fields.flatMap((text, i) => (i % 2 === 0 ? [`${text}: ${reply.fields[i + 1]}`] : [])),
    `Content-Length: ${Buffer.byteLength(reply.body)}`,
    'Connection: close',
  ]
  return `${head.join('\r\n')}\r\n\r\n${reply.body}`
}
