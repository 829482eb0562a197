/**
 * Placeholders: the worthless value a sandbox holds in place of a secret, in the shape that its tools look for.
 *
 * Promises: the same session and credential always get the same one, on every replica that has the key; another session
 * gets another; at least 96 of its bits cannot be guessed from outside.
 */

import { createHmac } from 'node:crypto'

/** Fixed text, or a number of base62 characters to make. */
export type PlaceholderShape = readonly (number | string)[]

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const bitsMin = 96
const bitsEach = Math.log2(base62.length)
const lengthMax = 1024

/** `sk-ant-api03-{95}AA`, or a sentence that says what is wrong with it. */
export function parsePlaceholderShape(like: string): PlaceholderShape | string {
  // What a shell, a .env file and a header all take without quoting, so that it arrives as it was made.
  if (!/^[A-Za-z0-9._~+/=:@{}-]+$/.test(like)) return 'has characters that a shell or a header would not leave alone'
  const shape = like.split(/(\{\d{1,4}\})/).flatMap((piece): PlaceholderShape => {
    const count = /^\{(\d+)\}$/.exec(piece)?.[1]
    return count === undefined ? (piece === '' ? [] : [piece]) : [Number(count)]
  })
  if (shape.some((piece) => typeof piece === 'string' && /[{}]/.test(piece))) return 'has a brace that is not {n}'
  const made = shape.reduce<number>((sum, piece) => sum + (typeof piece === 'number' ? piece : 0), 0)
  if (made * bitsEach < bitsMin) return `makes fewer than ${Math.ceil(bitsMin / bitsEach)} characters`
  return made > lengthMax ? `makes more than ${lengthMax} characters` : shape
}

export function makePlaceholder(shape: PlaceholderShape, key: Buffer, sessionId: string, credential: string): string {
  const next = letters(key, JSON.stringify(['placeholder', sessionId, credential]))
  return shape
    .map((piece) => (typeof piece === 'string' ? piece : Array.from({ length: piece }, next).join('')))
    .join('')
}

/** HMAC-SHA256 in counter mode. Bytes beyond the last whole 62 are skipped, so every letter is as likely as the others. */
function letters(key: Buffer, label: string): () => string {
  let counter = 0
  let block = Buffer.alloc(0)
  let at = 0
  return () => {
    for (;;) {
      if (at === block.length) {
        block = createHmac('sha256', key).update(`${label}${counter++}`).digest()
        at = 0
      }
      const byte = block[at++] ?? 255
      if (byte < 4 * base62.length) return base62.charAt(byte % base62.length)
    }
  }
}
