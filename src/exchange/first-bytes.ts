/**
 * What a tunnel carries, told by its first bytes.
 *
 * Promises: TLS, HTTP or a refusal; nothing is guessed and nothing is consumed. SSH, SMTP, Redis and whatever else
 * speaks in letters is not HTTP because a line begins with one.
 */

import type net from 'node:net'
import { knownMethods } from '../net/request-head.ts'
import { type ClientHello, readClientHello } from '../tls/client-hello.ts'

export type FirstBytes =
  | { readonly kind: 'tls'; readonly bytes: Buffer; readonly serverName: string | null }
  | { readonly kind: 'http'; readonly bytes: Buffer }
  | { readonly kind: 'opaque'; readonly detail: string }
  | { readonly kind: 'gone' }

/** Methods that get an HTTP answer, if only a refusal; `PRI` is HTTP/2 without TLS, which the HTTP parser refuses. */
const httpTokens: ReadonlySet<string> = new Set([...knownMethods, 'CONNECT', 'PRI', 'TRACE'])
const longestToken = Math.max(...[...httpTokens].map((token) => token.length))

/** Pure: what the bytes so far say; null when more must come. */
export function classifyFirstBytes(bytes: Buffer): FirstBytes | null {
  const first = bytes[0]
  if (first === undefined) return null
  if (first === 0x16) return classifyHello(bytes, readClientHello(bytes))
  const space = bytes.indexOf(0x20)
  const token = bytes.toString('latin1', 0, space < 0 ? Math.min(bytes.length, longestToken + 1) : space)
  const couldBe = [...httpTokens].some((known) => (space < 0 ? known.startsWith(token) : known === token))
  if (!couldBe) return { kind: 'opaque', detail: 'neither a TLS record nor an HTTP method' }
  return space < 0 ? null : { kind: 'http', bytes }
}

/** Reads until it is told; leaves the socket paused with nothing lost. `early` came in the same packets as the CONNECT. */
export function readFirstBytes(socket: net.Socket, early: Buffer, timeoutMs: number): Promise<FirstBytes> {
  return new Promise((resolve) => {
    let bytes = early
    const finish = (result: FirstBytes): void => {
      clearTimeout(timer)
      socket.pause()
      socket.removeListener('data', onData)
      socket.removeListener('end', onGone)
      socket.removeListener('close', onGone)
      resolve(result)
    }
    const timer = setTimeout(() => {
      finish({ kind: 'opaque', detail: bytes.length === 0 ? 'silence' : 'the first message did not end in time' })
    }, timeoutMs)
    const look = (): void => {
      const found = classifyFirstBytes(bytes)
      if (found !== null) finish(found)
    }
    const onData = (chunk: Buffer): void => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
      look()
    }
    const onGone = (): void => finish({ kind: 'gone' })
    socket.on('data', onData)
    socket.once('end', onGone)
    socket.once('close', onGone)
    // Whoever read the head left it paused.
    socket.resume()
    look()
  })
}

function classifyHello(bytes: Buffer, hello: ClientHello): FirstBytes | null {
  switch (hello.kind) {
    case 'more':
      return null
    case 'hello':
      return { kind: 'tls', bytes, serverName: hello.serverName }
    case 'not_tls':
      return { kind: 'opaque', detail: hello.detail }
  }
}
