/**
 * Undoes the content coding of an answer, so that it can be searched, and of a request's body, to be judged (RFC 9110 §8.4).
 *
 * Promises: memory is bounded by the windows that HTTP allows; what unpacks beyond all measure is given up.
 */

import type { Transform } from 'node:stream'
import zlib from 'node:zlib'
import { fieldValues, listTokens } from '../net/fields.ts'

export type ContentCoding = 'br' | 'deflate' | 'gzip' | 'zstd'

const codings: ReadonlyMap<string, ContentCoding> = new Map([
  ['br', 'br'],
  ['deflate', 'deflate'],
  ['gzip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['zstd', 'zstd'],
])

/** Null: none. `unknown` is what we cannot undo, several on top of each other among it. */
export function contentCodingOf(fields: readonly string[]): ContentCoding | 'unknown' | null {
  const named = fieldValues(fields, 'content-encoding')
    .flatMap(listTokens)
    .filter((token) => token !== '' && token !== 'identity')
  const [first, second] = named
  if (first === undefined) return null
  return second === undefined ? (codings.get(first) ?? 'unknown') : 'unknown'
}

/** RFC 9659: 8 MiB is the most that a zstd content may ask a receiver to keep. */
const zstdWindowLogMax = 23

/** `bytesWritten`: those that it took in, which are fewer than it was given where its data ended before them. */
export type Decoder = Transform & { readonly bytesWritten: number }

export function createDecoder(coding: ContentCoding, first: Buffer): Decoder {
  switch (coding) {
    case 'br':
      return zlib.createBrotliDecompress()
    case 'deflate':
      // Some servers leave out the zlib header that RFC 9110 §8.4.1.2 asks for.
      return hasZlibHeader(first) ? zlib.createInflate() : zlib.createInflateRaw()
    case 'gzip':
      return zlib.createGunzip()
    case 'zstd':
      return zlib.createZstdDecompress({ params: { [zlib.constants.ZSTD_d_windowLogMax]: zstdWindowLogMax } })
  }
}

function hasZlibHeader(first: Buffer): boolean {
  return ((first[0] ?? 0) & 0x0f) === 8
}

/** How somebody else may read what we read with its zlib header; null: not at all. */
export function createOtherDecoder(coding: ContentCoding, first: Buffer): Decoder | null {
  return coding === 'deflate' && hasZlibHeader(first) ? zlib.createInflateRaw() : null
}

/** Text of one letter, packed, may well come to a hundred times its size; a bomb comes to thousands. */
const ratioMax = 250
const ratioFromBytes = 32 * 1024 * 1024

export function isBomb(codedBytes: number, decodedBytes: number): boolean {
  return decodedBytes > ratioFromBytes && decodedBytes > codedBytes * ratioMax
}
