/**
 * `aws-chunked` bodies with signed chunks, made and read back as S3's manual says: the client's side and the service's.
 */

import { createHash, createHmac } from 'node:crypto'

export type ChunkSigning = {
  readonly secretAccessKey: string
  /** `20130524T000000Z`. */
  readonly time: string
  readonly region: string
}

type Trailers = readonly (readonly [name: string, value: string])[]

/** The last chunk is added. `trailers` null: nothing stands behind it. */
export function chunkedBody(signing: ChunkSigning, seed: string, data: readonly Buffer[], trailers: Trailers | null) {
  const pieces: Buffer[] = []
  let before = seed
  for (const chunk of [...data, Buffer.alloc(0)]) {
    before = chunkSignature(signing, before, chunk)
    pieces.push(Buffer.from(`${chunk.length.toString(16)};chunk-signature=${before}\r\n`), chunk)
    if (chunk.length > 0) pieces.push(Buffer.from('\r\n'))
  }
  if (trailers !== null) {
    for (const [name, value] of trailers) pieces.push(Buffer.from(`${name}:${value}\r\n`))
    pieces.push(Buffer.from(`x-amz-trailer-signature:${trailerSignature(signing, before, trailers)}\r\n`))
  }
  return Buffer.concat([...pieces, Buffer.from('\r\n')])
}

/** What the chunks hold; or which signature is not right. */
export function readChunked(signing: ChunkSigning, seed: string, body: Buffer): Buffer | string {
  const data: Buffer[] = []
  let before = seed
  for (let at = 0; ; ) {
    const lineEnd = body.indexOf('\r\n', at)
    const [, size = '', signature] =
      /^([0-9a-f]+);chunk-signature=(.*)$/i.exec(body.toString('latin1', at, lineEnd)) ?? []
    const length = Number.parseInt(size, 16)
    const chunk = body.subarray(lineEnd + 2, lineEnd + 2 + length)
    const expected = chunkSignature(signing, before, chunk)
    if (signature !== expected) return `chunk at ${at}`
    before = expected
    at = lineEnd + 2 + length + 2
    if (length > 0) data.push(chunk)
    else return readTrailers(signing, before, body.toString('latin1', lineEnd + 2)) ?? Buffer.concat(data)
  }
}

function readTrailers(signing: ChunkSigning, before: string, text: string): string | null {
  if (text === '\r\n') return null
  const lines = text.split('\r\n')
  const signature = lines.find((line) => line.startsWith('x-amz-trailer-signature:'))?.split(':')[1]
  const trailers = lines
    .filter((line) => line !== '' && !line.startsWith('x-amz-trailer-signature'))
    .map((line) => [line.split(':')[0] ?? '', line.slice(line.indexOf(':') + 1)] as const)
  return signature === trailerSignature(signing, before, trailers) ? null : 'trailers'
}

function chunkSignature(signing: ChunkSigning, before: string, data: Buffer): string {
  return sign(signing, ['AWS4-HMAC-SHA256-PAYLOAD', before, sha256(''), sha256(data)])
}

function trailerSignature(signing: ChunkSigning, before: string, trailers: Trailers): string {
  const lines = trailers.map(([name, value]) => `${name.toLowerCase()}:${value.trim()}\n`).sort()
  return sign(signing, ['AWS4-HMAC-SHA256-TRAILER', before, sha256(lines.join(''))])
}

function sign({ secretAccessKey, time, region }: ChunkSigning, [algorithm = '', ...rest]: readonly string[]): string {
  const date = time.slice(0, 8)
  const key = hmac(hmac(hmac(hmac(`AWS4${secretAccessKey}`, date), region), 's3'), 'aws4_request')
  return hmac(key, [algorithm, time, `${date}/${region}/s3/aws4_request`, ...rest].join('\n')).toString('hex')
}

function sha256(data: Buffer | string): string {
  return createHash('sha256').update(data).digest('hex')
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
