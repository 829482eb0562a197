/**
 * Open, intercepted: the client's TLS ends here, and each request inside walks the rooms on its own.
 *
 * Promises: the server name must equal the host of the CONNECT; a client that says otherwise, or whose CONNECT was denied,
 * finishes its handshake with a leaf for that host and is refused inside, where it can read why.
 */

import type net from 'node:net'
import type { Authority, Scheme } from '../net/authority.ts'
import { parseHost } from '../net/host.ts'
import { type Deny, deny } from '../policy/decision.ts'
import type { LiveSession } from '../sessions/session.ts'
import { resetSocket } from '../upstream/reset-socket.ts'
import { Connection } from './connection.ts'
import { type FirstBytes, readFirstBytes } from './first-bytes.ts'
import type { Connect, Opened } from './handle-connect.ts'
import { finishFacts } from './handle-request.ts'
import type { Rooms } from './rooms.ts'

export async function openIntercepted(
  rooms: Rooms,
  connect: Connect,
  live: LiveSession,
  authority: Authority,
  refusal: Deny | null,
): Promise<Opened> {
  const { socket } = connect
  socket.write(connect.voice.established)
  const first = await readFirstBytes(socket, connect.early, rooms.limits.firstBytesMs)
  return first.kind === 'tls'
    ? openTls(rooms, connect, live, authority, refusal, first)
    : openPlain(rooms, connect, live, authority, refusal, first)
}

/** Not TLS: HTTP walks the same rooms as `http`, the rest ends here. */
export function openPlain(
  rooms: Rooms,
  connect: Connect,
  live: LiveSession,
  authority: Authority,
  refusal: Deny | null,
  first: Exclude<FirstBytes, { kind: 'tls' }>,
): Opened {
  const { socket } = connect
  switch (first.kind) {
    case 'gone':
      socket.destroy()
      return told(refusal ?? { kind: 'abandoned', detail: 'the client left before its first byte' })
    case 'opaque':
      resetSocket(connect.connection.start.raw)
      return told(refusal ?? deny('opaque_tunnel', first.detail))
    case 'http':
      serveInside(
        rooms,
        connect,
        live,
        { stream: socket, protocol: 'http/1.1', scheme: 'http', authority, refusal },
        first.bytes,
      )
      return told(null)
  }
}

async function openTls(
  rooms: Rooms,
  connect: Connect,
  live: LiveSession,
  authority: Authority,
  refusal: Deny | null,
  first: Extract<FirstBytes, { kind: 'tls' }>,
): Promise<Opened> {
  const mismatch = refusal ?? judgeServerName(first.serverName, authority)
  const turn = rooms.handshakes.enter(live)
  if (!(turn instanceof Promise ? await turn : turn)) {
    resetSocket(connect.socket)
    return told(mismatch ?? deny('overloaded', 'its handshake waited too long behind others of the session'))
  }
  const opened = await rooms
    .intercept(connect.socket, first.bytes, authority.host, refusal === null ? 'allowed' : 'denied')
    .finally(() => rooms.handshakes.leave(live))
  if (opened.kind !== 'open') {
    const rejected = opened.kind === 'failed' && opened.clientRejected
    if (rejected) rooms.trust.learn(live.id, connect.userAgent, 'rejects')
    resetSocket(connect.connection.start.raw)
    const detail = opened.kind === 'failed' ? opened.detail : 'too many certificates for refused names'
    return told(mismatch ?? { kind: 'abandoned', detail: `TLS with the client: ${detail}` })
  }
  // The hello was read by us, the handshake by OpenSSL: they must have seen the same name.
  const differs =
    opened.serverName === first.serverName ? null : deny('authority_mismatch', 'the handshake saw another server name')
  serveInside(
    rooms,
    connect,
    live,
    { stream: opened.socket, protocol: opened.protocol, scheme: 'https', authority, refusal: mismatch ?? differs },
    Buffer.alloc(0),
  )
  return told(null)
}

/** An absent name is a mismatch for a name, and right for an address (RFC 6066 §3: a server name is never an address). */
export function judgeServerName(serverName: string | null, authority: Authority): Deny | null {
  if (serverName === null)
    return authority.host.ip === null ? deny('authority_mismatch', 'no server name in the ClientHello') : null
  const host = serverName.endsWith('.') ? null : parseHost(serverName)
  return host !== null && host.ip === null && host.name === authority.host.name
    ? null
    : deny(
        'authority_mismatch',
        `server name ${JSON.stringify(serverName.slice(0, 300))}, CONNECT to ${authority.text}`,
      )
}

type Inside = {
  readonly stream: net.Socket
  readonly protocol: 'h2' | 'http/1.1'
  readonly scheme: Scheme
  readonly authority: Authority
  readonly refusal: Deny | null
}

function serveInside(rooms: Rooms, connect: Connect, live: LiveSession, inside: Inside, early: Buffer): void {
  const { listener, client, limits, raw } = connect.connection.start
  connect.connection.handOver(live)
  const connection = new Connection({
    listener,
    client,
    peer: null,
    listenerSession: null,
    raw,
    stream: inside.stream,
    place: { kind: 'tunnel', scheme: inside.scheme, authority: inside.authority },
    bound: live,
    refusal: inside.refusal,
    userAgent: connect.userAgent,
    limits,
  })
  const onClose = (): void => {
    connection.closed()
    // Each request inside is an exchange of its own; a tunnel without any still ended somehow.
    const silent = connection.requests === 0
    // Whoever speaks under our leaf took it, though it may have had nothing to ask.
    if (silent && inside.scheme === 'https' && inside.stream.bytesRead === 0)
      rooms.trust.learn(live.id, connect.userAgent, 'rejects')
    if (silent)
      finishFacts(
        rooms,
        connect.facts,
        inside.refusal ?? { kind: 'abandoned', detail: 'the client left without a request' },
        200,
      )
  }
  if (raw.closed) onClose()
  else raw.once('close', onClose)
  if (inside.protocol === 'h2') rooms.serveH2(connection)
  else rooms.serve(connection, early)
}

function told(outcome: Extract<Opened, { kind: 'told' }>['outcome']): Opened {
  return { kind: 'told', outcome, status: 200 }
}
