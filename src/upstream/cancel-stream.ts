/** A cut, of one stream of HTTP/2: it is gone now, what waited in its buffer too, and its connection goes on (decision 28). */

import type { Http2Stream } from 'node:http2'
import { addAbortSignal } from 'node:stream'

/** By CANCEL, which is what a reset connection is on a stream (RFC 8441 §5): no other way of Node's to end one says that alone. */
export function cancelStream(stream: Http2Stream): void {
  if (!stream.destroyed) addAbortSignal(AbortSignal.abort(), stream)
}
