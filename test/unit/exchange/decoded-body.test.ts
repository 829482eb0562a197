import zlib from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { decodeBody } from '../../../src/exchange/decoded-body.ts'
import { HeldBodies } from '../../../src/exchange/held-bodies.ts'

const text = Buffer.from(JSON.stringify({ a: 'some text '.repeat(1000) }))
const bodies = (bodyBytesMax = 200_000, allBytesMax = 400_000) =>
  new HeldBodies({ bodyBytesMax, allBytesMax, timeoutMs: 1000 })
const of = (coding: string): string[] => ['Content-Type', 'application/json', 'Content-Encoding', coding]

/** A block of deflate that holds bytes as they are (RFC 1951 §3.2.4), behind its three bits. */
function stored(bytes: Buffer): Buffer {
  const size = Buffer.alloc(4)
  size.writeUInt16LE(bytes.length, 0)
  size.writeUInt16LE(bytes.length ^ 0xffff, 2)
  return Buffer.concat([size, bytes])
}

/** A zlib stream of 65534 bytes with `inner` in them, which without its header is another stream, that says `other`. */
function ambiguous(inner: Buffer, other: Buffer): Buffer {
  const wrapped = Buffer.alloc(0xfffe, 0x20)
  Buffer.concat([stored(other), Buffer.from([1]), stored(Buffer.alloc(0))]).copy(wrapped, 0)
  inner.copy(wrapped, wrapped.length - inner.length)
  const adler = Buffer.alloc(4)
  adler.writeUInt32BE(adler32(wrapped))
  // 0x78 is a block that is stored, and 0x01 with what follows its length, where nobody knows of a header.
  const blocks = Buffer.concat([Buffer.from([0x00]), stored(wrapped), Buffer.from([1]), stored(Buffer.alloc(0))])
  return Buffer.concat([Buffer.from([0x78, 0x01]), blocks, adler])
}

function adler32(bytes: Buffer): number {
  let [low, high] = [1, 0]
  for (const byte of bytes) {
    low = (low + byte) % 65521
    high = (high + low) % 65521
  }
  return high * 65536 + low
}

describe('a body in a content coding', () => {
  it.each<readonly [coding: string, coded: Buffer]>([
    ['gzip', zlib.gzipSync(text)],
    ['X-GZIP', zlib.gzipSync(text)],
    ['deflate', zlib.deflateSync(text)],
    ['deflate', zlib.deflateRawSync(text)],
    ['br', zlib.brotliCompressSync(text)],
    ['identity, zstd', zlib.zstdCompressSync(text)],
  ])('is read and counted: %s', async (coding, coded) => {
    const held = bodies()
    expect(await decodeBody(of(coding), coded, held)).toEqual(text)
    expect(held.bytes).toBe(text.length)
  })

  it('is none where there is no coding, or no body', () => {
    expect(decodeBody(['Content-Type', 'text/plain'], text, bodies())).toBeNull()
    expect(decodeBody(of('identity'), text, bodies())).toBeNull()
    expect(decodeBody(of('gzip'), Buffer.alloc(0), bodies())).toBeNull()
  })

  it.each<readonly [what: string, coding: string, coded: Buffer]>([
    ['is not known', 'compress', text],
    ['is one of two', 'gzip, br', zlib.gzipSync(text)],
    ['is not that', 'gzip', text],
    ['breaks off', 'br', zlib.brotliCompressSync(text).subarray(0, -1)],
    ['goes on', 'zstd', Buffer.concat([zlib.zstdCompressSync(text), Buffer.from('x')])],
    ['goes on without a header', 'deflate', Buffer.concat([zlib.deflateRawSync(text), Buffer.from('x')])],
  ])('that %s is broken, and counts for nothing', async (_, coding, coded) => {
    const held = bodies()
    expect(await decodeBody(of(coding), coded, held)).toBe('broken')
    expect(held.bytes).toBe(0)
  })

  it('takes of the room of its session, and leaves the others theirs', async () => {
    const held = bodies(text.length, 8 * text.length)
    const holder = { heldBytes: 0 }
    const coded = zlib.gzipSync(text)
    expect(await decodeBody(of('gzip'), coded, held, holder)).toEqual(text)
    expect(await decodeBody(of('gzip'), coded, held, holder)).toEqual(text)
    expect(await decodeBody(of('gzip'), coded, held, holder)).toBe('no_room')
    expect([holder.heldBytes, held.bytes]).toEqual([2 * text.length, 2 * text.length])
    expect(await decodeBody(of('gzip'), coded, held, { heldBytes: 0 })).toEqual(text)
  })

  it('that reads one way with its header and another way without it is broken', async () => {
    const coded = ambiguous(Buffer.from('&a=harmless'), Buffer.from('&token=attacker&'))
    expect(zlib.inflateSync(coded).toString('latin1')).toMatch(/ &a=harmless$/)
    expect(zlib.inflateRawSync(coded).toString('latin1')).toContain('&token=attacker&')
    const held = bodies()
    expect(await decodeBody(of('deflate'), coded, held)).toBe('broken')
    expect(held.bytes).toBe(0)
  })

  it('is bounded, alone and together with others', async () => {
    const bomb = zlib.gzipSync(Buffer.alloc(50_000_000))
    for (const [held, why] of [
      [bodies(), 'too_large'],
      [bodies(100_000_000, 400_000), 'no_room'],
    ] as const) {
      expect(await decodeBody(of('gzip'), bomb, held)).toBe(why)
      expect(held.bytes).toBe(0)
    }
  })
})
