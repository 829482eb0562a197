/**
 * A bucket behind the test's site that keeps what it is sent, where the signature is right: computed anew by AWS's own
 * signer from what arrived, as the service does.
 */

import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { SignatureV4 } from '@smithy/signature-v4'
import type { SiteHandler } from './local-ca-origin.ts'

export type S3StandIn = {
  readonly handler: SiteHandler
  /** Path to the object's bytes, out of their chunks. */
  readonly objects: Map<string, Buffer>
  /** What came as `x-amz-content-sha256`, of good requests. */
  readonly payloads: string[]
}

type Account = { readonly accessKeyId: string; readonly secretAccessKey: string; readonly region: string }

export function createS3StandIn(account: Account): S3StandIn {
  const objects = new Map<string, Buffer>()
  const payloads: string[] = []
  const signer = new SignatureV4({
    credentials: account,
    region: account.region,
    service: 's3',
    sha256: Sha256,
    uriEscapePath: false,
    applyChecksum: false,
  })

  async function isSigned(request: IncomingMessage): Promise<boolean> {
    const authorization = request.headers.authorization ?? ''
    const names = /SignedHeaders=([^,]+)/.exec(authorization)?.[1]?.split(';') ?? []
    const url = new URL(request.url ?? '', 'https://s3.test')
    const signed = await signer.sign(
      {
        method: request.method ?? '',
        protocol: 'https:',
        hostname: 's3.test',
        path: url.pathname,
        query: Object.fromEntries(url.searchParams),
        headers: Object.fromEntries(names.map((name) => [name, String(request.headers[name] ?? '')])),
      },
      { signingDate: dateOf(String(request.headers['x-amz-date'])) },
    )
    return signed.headers['authorization'] === authorization
  }

  return {
    objects,
    payloads,
    handler: async (request, response) => {
      const body = await buffer(request)
      if (!(await isSigned(request))) {
        response.writeHead(403, { 'content-type': 'application/xml' })
        response.end('<Error><Code>SignatureDoesNotMatch</Code><Message>not this signature</Message></Error>')
        return
      }
      payloads.push(String(request.headers['x-amz-content-sha256']))
      const { pathname } = new URL(request.url ?? '', 'https://s3.test')
      if (request.method === 'PUT') {
        const chunked = request.headers['content-encoding']?.includes('aws-chunked') ?? false
        objects.set(pathname, chunked ? unchunked(body) : body)
        response.end()
      } else {
        response.end(objects.get(pathname))
      }
    },
  }
}

/** `20261121T101112Z`. */
function dateOf(text: string): Date {
  return new Date(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
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

/** As the signer wants it: with a secret it is an HMAC. */
class Sha256 {
  readonly #secret: Uint8Array | string | undefined
  #hash: Hash | Hmac

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#secret = typeof secret === 'object' ? bytesOf(secret) : secret
    this.#hash = this.#begin()
  }

  update(data: Uint8Array | string): void {
    this.#hash.update(data)
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest())
  }

  reset(): void {
    this.#hash = this.#begin()
  }

  #begin(): Hash | Hmac {
    return this.#secret === undefined ? createHash('sha256') : createHmac('sha256', this.#secret)
  }
}

function bytesOf(data: ArrayBuffer | ArrayBufferView): Uint8Array {
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data)
}
