/**
 * Accept: SOCKS5 (RFC 1928, RFC 1929) up to its CONNECT, which then walks like any other.
 *
 * Promises: user name and password are a session's id and token and prove what they prove over HTTP; the handshake as a
 * whole has the deadline of a head, however it is cut; whatever is no CONNECT is refused and recorded; what stands behind
 * the request is the tunnel's.
 */

import { socksVoice } from '../exchange/connect-voice.ts'
import type { Connection } from '../exchange/connection.ts'
import type { ConnectAsked } from '../exchange/handle-connect.ts'
import { identify } from '../exchange/handle-request.ts'
import type { Rooms } from '../exchange/rooms.ts'
import type { Authority } from '../net/authority.ts'
import type { Fields } from '../net/fields.ts'
import {
  basicOf,
  credentialsAccepted,
  credentialsRefused,
  methodChosen,
  noAcceptableMethod,
  parseSocksCredentials,
  parseSocksGreeting,
  parseSocksRequest,
  type SocksCredentials,
  socksMethods,
  type SocksRead,
  socksReply,
} from '../net/socks.ts'
import { type Decision, type Deny, deny } from '../policy/decision.ts'
import type { LiveSession } from '../sessions/session.ts'

type Phase = 'credentials' | 'greeting' | 'request'

/** What a client is told whose message does not come. */
const unfinished: Readonly<Record<Phase, Buffer>> = {
  greeting: noAcceptableMethod,
  credentials: credentialsRefused,
  request: socksReply('generalFailure'),
}

export class SocksReader {
  readonly #rooms: Rooms
  readonly #connection: Connection
  readonly #connect: (asked: ConnectAsked) => void
  #unread: Buffer
  #phase: Phase = 'greeting'
  /** The credentials, as HTTP would bring them. */
  #fields: Fields = []
  #over = false
  readonly #onData = (bytes: Buffer): void => this.#receive(bytes)
  readonly #onEnd = (): void => this.#unfinished('the SOCKS handshake did not end')

  /** `early` was read from the stream before. `connect` is handed the one CONNECT, or why there is none. */
  constructor(rooms: Rooms, connection: Connection, early: Buffer, connect: (asked: ConnectAsked) => void) {
    this.#rooms = rooms
    this.#connection = connection
    this.#unread = early
    this.#connect = connect
  }

  start(): void {
    const { stream } = this.#connection.start
    this.#connection.onHeadTimeout = () => this.#unfinished('the SOCKS handshake did not end in time')
    stream.on('data', this.#onData)
    stream.once('end', this.#onEnd)
    stream.resume()
    this.#advance()
  }

  #receive(bytes: Buffer): void {
    this.#unread = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes])
    this.#advance()
  }

  #advance(): void {
    try {
      while (!this.#over && this.#step());
    } catch (error) {
      // A bug ends its connection and nothing else, and is recorded as one.
      this.#end(() => {
        throw error
      }, unfinished[this.#phase])
    }
  }

  #step(): boolean {
    switch (this.#phase) {
      case 'greeting':
        return this.#take(parseSocksGreeting(this.#unread), (methods) => this.#chooseMethod(methods))
      case 'credentials':
        return this.#take(parseSocksCredentials(this.#unread), (credentials) => this.#prove(credentials))
      case 'request':
        return this.#take(parseSocksRequest(this.#unread), (authority) => this.#end(() => authority))
    }
  }

  #take<Value>(read: SocksRead<Value>, use: (value: Value) => void): boolean {
    switch (read.kind) {
      case 'more':
        return false
      case 'problem':
        this.#refuse(deny('malformed_request', read.detail), read.reply)
        return false
      case 'value':
        this.#unread = read.length < this.#unread.length ? this.#unread.subarray(read.length) : noBytes
        use(read.value)
        return true
    }
  }

  /** Credentials come before the source address (decision 5), so who offers them is asked for them. */
  #chooseMethod(offered: readonly number[]): void {
    const { listenerSession, stream } = this.#connection.start
    const bare = offered.includes(socksMethods.none)
    if (offered.includes(socksMethods.credentials) && !(bare && listenerSession !== null)) {
      this.#phase = 'credentials'
      stream.write(methodChosen('credentials'))
    } else if (bare) this.#admit(methodChosen('none'), noAcceptableMethod)
    else this.#refuse(deny('malformed_request', 'no authentication method that is known here'), noAcceptableMethod)
  }

  /** Who is asked and has no credentials says so with an empty password, which no session has. */
  #prove(credentials: SocksCredentials): void {
    if (credentials.password !== '') this.#fields = ['Proxy-Authorization', basicOf(credentials)]
    this.#admit(credentialsAccepted, credentialsRefused)
  }

  #admit(yes: Buffer, no: Buffer): void {
    const connection = this.#connection
    const who = this.#identify()
    if (who.kind === 'deny') {
      this.#refuse(who, no, () => who)
      return
    }
    connection.carry(who.permit)
    this.#phase = 'request'
    connection.start.stream.write(yes)
  }

  #identify(): Decision<LiveSession> {
    return identify(this.#rooms, this.#connection, this.#fields)
  }

  #unfinished(detail: string): void {
    if (!this.#over) this.#refuse(deny('malformed_request', detail), unfinished[this.#phase])
  }

  #refuse(refusal: Deny, says: Buffer, who?: () => Decision<LiveSession>): void {
    this.#end(() => refusal, says, who)
  }

  /** What began as SOCKS ends as a CONNECT, whatever came of it. */
  #end(authority: () => Authority | Deny, says: Buffer | null = null, who = () => this.#identify()): void {
    const { stream } = this.#connection.start
    this.#over = true
    stream.removeListener('data', this.#onData)
    stream.removeListener('end', this.#onEnd)
    stream.pause()
    const early = this.#unread
    // What has been read must not live as long as the tunnel.
    this.#unread = noBytes
    this.#connect({ authority, who, userAgent: null, early, voice: socksVoice(says) })
  }
}

const noBytes = Buffer.alloc(0)
