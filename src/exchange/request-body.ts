/**
 * A client's request body as a stream that may be given up without giving up the client.
 *
 * Promises: an origin that answers before the upload ends takes its connection away, not the client's; a body that ends
 * before its framing says so is an error, never an end; nothing is buffered beyond the stream's own mark.
 */

import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'

export function requestBody(request: IncomingMessage): Readable {
  const body = new Readable({
    highWaterMark: request.readableHighWaterMark,
    read: () => void request.resume(),
    destroy: (error, done) => {
      request.removeListener('data', onData)
      request.removeListener('end', onEnd)
      // What the client still sends is read and dropped: its answer is on the way.
      request.resume()
      done(error)
    },
  })
  const onData = (chunk: Buffer): void => {
    if (!body.push(chunk)) request.pause()
  }
  const onEnd = (): void => void body.push(null)
  // Whoever reads it hears of it; once nobody does, an error would end the process.
  body.on('error', ignore)
  request.on('data', onData)
  request.once('end', onEnd)
  request.once('close', () => {
    if (!request.complete) body.destroy(new Error('the client left within its body'))
  })
  return body
}

function ignore(): void {}
