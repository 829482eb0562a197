import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { closeFrame, FrameWatch } from '../../../src/net/websocket-frames.ts'
import { frameOf } from '../../support/websocket-peer.ts'

describe('a watch of frames', () => {
  const frame = fc
    .tuple(
      fc.constantFrom('text', 'binary', 'ping', 'close', 'continuation'),
      fc.oneof(fc.nat(200), fc.constantFrom(0, 125, 126, 127, 65_535, 65_536)),
      fc.boolean(),
    )
    .map(([opcode, length, masks]) => frameOf(opcode, Buffer.alloc(length, 0xff), masks))

  it('is between two frames after each of them, and nowhere else, however they are cut', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 4 }), fc.array(fc.nat(70_000)), (frames, cuts) => {
        const bytes = Buffer.concat(frames)
        const ends = new Set([0])
        for (const { length } of frames) ends.add(Math.max(...ends) + length)
        const places = [...cuts.map((cut) => cut % (bytes.length + 1)), ...ends].toSorted((a, b) => a - b)
        const watch = new FrameWatch()
        let at = 0
        for (const place of places) {
          watch.pass(bytes.subarray(at, place))
          at = place
          expect(watch.between).toBe(ends.has(at))
        }
      }),
    )
  })

  it('never comes to the end of a frame of 2^63 bytes', () => {
    const watch = new FrameWatch()
    watch.pass(Buffer.from('827f7fffffffffffffff', 'hex'))
    for (let i = 0; i < 100; i++) watch.pass(Buffer.alloc(65_536))
    expect(watch.between).toBe(false)
  })
})

it('a close frame is one of a server: unmasked, whole, code first', () => {
  expect(closeFrame(1008, 'the session was revoked').toString('latin1')).toBe('\x88\x19\x03\xf0the session was revoked')
})
