import { once } from 'node:events'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { BodyRewrite } from '../../../src/credentials/credential-kind.ts'
import { HeldBodies } from '../../../src/exchange/held-bodies.ts'
import { rewriteBody } from '../../../src/exchange/rewritten-body.ts'

/** Doubles no byte, but turns them; keeps back what is not yet four; takes no exclamation mark. */
class Turned implements BodyRewrite {
  #kept = Buffer.alloc(0)
  get heldBytes(): number {
    return this.#kept.length
  }
  take(piece: Buffer, pass: (piece: Buffer) => void): string | null {
    if (piece.includes('!')) return 'loud'
    this.#kept = Buffer.concat([this.#kept, piece])
    const whole = this.#kept.length - (this.#kept.length % 4)
    if (whole > 0) pass(this.#kept.subarray(0, whole).reverse())
    this.#kept = this.#kept.subarray(whole)
    return null
  }
  end(): string | null {
    return this.#kept.length === 0 ? null : 'short'
  }
}

function bodies(allBytesMax = 100): HeldBodies {
  return new HeldBodies({ allBytesMax, bodyBytesMax: 100, timeoutMs: 1000 })
}

function begin(body: Buffer | Readable, held = bodies()) {
  const rewritten = rewriteBody(body, new Turned(), held, 'p#1')
  if (rewritten.kind === 'deny' || Buffer.isBuffer(rewritten.body)) throw new Error('no stream')
  return { stream: rewritten.body, problem: rewritten.problem, held }
}

test('what is here already is rewritten before anything goes on, or refused', () => {
  expect(rewriteBody(Buffer.from('abcdefgh'), new Turned(), bodies(), null)).toMatchObject({
    kind: 'rewritten',
    body: Buffer.from('hgfedcba'),
  })
  for (const [text, detail] of [
    ['abcde', 'short'],
    ['abc!', 'loud'],
  ] as const)
    expect(rewriteBody(Buffer.from(text), new Turned(), bodies(), 'p#1')).toEqual({
      kind: 'deny',
      reason: 'unsignable_request',
      detail,
      rule: 'p#1',
    })
})

test('what comes in pieces goes on in pieces, and what is kept back of it is counted and let go', async () => {
  const source = new Readable({ read: () => undefined })
  const { stream, problem, held } = begin(source)
  source.push('abcdef')
  await once(stream, 'readable')
  expect(held.bytes).toBe(2)
  source.push('gh')
  source.push(null)
  expect((await buffer(stream)).toString()).toBe('dcbahgfe')
  expect(problem()).toBeNull()
  expect(held.bytes).toBe(0)
})

test.each([
  ['abcdef', 'unsignable_request', 'short', 100],
  ['abcd!', 'unsignable_request', 'loud', 100],
  ['abcdef', 'overloaded', 'too many bodies are held', 1],
])('%s ends as %s: %s', async (text, reason, detail, room) => {
  const { stream, problem, held } = begin(Readable.from([Buffer.from(text)]), bodies(room))
  await expect(buffer(stream)).rejects.toThrow(detail)
  expect(problem()).toEqual({ kind: 'deny', reason, detail, rule: 'p#1' })
  expect(held.bytes).toBe(0)
})

test('whoever lets go of one end lets go of the other', async () => {
  const left = new Readable({ read: () => undefined })
  const first = begin(left)
  left.push('abc')
  const reads = expect(buffer(first.stream)).rejects.toThrow('the client left')
  left.destroy(new Error('the client left'))
  await reads
  expect(first.problem()).toBeNull()

  const dropped = new Readable({ read: () => undefined })
  const second = begin(dropped)
  dropped.push('abc')
  await turn()
  expect(second.held.bytes).toBe(3)
  second.stream.destroy()
  await new Promise((resolve) => dropped.once('close', resolve))
  expect(dropped.destroyed).toBe(true)
  expect([first.held.bytes, second.held.bytes]).toEqual([0, 0])
})
