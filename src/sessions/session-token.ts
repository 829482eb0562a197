/**
 * Names and proofs of sessions. Ids are public, tokens are not.
 *
 * Promises: a token is 256 random bits in characters that need no escaping in a URL, and is kept only as its SHA-256;
 * comparing takes the same time whether the session is unknown, has no token or the token is wrong (SES-02).
 */

import { createHash, timingSafeEqual } from 'node:crypto'

export type Random = (bytes: number) => Buffer

const base32 = 'abcdefghijklmnopqrstuvwxyz234567'

/** `s-` and 60 random bits. */
export function mintSessionId(random: Random): string {
  return `s-${Array.from(random(12), (byte) => base32.charAt(byte & 31)).join('')}`
}

export function mintToken(random: Random): string {
  return random(32).toString('base64url')
}

export function hashToken(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest()
}

/** No token has this hash: it stands in where there is none, so that the same work is done. */
const noHash = Buffer.alloc(32)

export function isTokenOf(hash: Buffer | null, token: string): boolean {
  const equal = timingSafeEqual(hash ?? noHash, hashToken(token))
  return equal && hash !== null
}
