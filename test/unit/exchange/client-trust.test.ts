import { describe, expect, it } from 'vitest'
import { createClientTrust } from '../../../src/exchange/client-trust.ts'

describe('a client trusts our CA', () => {
  it('only once it has shown it', () => {
    const trust = createClientTrust()
    expect(trust.trusts('s-1', 'curl')).toBe(false)
    trust.learn('s-1', 'curl', 'trusts')
    expect(trust.trusts('s-1', 'curl')).toBe(true)
  })

  it('no more once it has rejected it, and again when it shows it again', () => {
    const trust = createClientTrust()
    trust.learn('s-1', 'curl', 'trusts')
    trust.learn('s-1', 'curl', 'rejects')
    expect(trust.trusts('s-1', 'curl')).toBe(false)
    trust.learn('s-1', 'curl', 'trusts')
    expect(trust.trusts('s-1', 'curl')).toBe(true)
  })

  it('for itself: another session, another User-Agent, and none, are others', () => {
    const trust = createClientTrust()
    trust.learn('s-1', 'curl', 'trusts')
    expect([trust.trusts('s-2', 'curl'), trust.trusts('s-1', 'wget'), trust.trusts('s-1', null)]).toEqual([
      false,
      false,
      false,
    ])
  })

  it('is forgotten when ten thousand others came after: a User-Agent is the sandbox’s to invent', () => {
    const trust = createClientTrust()
    trust.learn('s-1', 'first', 'trusts')
    for (let i = 0; i < 10_000; i++) trust.learn('s-1', `agent ${i}`, 'trusts')
    expect(trust.trusts('s-1', 'first')).toBe(false)
    expect(trust.trusts('s-1', 'agent 9999')).toBe(true)
  })
})
