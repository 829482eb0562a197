/**
 * Accept: HTTP/1.1 out of any socket, for the proxy's own port and for the inside of tunnels alike.
 *
 * Promises: there is one door for every path, so no path can miss a check. Requests of one connection walk one after the
 * other; after an ambiguous one nothing more is read.
 */

import { ClientAnswer } from '../exchange/client-answer.ts'
import type { Connection } from '../exchange/connection.ts'
import { type ConnectAsked, handleConnect } from '../exchange/handle-connect.ts'
import { beginFacts, finishFacts, handleRequest, identify, noteSession } from '../exchange/handle-request.ts'
import { httpConnect } from '../exchange/http-connect.ts'
import { type Reply, replyTo } from '../exchange/reply.ts'
import type { RequestBody } from '../exchange/request-body.ts'
import type { Rooms } from '../exchange/rooms.ts'
import type { HeadProblem, RawHead, RequestHead } from '../net/request-head.ts'
import { type Deny, deny } from '../policy/decision.ts'
import { type HttpListener, HttpReader } from './http-reader.ts'
import { SocksReader } from './socks-reader.ts'

export type HttpDoor = {
  readonly serve: (connection: Connection, early: Buffer) => void
  /** For a connection that the process has no room for: answered, recorded and gone, before a byte of it is read. */
  readonly refuse: (connection: Connection) => void
  /** Resolves when every exchange under way has its record. */
  readonly settled: () => Promise<void>
}

export function createHttpDoor(rooms: Rooms, options: { readonly headBytesMax: number }): HttpDoor {
  /** After a challenge the same connection is served again. */
  const visits = new WeakMap<Connection, Visit>()
  const underWay = new Set<Visit>()
  let onSettled: (() => void) | null = null
  const begun = (visit: Visit): void => void underWay.add(visit)
  const over = (visit: Visit): void => {
    underWay.delete(visit)
    if (underWay.size === 0) onSettled?.()
  }
  return {
    serve: (connection, early) => {
      const visit = visits.get(connection) ?? new Visit(rooms, connection, { begun, over })
      visits.set(connection, visit)
      visit.start(early, options.headBytesMax)
    },
    refuse: (connection) => {
      const { stream } = connection.start
      const problem = deny('overloaded', 'the process holds as many connections as it may')
      const facts = beginFacts(rooms, connection, 'request')
      const reply = replyTo(problem, facts)
      if (reply !== null) stream.end(textOf(reply), 'latin1', () => stream.destroy())
      finishFacts(rooms, facts, problem, reply?.status ?? null)
    },
    settled: () =>
      new Promise((resolve) => {
        onSettled = resolve
        if (underWay.size === 0) resolve()
      }),
  }
}

type Count = { readonly begun: (visit: Visit) => void; readonly over: (visit: Visit) => void }

/** One connection, as long as HTTP is read from it. */
class Visit implements HttpListener {
  readonly #rooms: Rooms
  readonly #connection: Connection
  readonly #count: Count
  #reader: HttpReader | null = null
  #onDrained: (() => void) | null = null

  constructor(rooms: Rooms, connection: Connection, count: Count) {
    this.#rooms = rooms
    this.#connection = connection
    this.#count = count
  }

  start(early: Buffer, headBytesMax: number): void {
    const connection = this.#connection
    const { stream, place } = connection.start
    if (this.#reader === null) {
      connection.onHeadTimeout = () => this.onBadHead('the head did not end in time')
      stream.once('close', () => this.#closed())
      stream.on('drain', () => this.#drained())
    }
    connection.finish(early.length)
    this.#rooms.deadlines.add(connection)
    this.#reader = new HttpReader({ stream, place, early, headBytesMax }, this)
    this.#whenTaken(() => this.#reader?.start())
  }

  /** A client that does not take its answers gets no more of them: what it asks next waits. */
  #whenTaken(goOn: () => void): void {
    if (this.#connection.start.stream.writableNeedDrain) this.#onDrained = goOn
    else goOn()
  }

  #drained(): void {
    this.#connection.active?.drained()
    const goOn = this.#onDrained
    this.#onDrained = null
    goOn?.()
  }

  onRequest(raw: RawHead, head: HeadProblem | RequestHead, body: RequestBody): void {
    this.#count.begun(this)
    const answer = new ClientAnswer(this.#connection, raw)
    handleRequest(this.#rooms, this.#connection, { raw, head, body, answer }).then(
      () => this.#answered(),
      () => this.#failed(),
    )
  }

  onConnect(raw: RawHead, { behind }: { readonly behind: boolean }): void {
    // Its answer is a tunnel for whoever speaks next, and that was said before the answer ahead of it was heard.
    if (behind) {
      this.onBadHead('CONNECT behind a request that still waits for its answer')
      return
    }
    const early = this.#reader?.detach() ?? noBytes
    this.#connect(httpConnect(this.#rooms, this.#connection, raw, early))
  }

  /** Only of a connection on which nothing else was said, and not in tunnels. */
  onSocks(): boolean {
    const connection = this.#connection
    if (connection.start.place.kind !== 'proxy' || connection.requests > 0) return false
    const early = this.#reader?.detach() ?? noBytes
    new SocksReader(this.#rooms, connection, early, (asked) => this.#connect(asked)).start()
    return true
  }

  #connect(asked: ConnectAsked): void {
    const connection = this.#connection
    connection.requests++
    // Whoever answers from here on writes on the stream.
    connection.out.flush()
    // The tunnel has deadlines of its own.
    this.#rooms.deadlines.delete(connection)
    this.#count.begun(this)
    handleConnect(this.#rooms, connection, asked).then(
      () => this.#count.over(this),
      () => this.#failed(),
    )
  }

  onBadBody(detail: string): void {
    const { active } = this.#connection
    this.#reader?.fail(new Error(detail))
    this.#connection.poisoned = true
    if (active === null) this.#hangUp()
    else active.interrupt(deny('malformed_request', detail))
  }

  /** A head that never became a request still is an exchange: refused and recorded like any other. */
  onBadHead(detail: string): void {
    const connection = this.#connection
    if (connection.poisoned) return
    this.#reader?.stop()
    connection.poisoned = true
    connection.requests++
    const { place, stream } = connection.start
    const problem: Deny = deny('malformed_request', detail)
    const facts = beginFacts(this.#rooms, connection, 'request')
    const who = identify(this.#rooms, connection, [])
    if (who.kind === 'allow') noteSession(facts, connection, who.permit)
    if (place.kind === 'tunnel') facts.authority = place.authority
    const reply = replyTo(problem, facts)
    if (reply !== null && stream.writable) {
      connection.out.gather(textOf(reply))
      this.#hangUp()
    }
    finishFacts(this.#rooms, facts, problem, reply?.status ?? null)
  }

  onFault(): void {
    this.#connection.cut()
  }

  onDropped(): void {
    this.#connection.drained(this.#reader?.unreadBytes ?? 0)
  }

  onEnd(within: 'body' | 'head' | 'nothing'): void {
    const connection = this.#connection
    connection.ended = true
    if (within === 'body') this.onBadBody('the body ended before its framing said so')
    else if (within === 'head') this.onBadHead('the head did not end')
    // Who has asked may have said its last word, and still wait for the answer.
    else if (connection.active === null && this.#reader?.unreadBytes === 0) this.#hangUp()
  }

  #answered(): void {
    this.#count.over(this)
    const connection = this.#connection
    const reader = this.#reader
    const { stream } = connection.start
    if (stream.destroyed || reader === null) return
    if (connection.poisoned || (connection.ended && reader.unreadBytes === 0)) this.#hangUp()
    else {
      connection.finish(reader.unreadBytes)
      if (reader.withinBody) connection.drain()
      this.#whenTaken(() => reader.next())
    }
  }

  /** Whatever goes wrong in a walk ends its connection, and nothing else. */
  #failed(): void {
    this.#count.over(this)
    this.#connection.cut()
  }

  /** Says nothing more; the client may still read what it was told. */
  #hangUp(): void {
    const { stream } = this.#connection.start
    this.#reader?.stop()
    stream.resume()
    this.#connection.out.end()
    this.#rooms.deadlines.delete(this.#connection)
    this.#rooms.deadlines.lingerThenDestroy(stream, this.#connection.start.raw)
  }

  #closed(): void {
    const connection = this.#connection
    this.#rooms.deadlines.delete(connection)
    this.#reader?.fail(new Error('the client left'))
    connection.active?.leave()
    connection.closed()
  }
}

const noBytes = Buffer.alloc(0)

/** A whole answer, for where no request of the parser carries one. */
function textOf(reply: Reply): string {
  let lines = ''
  for (let i = 0; i < reply.fields.length; i += 2) lines += `${reply.fields[i]}: ${reply.fields[i + 1]}\r\n`
  const body = Buffer.from(reply.body).toString('latin1')
  return `HTTP/1.1 ${reply.status} ${reply.reason}\r\n${lines}Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`
}
