import { describe, expect, test } from 'vitest'
import { createMintedSource, type Minted } from '../../../src/credentials/minted-source.ts'
import { parseSecret, type Secret } from '../../../src/credentials/secret.ts'

function secretOf(text: string): Secret {
  const secret = parseSecret(text, { unsafeShortSecret: true })
  if (typeof secret === 'string') throw new Error(secret)
  return secret
}

/** A source, a mint that counts, and a clock, all moved by the test. */
function bench(lifetimeMs = 3_600_000) {
  const state = {
    now: 0,
    base: secretOf('base-1') as Secret | null,
    made: [] as string[],
    fails: false,
    rejects: false,
    waits: null as Promise<void> | null,
    refusals: 0,
    closed: false,
  }
  const mint = async (secret: Secret): Promise<Minted | string> => {
    state.made.push(secret.reveal())
    const token = secretOf(`token-${state.made.length}`)
    const failed = state.fails
    await state.waits
    if (state.rejects) throw new Error('sk-inside')
    return failed ? 'the token endpoint said no' : { token, lifetimeMs }
  }
  const source = createMintedSource(
    {
      read: () => state.base,
      problem: () => (state.base === null ? 'variable KEY is not set' : null),
      refused: () => state.refusals++,
      close: () => (state.closed = true),
    },
    mint,
    () => state.now,
  )
  const at = async (now: number): Promise<string | null> => {
    state.now = now
    return (await source.read())?.reveal() ?? null
  }
  return { state, source, at }
}

describe('a minted token', () => {
  test('is made once for all that wait, and is at hand afterwards', async () => {
    const { state, source } = bench()
    const tokens = await Promise.all(Array.from({ length: 50 }, async () => (await source.read())?.reveal()))
    expect(new Set(tokens)).toEqual(new Set(['token-1']))
    expect(source.read()).not.toBeInstanceOf(Promise)
    expect(state.made).toEqual(['base-1'])
  })

  test('is renewed two minutes before its end, while the old one is given', async () => {
    const { state, at } = bench()
    await at(0)
    expect(await at(3_479_999)).toBe('token-1')
    expect(state.made).toHaveLength(1)
    expect(await at(3_480_000)).toBe('token-1')
    expect(state.made).toHaveLength(2)
    await Promise.resolve()
    expect(await at(3_480_001)).toBe('token-2')
  })

  test('of a short life is renewed after four fifths of it, and ends a tenth before its end', async () => {
    const { state, at } = bench(10_000)
    await at(0)
    state.fails = true
    expect(await at(7999)).toBe('token-1')
    expect(state.made).toHaveLength(1)
    expect(await at(8000)).toBe('token-1')
    expect(state.made).toHaveLength(2)
    expect(await at(8999)).toBe('token-1')
    expect(await at(9000)).toBeNull()
  })

  test('that takes long to make has lived as long when it comes', async () => {
    const { state, source, at } = bench(10_000)
    const held = Promise.withResolvers<void>()
    state.waits = held.promise
    const reading = source.read()
    state.now = 8500
    held.resolve()
    expect((await reading)?.reveal()).toBe('token-1')
    state.fails = true
    expect(await at(9000)).toBeNull()
  })

  test('that cannot be made is tried again after 1, 2, 4 … 60 seconds, and its problem is told', async () => {
    const { state, source, at } = bench()
    state.fails = true
    let now = 0
    for (const pause of [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]) {
      const before = state.made.length
      expect(await at(now)).toBeNull()
      expect(source.problem()).toBe('the token endpoint said no')
      expect(state.made).toHaveLength(before + 1)
      expect(await at(now + pause - 1)).toBeNull()
      expect(state.made).toHaveLength(before + 1)
      now += pause
    }
    state.fails = false
    expect(await at(now)).toMatch(/^token-/)
    expect(source.problem()).toBeNull()
  })

  test('of a mint that breaks is none, and nothing of the error is told', async () => {
    const { state, source, at } = bench()
    state.rejects = true
    expect(await at(0)).toBeNull()
    expect(source.problem()).toBe('failed')
  })

  test('is gone with its secret, and another is made of another', async () => {
    const { state, source, at } = bench()
    await at(0)
    state.base = null
    expect(await at(1)).toBeNull()
    expect(source.problem()).toBe('variable KEY is not set')
    state.base = secretOf('base-2')
    expect(await at(2)).toBe('token-2')
    // The same text again, read anew.
    state.base = secretOf('base-2')
    expect(await at(3)).toBe('token-2')
    expect(state.made).toEqual(['base-1', 'base-2'])
  })

  test('of a secret that changed while it was made is not given', async () => {
    const { state, source, at } = bench()
    const held = Promise.withResolvers<void>()
    state.waits = held.promise
    const first = source.read()
    state.base = secretOf('base-2')
    state.waits = null
    const second = at(1)
    held.resolve()
    expect(await first).toBeNull()
    expect(await second).toBe('token-2')
    expect(await at(2)).toBe('token-2')
  })

  test('that an origin refused is renewed, once in half a minute, and the source hears of it', async () => {
    const { state, source, at } = bench()
    expect(await at(100_000)).toBe('token-1')
    for (const now of [100_000, 100_001, 129_999]) {
      state.now = now
      source.refused?.()
      expect(await at(now)).toBe('token-2')
    }
    expect(state.refusals).toBe(3)
    state.now = 130_000
    source.refused?.()
    expect(await at(130_000)).toBe('token-3')
  })

  test('that was refused is still given where no other is to be had', async () => {
    const { state, source, at } = bench()
    await at(0)
    state.fails = true
    source.refused?.()
    expect(await at(1)).toBe('token-1')
    expect(state.made).toHaveLength(2)
    expect(await at(2)).toBe('token-1')
    expect(state.made).toHaveLength(2)
  })

  test('is not given after closing, nor what was on its way', async () => {
    const { state, source, at } = bench()
    const held = Promise.withResolvers<void>()
    state.waits = held.promise
    const reading = source.read()
    source.close()
    held.resolve()
    expect(await reading).toBeNull()
    expect(await at(1)).toBeNull()
    expect([state.closed, state.made]).toEqual([true, ['base-1']])
  })
})
