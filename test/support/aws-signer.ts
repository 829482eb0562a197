/** AWS's own signer, and what holds a request that arrived against it, as a service does. */

import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { SignatureV4 } from '@smithy/signature-v4'

export type Account = { readonly accessKeyId: string; readonly secretAccessKey: string; readonly region: string }

export function createSigner(account: Account, service: string): SignatureV4 {
  const s3 = service === 's3'
  const { region } = account
  return new SignatureV4({
    credentials: account,
    region,
    service,
    sha256: Sha256,
    uriEscapePath: !s3,
    applyChecksum: false,
  })
}

/** Whether the signature is the one of the request, with its body where the head says nothing of that. */
export function createSignatureCheck(account: Account, service: string) {
  const signer = createSigner(account, service)
  return async (request: IncomingMessage, body: Buffer): Promise<boolean> => {
    const authorization = request.headers.authorization ?? ''
    const names = /SignedHeaders=([^,]+)/.exec(authorization)?.[1]?.split(';') ?? []
    const url = new URL(request.url ?? '', 'https://aws.test')
    const signed = await signer.sign(
      {
        method: request.method ?? '',
        protocol: 'https:',
        hostname: 'aws.test',
        path: url.pathname,
        query: Object.fromEntries(url.searchParams),
        headers: Object.fromEntries(names.map((name) => [name, String(request.headers[name] ?? '')])),
        body,
      },
      { signingDate: dateOf(String(request.headers['x-amz-date'])) },
    )
    return signed.headers['authorization'] === authorization
  }
}

/** `20261121T101112Z`. */
function dateOf(text: string): Date {
  return new Date(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
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
