/**
 * A bucket behind the test's site that keeps what it is sent, where the signature is right, and those of all chunks.
 */

import { buffer } from 'node:stream/consumers'
import { readChunked } from './aws-chunked.ts'
import { type Account, createSignatureCheck } from './aws-signer.ts'
import type { SiteHandler } from './local-ca-origin.ts'

export type S3StandIn = {
  readonly handler: SiteHandler
  /** Path to the object's bytes, out of their chunks. */
  readonly objects: Map<string, Buffer>
  /** What came as `x-amz-content-sha256`, of good requests. */
  readonly payloads: string[]
}

export function createS3StandIn(account: Account): S3StandIn {
  const objects = new Map<string, Buffer>()
  const payloads: string[] = []
  const isSigned = createSignatureCheck(account, 's3')
  return {
    objects,
    payloads,
    handler: async (request, response) => {
      const body = await buffer(request).catch(() => null)
      if (body === null) return
      const payload = String(request.headers['x-amz-content-sha256'])
      const time = String(request.headers['x-amz-date'])
      const seed = request.headers.authorization?.slice(-64) ?? ''
      const inChunks = payload.startsWith('STREAMING-AWS4') ? readChunked({ ...account, time }, seed, body) : null
      if (!(await isSigned(request, body)) || typeof inChunks === 'string') {
        response.writeHead(403, { 'content-type': 'application/xml' })
        response.end('<Error><Code>SignatureDoesNotMatch</Code><Message>not this signature</Message></Error>')
        return
      }
      payloads.push(payload)
      const { pathname } = new URL(request.url ?? '', 'https://s3.test')
      if (request.method === 'PUT') {
        const chunked = request.headers['content-encoding']?.includes('aws-chunked') ?? false
        objects.set(pathname, inChunks ?? (chunked ? unchunked(body) : body))
        response.end()
      } else {
        response.end(objects.get(pathname))
      }
    },
  }
}

function unchunked(body: Buffer): Buffer {
  const pieces: Buffer[] = []
  for (let at = 0; ; ) {
    const lineEnd = body.indexOf('\r\n', at)
    const length = Number.parseInt(body.toString('latin1', at, lineEnd), 16)
    if (!(length > 0)) return Buffer.concat(pieces)
    pieces.push(body.subarray(lineEnd + 2, lineEnd + 2 + length))
    at = lineEnd + 2 + length + 2
  }
}
