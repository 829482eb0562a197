import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseSecret } from '../../../src/credentials/secret.ts'
import { RedactingFrames } from '../../../src/exchange/redacting-frames.ts'
import { type Frame, frameOf } from '../../support/websocket-peer.ts'

const text = 'sk-real-0123456789'
const stars = '*'.repeat(text.length)

function create(): RedactingFrames {
  const secret = parseSecret(text, { unsafeShortSecret: false })
  if (typeof secret === 'string') throw new Error(secret)
  return new RedactingFrames([secret])
}

type Heard = { readonly opcode: number; readonly fin: boolean; readonly payload: string }

/** Frames of bytes that are whole frames, by a reader of its own. */
function framesOf(bytes: Buffer): Heard[] {
  const frames: Heard[] = []
  for (let at = 0; at < bytes.length; ) {
    const short = (bytes[at + 1] ?? 0) & 0x7f
    const start = at + (short === 126 ? 4 : short === 127 ? 10 : 2)
    const length =
      short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short
    expect((bytes[at + 1] ?? 0) & 0x80).toBe(0)
    expect(bytes.length).toBeGreaterThanOrEqual(start + length)
    const first = bytes[at] ?? 0
    frames.push({
      opcode: first & 15,
      fin: first >= 128,
      payload: bytes.subarray(start, start + length).toString('latin1'),
    })
    at = start + length
  }
  return frames
}

/** Messages and control frames, in the order of their ends; fails where a frame may not stand. */
function messagesOf(frames: readonly Heard[]): string[] {
  const ended: string[] = []
  let under: number | null = null
  let whole = ''
  for (const { opcode, fin, payload } of frames) {
    if (opcode >= 8) {
      expect(fin).toBe(true)
      ended.push(`${opcode} ${payload}`)
      continue
    }
    expect(opcode === 0).toBe(under !== null)
    under ??= opcode
    whole += payload
    if (!fin) continue
    ended.push(`${under} ${whole}`)
    under = null
    whole = ''
  }
  return ended
}

function frame(opcode: Frame['opcode'], payload: string, fin: boolean = true): Buffer {
  return frameOf(opcode, Buffer.from(payload, 'latin1'), false, fin)
}

const inTwo = [text.slice(0, 9), text.slice(9)] as const

describe('what an origin says on a WebSocket', () => {
  it.each<readonly [what: string, said: readonly Buffer[], heard: readonly string[]]>([
    ['without a secret', [frame('text', 'hello'), frame('binary', '')], ['1 hello', '2 ']],
    ['with one in a text', [frame('text', `is ${text}?`)], [`1 is ${stars}?`]],
    ['with one in bytes', [frame('binary', `\xff${text}\0`)], [`2 \xff${stars}\0`]],
    ['with one in hex', [frame('text', Buffer.from(text).toString('hex'))], [`1 ${stars}${stars}`]],
    ['with one over two frames', [frame('text', inTwo[0], false), frame('continuation', inTwo[1])], [`1 ${stars}`]],
    ['with one in a ping', [frame('ping', text)], [`9 ${stars}`]],
    ['with one in the reason of an end', [frame('close', `\x03\xe8${text}`)], [`8 \x03\xe8${stars}`]],
    [
      'with a ping between its halves',
      [frame('text', inTwo[0], false), frame('ping', 'p'), frame('continuation', inTwo[1])],
      ['9 p', `1 ${stars}`],
    ],
    [
      'in pieces that are two messages',
      [frame('text', inTwo[0]), frame('text', inTwo[1])],
      inTwo.map((one) => `1 ${one}`),
    ],
  ])('%s goes on, and nothing of the secret with it', (_what, said, heard) => {
    for (const pieces of [said, [Buffer.concat(said)], Array.from(Buffer.concat(said), (byte) => Buffer.of(byte))]) {
      const frames = create()
      const out = Buffer.concat(pieces.map((one) => frames.pass(Buffer.from(one))))
      expect(messagesOf(framesOf(out))).toEqual(heard)
      expect(frames.redactions).toBe(heard.join().includes('*') ? 1 : 0)
    }
  })

  it('goes on in whole frames, whatever it was cut into, and each message has its length', () => {
    const message = fc.record({
      opcode: fc.constantFrom<Frame['opcode']>('text', 'binary'),
      parts: fc.array(fc.constantFrom(text, ...inTwo, 'x', '', '\n', 'y'.repeat(300)), { minLength: 1, maxLength: 5 }),
      ping: fc.boolean(),
    })
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 4 }),
        fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }),
        (all, sizes) => {
          const said = all.flatMap(({ opcode, parts, ping }) => [
            ...parts.map((part, i) => frame(i === 0 ? opcode : 'continuation', part, i === parts.length - 1)),
            ...(ping ? [frame('ping', 'p')] : []),
          ])
          const bytes = Buffer.concat(said)
          const frames = create()
          const heard: Heard[] = []
          for (let at = 0, i = 0; at < bytes.length; i++) {
            const size = sizes[i % sizes.length] ?? 1
            heard.push(...framesOf(frames.pass(Buffer.from(bytes.subarray(at, at + size)))))
            at += size
          }
          const expected = messagesOf(framesOf(bytes)).map((one) => one.replaceAll(text, stars))
          expect(messagesOf(heard)).toEqual(expected)
        },
      ),
      { numRuns: 200 },
    )
  })

  it('is held back by no more than a tail, however long the message is', () => {
    const frames = create()
    const head = frame('binary', 'x'.repeat(10_000_000)).subarray(0, 10)
    let heard = frames.pass(Buffer.from(head)).length
    for (let sent = 0; sent < 5_000_000; sent += 50_000) heard += frames.pass(Buffer.alloc(50_000, 'x')).length
    expect(heard).toBeGreaterThan(5_000_000 - 1000)
  })

  it('is held back by position: bytes like the secret come no later than others', () => {
    const sizesOf = (payload: string): number[] => {
      const frames = create()
      const bytes = frame('text', payload, false)
      return Array.from(bytes, (byte) => frames.pass(Buffer.of(byte)).length)
    }
    expect(sizesOf(`${text.slice(0, -1)}!`.repeat(20))).toEqual(sizesOf('z'.repeat(text.length * 20)))
  })

  const first = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = frame('text', 'ok')
    change(bytes)
    return bytes
  }
  it.each<readonly [what: string, said: readonly Buffer[]]>([
    ['masked', [frameOf('text', Buffer.from(text), true)]],
    ['of an extension', [first((bytes) => (bytes[0] = 0xc1))]],
    ['of a kind that is none', [first((bytes) => (bytes[0] = 0x83))]],
    ['of a control that is none', [first((bytes) => (bytes[0] = 0x8b))]],
    ['of control in parts', [frame('ping', 'p', false)]],
    ['of control that is long', [frame('ping', 'p'.repeat(126))]],
    ['that goes on with nothing', [frame('continuation', 'x')]],
    ['of a message within a message', [frame('text', 'x', false), frame('text', 'y')]],
    ['longer than can be counted', [Buffer.from([0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])]],
  ])('breaks with a frame %s, and nothing follows', (_what, said) => {
    const frames = create()
    const out = said.map((one) => frames.pass(one))
    expect(frames.broken).not.toBeNull()
    expect(out.at(-1)).toHaveLength(0)
    expect(frames.pass(frame('text', 'more'))).toHaveLength(0)
  })
})
