import type { Socket } from 'node:net'
import { Writable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { array, assert, asyncProperty, constant, constantFrom, nat, oneof, record } from 'fast-check'
import { expect, it } from 'vitest'
import { Outbox } from '../../../src/exchange/outbox.ts'

/** A stream that stands in for a socket: each entry of `sent` is one write to it, as latin1. */
class Wire extends Writable {
  readonly sent: string[] = []

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.sent.push(bytes.toString('latin1'))
    done()
  }
}

function boxOn(wire: Wire): Outbox {
  return new Outbox(wire as unknown as Socket)
}

function boxOf(): { out: Outbox; wire: Wire } {
  const wire = new Wire()
  return { out: boxOn(wire), wire }
}

it('writes all that is gathered in a turn at once, when the turn ends', async () => {
  const { out, wire } = boxOf()
  out.gather('a')
  await Promise.resolve()
  process.nextTick(() => out.gather('b'))
  out.pass(Buffer.from('c'))
  expect(wire.sent).toEqual([])
  await nextTurn()
  expect(wire.sent).toEqual(['acb'])
})

it('passes on at once what nothing waits before', () => {
  const { out, wire } = boxOf()
  out.pass('a')
  out.pass(Buffer.from('b'))
  expect(wire.sent).toEqual(['a', 'b'])
})

it('holds no more than its bound', () => {
  const { out, wire } = boxOf()
  out.gather('a'.repeat(16_384))
  expect(wire.sent).toEqual([])
  out.gather('b')
  expect(wire.sent).toEqual([`${'a'.repeat(16_384)}b`])
  out.gather('c')
  out.pass(Buffer.alloc(16_384, 'd'))
  expect(wire.sent.slice(1)).toEqual(['c', 'd'.repeat(16_384)])
})

it('says when the stream has enough, also of what still waits', async () => {
  const wire = new Wire({ highWaterMark: 10 })
  wire._write = () => undefined
  const out = boxOn(wire)
  out.gather('a'.repeat(20))
  expect(out.pass('b')).toBe(true)
  await nextTurn()
  expect(out.pass('c')).toBe(false)
})

it('writes nothing of what was dropped, and nothing to a stream that is gone', async () => {
  const { out, wire } = boxOf()
  out.gather('a')
  out.drop()
  await nextTurn()
  expect(wire.sent).toEqual([])
  const errors: Error[] = []
  wire.on('error', (error) => errors.push(error))
  out.gather('b')
  wire.destroy()
  await nextTurn()
  expect([wire.sent, errors]).toEqual([[], []])
})

it('ends behind what waits', async () => {
  const { out, wire } = boxOf()
  out.gather('a')
  out.end()
  out.gather('b')
  await nextTurn()
  expect([wire.sent, wire.writableEnded]).toEqual([['a'], true])
})

it('keeps the order, whatever is asked of it', async () => {
  const step = oneof(
    record({ how: constantFrom('gather', 'pass', 'bytes'), size: oneof(nat(40), nat(20_000)) }),
    constant({ how: 'flush', size: 0 } as const),
    constant({ how: 'turn', size: 0 } as const),
  )
  await assert(
    asyncProperty(array(step, { maxLength: 30 }), async (steps) => {
      const { out, wire } = boxOf()
      let all = ''
      for (const [at, { how, size }] of steps.entries()) {
        const text = String.fromCharCode(33 + at).repeat(size)
        all += text
        if (how === 'gather') out.gather(text)
        else if (how === 'pass') out.pass(text)
        else if (how === 'bytes') out.pass(Buffer.from(text, 'latin1'))
        else if (how === 'flush') out.flush()
        else await nextTurn()
      }
      await nextTurn()
      expect(wire.sent.join('')).toBe(all)
    }),
  )
})
