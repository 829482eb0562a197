/**
 * AWS Signature Version 4, as published: canonical request, string to sign, signature; of chunks and trailers too. Pure.
 *
 * Promises: the values of AWS's own test suite come out (test/unit/credentials/aws-signature.test.ts).
 */

import { createHash, createHmac } from 'node:crypto'
import { fieldValues } from '../net/fields.ts'
import type { OutboundHead } from '../net/outbound-head.ts'

export type AwsSigning = {
  readonly secretKey: string
  /** `20261121T120000Z`. */
  readonly time: string
  readonly region: string
  readonly service: string
  /** Lower case, sorted. */
  readonly signedHeaders: readonly string[]
  /** The hash of the body in hex, or one of the words that stand in for it. */
  readonly payloadHash: string
}

export const emptyHash = sha256('')

export function awsSignature(head: OutboundHead, signing: AwsSigning): string {
  const key = awsKey(signing)
  const request = sha256(canonicalRequest(head, signing))
  return hmac(key.key, ['AWS4-HMAC-SHA256', key.time, key.scope, request].join('\n')).toString('hex')
}

/** What all signatures of one request are made with. */
export type AwsKey = {
  readonly key: Buffer | string
  readonly time: string
  /** `20261121/eu-central-1/s3/aws4_request`. */
  readonly scope: string
}

export function awsKey({
  secretKey,
  time,
  region,
  service,
}: Pick<AwsSigning, 'region' | 'secretKey' | 'service' | 'time'>): AwsKey {
  const parts = [time.slice(0, 8), region, service, 'aws4_request']
  return { key: parts.reduce<Buffer | string>(hmac, `AWS4${secretKey}`), time, scope: parts.join('/') }
}

/** `before`: the signature of the chunk ahead, or of the head. */
export function awsChunkSignature({ key, time, scope }: AwsKey, before: string, data: Buffer): string {
  const lines = ['AWS4-HMAC-SHA256-PAYLOAD', time, scope, before, emptyHash, sha256(data)]
  return hmac(key, lines.join('\n')).toString('hex')
}

/** `trailers`: `name:value` and a line feed for each, sorted. */
export function awsTrailerSignature({ key, time, scope }: AwsKey, before: string, trailers: string): string {
  return hmac(key, ['AWS4-HMAC-SHA256-TRAILER', time, scope, before, sha256(trailers)].join('\n')).toString('hex')
}

function canonicalRequest(head: OutboundHead, { service, signedHeaders, payloadHash }: AwsSigning): string {
  const question = head.target.indexOf('?')
  const path = question < 0 ? head.target : head.target.slice(0, question)
  const query = question < 0 ? '' : head.target.slice(question + 1)
  const headers = signedHeaders.map((name) => `${name}:${canonicalValue(head, name)}\n`).join('')
  return [
    head.method,
    // S3 alone names objects by what the path decodes to; elsewhere the path as sent is encoded once more.
    encoded(service === 's3' ? decoded(path) : path, true),
    canonicalQuery(query),
    headers,
    signedHeaders.join(';'),
    payloadHash,
  ].join('\n')
}

function canonicalValue(head: OutboundHead, name: string): string {
  const values = name === 'host' ? [head.host] : fieldValues(head.fields, name)
  return values.map((value) => value.replace(/^ +| +$/g, '').replace(/ +/g, ' ')).join(',')
}

function canonicalQuery(query: string): string {
  const pairs = query.split('&').filter((pair) => pair !== '')
  return pairs
    .map((pair) => {
      const equals = pair.indexOf('=')
      const [name, value] = equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
      const plain = (text: string): string => encoded(decoded(text.replaceAll('+', ' ')), false)
      return [plain(name), plain(value)] as const
    })
    .sort(([a, x], [b, y]) => (a === b ? compare(x, y) : compare(a, b)))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** A byte for each character. */
function decoded(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

function encoded(text: string, withSlashes: boolean): string {
  const escape = (letter: string): string => `%${letter.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
  return text.replace(withSlashes ? /[^A-Za-z0-9._~/-]/g : /[^A-Za-z0-9._~-]/g, escape)
}

export function sha256(data: Buffer | string): string {
  return createHash('sha256')
    .update(typeof data === 'string' ? Buffer.from(data, 'latin1') : data)
    .digest('hex')
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'latin1').digest()
}
