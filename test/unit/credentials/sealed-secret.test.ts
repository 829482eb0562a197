import { assert, property, string } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createSecretSeal } from '../../../src/credentials/sealed-secret.ts'

const value = 'sk-own-0123456789abcdef'
const seal = createSecretSeal(Buffer.alloc(32, 1))

describe('a sealed secret', () => {
  it('opens for its credential, whatever the value is', () => {
    assert(
      property(string({ unit: 'binary', maxLength: 200 }), (text) => {
        expect(seal.open('a', seal.seal('platform', 'a', text))).toBe(text)
      }),
      { numRuns: 100 },
    )
  })

  it('shows nothing of the value, and is fit for a row', () => {
    const sealed = seal.seal('platform', 'anthropic', value)
    expect(sealed).toMatch(/^[A-Za-z0-9_-]+$/)
    expect(Buffer.from(sealed, 'base64url').toString('latin1')).not.toContain('own')
  })

  it('is the same for the same value of one owner, and another for another owner, credential or value', () => {
    const sealed = [
      seal.seal('platform', 'anthropic', value),
      seal.seal('platform', 'anthropic', value),
      seal.seal('team-a', 'anthropic', value),
      seal.seal('platform', 'openai', value),
      seal.seal('platform', 'anthropic', `${value}x`),
    ]
    expect(new Set(sealed).size).toBe(4)
    expect(sealed[0]).toBe(sealed[1])
    const nonces = sealed.map((text) => Buffer.from(text, 'base64url').subarray(0, 12).toString('hex'))
    expect(new Set(nonces).size).toBe(4)
  })

  it('opens for no other credential and with no other key', () => {
    const sealed = seal.seal('platform', 'anthropic', value)
    expect(seal.open('openai', sealed)).toBeNull()
    expect(createSecretSeal(Buffer.alloc(32, 2)).open('anthropic', sealed)).toBeNull()
  })

  it('does not open when a bit of it is another, or when it is cut short', () => {
    const bytes = Buffer.from(seal.seal('platform', 'anthropic', value), 'base64url')
    for (let at = 0; at < bytes.length; at++) {
      const damaged = Buffer.from(bytes)
      damaged[at] = (damaged[at] ?? 0) ^ 1
      expect(seal.open('anthropic', damaged.toString('base64url'))).toBeNull()
      expect(seal.open('anthropic', bytes.subarray(0, at).toString('base64url'))).toBeNull()
    }
  })
})
