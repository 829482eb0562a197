/**
 * A stream of HTTP/2 that an origin has taken out of HTTP (RFC 8441 §5): from here on bytes, as of a connection.
 *
 * Promises: only what the origin has ended ends; what broke off, by a reset of whatever code or with its connection,
 * closes without an end. A reset of ours is of this stream alone.
 */

import type { ClientHttp2Stream } from 'node:http2'
import { parseInterimHead, type CookieRule, type ResponseHead } from '../net/response-head.ts'
import { cancelStream } from './cancel-stream.ts'
import type { OriginEnd, Upgrade } from './forward-request.ts'

/** A yes, as HTTP/1.1 would have said it; a text: what is wrong with it. `ended`: nothing follows it. */
export function readYes(
  upgrade: Upgrade,
  regular: readonly string[],
  cookies: CookieRule,
  ended: boolean,
): ResponseHead | string {
  if (ended) return 'a yes that is the end of its stream'
  const proven = upgrade.proven(regular)
  const head = parseInterimHead(101, 'Switching Protocols', proven, cookies)
  return upgrade.problem(proven) ?? head ?? 'a yes in a coding of its own'
}

export function leaveHttp(stream: ClientHttp2Stream): OriginEnd {
  const push = stream.push.bind(stream)
  let whole = false
  // To its reader a stream that was reset, or lost its connection, ends like any other: the library says so here.
  stream.push = (piece: unknown, encoding?: BufferEncoding): boolean => {
    if (piece !== null) return push(piece, encoding)
    whole ||= !stream.closed && !stream.destroyed
    if (whole) return push(null)
    // The library is in the middle of closing it, and stumbles over one that is gone by then.
    setImmediate(() => cancelStream(stream))
    return false
  }
  stream.on('error', ignore)
  return { stream, reset: () => cancelStream(stream) }
}

/** The close that follows says it; without a listener the process would end. */
function ignore(): void {}
