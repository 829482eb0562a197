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
import { replyTo } from '../exchange/reply.ts'
import type { Rooms } from '../exchange/rooms.ts'
import { fieldCountMax } from '../net/request-head.ts'
import { type Deny, deny } from '../policy/decision.ts'

export type HttpDoorOptions = {
  readonly headBytesMax: number
  /** Pipelined requests that may wait for the one before them. */
  readonly pipelinedMax: number
}

type Waiting = { readonly request: IncomingMessage; readonly response: ServerResponse }

export type HttpDoor = {
  readonly serve: (connection: Connection, early: Buffer) => void
  readonly close: () => void
}

export function createHttpDoor(rooms: Rooms, options: HttpDoorOptions): HttpDoor {
  return new Door(rooms, options)
}

class Door implements HttpDoor {
  readonly #rooms: Rooms
  readonly #options: HttpDoorOptions
  readonly #connections = new WeakMap<Duplex, Connection>()
  readonly #waiting = new WeakMap<Connection, Waiting[]>()
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
    if (!this.#connections.has(stream)) {
      this.#connections.set(stream, connection)
      connection.onHeadTimeout = () =>
        this.#refuseUnread(connection, deny('malformed_request', 'the head did not end in time'))
      stream.once('close', () => this.#closed(connection))
    }
    connection.finish()
    this.#rooms.deadlines.add(connection)
    if (early.length > 0) stream.unshift(early)
    this.#server.emit('connection', stream)
  }

  close(): void {
    this.#server.close()
  }

  #closed(connection: Connection): void {
    this.#rooms.deadlines.delete(connection)
    connection.closed()
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const connection = this.#connections.get(request.socket)
    if (connection === undefined || connection.poisoned) {
      request.socket.destroy()
      return
    }
    if (connection.active === null) {
      this.#run(connection, { request, response })
      return
    }
    const waiting = this.#waiting.get(connection) ?? []
    if (waiting.length >= this.#options.pipelinedMax) {
      connection.cut()
      return
    }
    waiting.push({ request, response })
    this.#waiting.set(connection, waiting)
  }

  #run(connection: Connection, { request, response }: Waiting): void {
    handleRequest(this.#rooms, connection, request, response).then(
      () => {
        const next = connection.poisoned ? undefined : this.#waiting.get(connection)?.shift()
        if (next !== undefined) this.#run(connection, next)
      },
      () => connection.cut(),
    )
  }

  #onConnect(request: IncomingMessage, socket: Duplex, early: Buffer): void {
    const connection = this.#connections.get(socket)
    // A CONNECT behind requests that still wait would answer before them.
    if (connection === undefined || connection.poisoned || connection.active !== null) {
      socket.destroy()
      return
    }
    // The tunnel has deadlines of its own.
    this.#rooms.deadlines.delete(connection)
    handleConnect(this.#rooms, connection, request, early).catch(() => connection.cut())
  }

  #onClientError(error: Error, socket: Duplex): void {
    const connection = this.#connections.get(socket)
    const parsing = 'code' in error && typeof error.code === 'string' && error.code.startsWith('HPE_')
    if (connection === undefined || !parsing) {
      socket.destroy()
      return
    }
    connection.poisoned = true
    const problem = deny('malformed_request', error.message)
    if (connection.active !== null) connection.active.interrupt(problem)
    else this.#refuseUnread(connection, problem)
  }

  /** A head that never became a request still is an exchange: refused and recorded like any other. */
  #refuseUnread(connection: Connection, problem: Deny): void {
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
      const fields = reply.fields.flatMap((text, i) => (i % 2 === 0 ? [`${text}: ${reply.fields[i + 1]}`] : []))
      const head = [
        `HTTP/1.1 ${reply.status} ${reply.reason}`,
        ...fields,
        `Content-Length: ${Buffer.byteLength(reply.body)}`,
        'Connection: close',
      ]
      stream.write(`${head.join('\r\n')}\r\n\r\n${reply.body}`)
      stream.resume()
      stream.end()
      this.#rooms.deadlines.lingerThenDestroy(stream)
    }
    finishFacts(this.#rooms, facts, problem, reply?.status ?? null)
  }
}
