import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { HeldBodies } from '../../../src/exchange/held-bodies.ts'

const limits = { bodyBytesMax: 10, allBytesMax: 15, timeoutMs: 50 }

describe('bodies that are held', () => {
  it('are whole, however they come, and counted until they are let go', async () => {
    const bodies = new HeldBodies(limits)
    expect(bodies.hold(Buffer.from('abc'))).toEqual(Buffer.from('abc'))
    expect(await bodies.hold(Readable.from([Buffer.from('de'), Buffer.from('f')]))).toEqual(Buffer.from('def'))
    expect(bodies.bytes).toBe(6)
    bodies.release(6)
    expect(bodies.bytes).toBe(0)
  })

  it('are bounded each and all together, and what was refused is not counted', async () => {
    const bodies = new HeldBodies(limits)
    expect(bodies.hold(Buffer.alloc(11))).toBe('too_large')
    expect(await bodies.hold(Readable.from([Buffer.alloc(6), Buffer.alloc(5)]))).toBe('too_large')
    expect(bodies.bytes).toBe(0)
    expect(bodies.hold(Buffer.alloc(10))).toHaveLength(10)
    expect(bodies.hold(Buffer.alloc(6))).toBe('no_room')
    expect(await bodies.hold(Readable.from([Buffer.alloc(3), Buffer.alloc(3)]))).toBe('no_room')
    expect(bodies.bytes).toBe(10)
  })

  it('are not waited for for ever, nor when they break off', async () => {
    const bodies = new HeldBodies(limits)
    const silent = new Readable({ read: () => undefined })
    silent.push(Buffer.from('a'))
    expect(await bodies.hold(silent)).toBe('too_slow')
    expect(silent.destroyed).toBe(true)
    const broken = new Readable({ read: () => undefined })
    broken.push(Buffer.from('a'))
    const held = bodies.hold(broken)
    broken.destroy(new Error('the client left'))
    expect(await held).toBe('gone')
    expect(bodies.bytes).toBe(0)
  })

  it('of one session fill a share of the room, and leave the rest to others', async () => {
    const bodies = new HeldBodies({ bodyBytesMax: 10, allBytesMax: 80, timeoutMs: 50 })
    const [one, other] = [{ heldBytes: 0 }, { heldBytes: 0 }]
    expect(bodies.hold(Buffer.alloc(10), one)).toHaveLength(10)
    expect(await bodies.hold(Readable.from([Buffer.alloc(10)]), one)).toHaveLength(10)
    expect(bodies.hold(Buffer.alloc(1), one)).toBe('no_room')
    expect(await bodies.hold(Readable.from([Buffer.alloc(1)]), one)).toBe('no_room')
    expect(bodies.hold(Buffer.alloc(10), other)).toHaveLength(10)
    bodies.release(10, one)
    expect(bodies.hold(Buffer.alloc(5), one)).toHaveLength(5)
    expect([one.heldBytes, other.heldBytes, bodies.bytes]).toEqual([15, 10, 25])
  })
})
