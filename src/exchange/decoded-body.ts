/**
 * A request's body without its content coding (RFC 9110 §8.4), to be judged.
 *
 * Promises: it is bounded like any body that is held, and counts as one; what does not end where the body ends, or reads in
 * two ways, is broken.
 */

import {
  type ContentCoding,
  contentCodingOf,
  createDecoder,
  createOtherDecoder,
  type Decoder,
} from './content-coding.ts'
import type { HeldBodies, Holder, NotHeld } from './held-bodies.ts'
import type { Soon } from './soon.ts'

/** `broken`: a coding that we do not undo, or that is not what it says. Null: it has none. */
export type Decoded = Buffer | Extract<NotHeld, 'no_room' | 'too_large'> | 'broken' | null

/** What is returned counts as held, and is released by whoever asked. */
export function decodeBody(
  fields: readonly string[],
  coded: Buffer,
  bodies: HeldBodies,
  holder: Holder | null = null,
): Soon<Decoded> {
  const coding = contentCodingOf(fields)
  if (coding === null || coded.length === 0) return null
  return coding === 'unknown' ? 'broken' : decode(coding, coded, bodies, holder)
}

async function decode(
  coding: ContentCoding,
  coded: Buffer,
  bodies: HeldBodies,
  holder: Holder | null,
): Promise<Decoded> {
  const decoded = await run(createDecoder(coding, coded), coded, bodies, holder)
  const other = Buffer.isBuffer(decoded) ? createOtherDecoder(coding, coded) : null
  if (!Buffer.isBuffer(decoded) || other === null) return decoded === 'trailing' ? 'broken' : decoded
  // A body can be made that is both, and says one thing to us and another to the origin.
  const again = await run(other, coded, bodies, holder)
  if (again === 'broken') return decoded
  bodies.release(decoded.length + (Buffer.isBuffer(again) ? again.length : 0), holder)
  return 'broken'
}

type Run = Buffer | 'broken' | 'no_room' | 'too_large' | 'trailing'

/** `trailing`: it ended before its bytes did. */
function run(decoder: Decoder, coded: Buffer, bodies: HeldBodies, holder: Holder | null): Promise<Run> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = []
    let bytes = 0
    const settle = (result: Run): void => {
      if (typeof result === 'string') bodies.release(bytes, holder)
      bytes = 0
      decoder.destroy()
      resolve(result)
    }
    decoder.on('data', (piece: Buffer) => {
      if (decoder.destroyed) return
      if (bodies.isTooLarge(bytes + piece.length)) settle('too_large')
      else if (!bodies.reserve(piece.length, holder)) settle('no_room')
      else {
        bytes += piece.length
        pieces.push(piece)
      }
    })
    decoder.once('end', () => settle(decoder.bytesWritten === coded.length ? Buffer.concat(pieces, bytes) : 'trailing'))
    decoder.once('error', () => settle('broken'))
    decoder.end(coded)
  })
}
