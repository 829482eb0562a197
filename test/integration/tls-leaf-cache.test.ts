import { X509Certificate } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Host, parseHost } from '../../src/net/host.ts'
import { createLeafCache, type LeafCache, type LeafCacheOptions } from '../../src/tls/leaf-cache.ts'
import type { Leaf, SigningCa } from '../../src/tls/signing-ca.ts'
import { temporaryCa } from '../support/temporary-ca.ts'

const dayMs = 86_400_000
const host = (text: string): Host => parseHost(text) ?? expect.fail(`${text} is a host`)

let ca: SigningCa
let start: number
beforeAll(async () => {
  ;({ ca } = await temporaryCa())
  start = Date.now()
})

/** A cache on a clock that the test turns, and the names it had minted. */
function world(change: Partial<LeafCacheOptions> = {}): { leaves: LeafCache; minted: string[]; clock: { at: number } } {
  const clock = { at: start }
  const minted: string[] = []
  const mint = (wanted: Host): Leaf => {
    minted.push(wanted.name)
    return { ...ca.mint(wanted), notAfter: new Date(Math.min(clock.at + 7 * dayMs, ca.notAfter.getTime())) }
  }
  const now = (): Date => new Date(clock.at)
  const limits = { leavesMax: 10, deniedLeavesMax: 3, deniedPerSecondMax: 2 }
  return {
    leaves: createLeafCache({ mint, notAfter: ca.notAfter }, { ...limits, now, ...change }),
    minted,
    clock,
  }
}

describe('the leaf cache', () => {
  it('mints a name once and counts hits and misses', () => {
    const { leaves, minted } = world()
    const first = leaves.contextFor(host('good.test'), 'allowed')
    expect(first).not.toBeNull()
    expect(leaves.contextFor(host('GOOD.test.'), 'allowed')).toBe(first)
    expect(leaves.contextFor(host('other.test'), 'allowed')).not.toBe(first)
    expect(minted).toEqual(['good.test', 'other.test'])
    expect(leaves.stats()).toEqual({ hits: 1, misses: 2, evictions: 0, size: 2 })
  })

  it('mints anew at half of the life of a leaf', () => {
    const { leaves, minted, clock } = world()
    const first = leaves.contextFor(host('good.test'), 'allowed')
    clock.at += 3.5 * dayMs - 1
    expect(leaves.contextFor(host('good.test'), 'allowed')).toBe(first)
    clock.at += 1
    expect(leaves.contextFor(host('good.test'), 'allowed')).not.toBe(first)
    expect(minted.length).toBe(2)
    expect(leaves.stats().size).toBe(1)
  })

  it('has nothing to give once the CA has expired', () => {
    const { leaves, clock } = world()
    expect(leaves.contextFor(host('good.test'), 'allowed')).not.toBeNull()
    clock.at = ca.notAfter.getTime()
    expect(leaves.contextFor(host('good.test'), 'allowed')).toBeNull()
    expect(leaves.contextFor(host('good.test'), 'denied')).toBeNull()
  })

  it('stays bounded under 5 000 names', () => {
    const leaf = { ...ca.mint(host('good.test')) }
    const mint = (): Leaf => leaf
    const options = { leavesMax: 50, deniedLeavesMax: 5, deniedPerSecondMax: 1, now: () => new Date(start) }
    const leaves = createLeafCache({ mint, notAfter: ca.notAfter }, options)
    for (let n = 0; n < 5000; n++) expect(leaves.contextFor(host(`n${n}.good.test`), 'allowed')).not.toBeNull()
    expect(leaves.stats()).toEqual({ hits: 0, misses: 5000, evictions: 4950, size: 50 })
  })

  it('forgets everything when closed', () => {
    const { leaves } = world()
    leaves.contextFor(host('good.test'), 'allowed')
    leaves.close()
    expect(leaves.stats().size).toBe(0)
  })
})

describe('leaves for denied names', () => {
  it('are minted at their own rate, and those made are given out freely', () => {
    const { leaves, minted, clock } = world()
    const given = ['a', 'b', 'c', 'd'].map((name) => leaves.contextFor(host(`${name}.test`), 'denied') !== null)
    expect(given).toEqual([true, true, false, false])
    expect(leaves.contextFor(host('a.test'), 'denied')).not.toBeNull()
    clock.at += 500
    expect(leaves.contextFor(host('c.test'), 'denied')).not.toBeNull()
    expect(leaves.contextFor(host('d.test'), 'denied')).toBeNull()
    clock.at += 60_000
    const later = ['e', 'f', 'g'].map((name) => leaves.contextFor(host(`${name}.test`), 'denied') !== null)
    expect(later).toEqual([true, true, false])
    expect(minted.length).toBe(5)
  })

  it('gain nothing from a clock that is set back', () => {
    const { leaves, clock } = world()
    for (const name of ['a', 'b']) leaves.contextFor(host(`${name}.test`), 'denied')
    clock.at -= 3_600_000
    expect(leaves.contextFor(host('c.test'), 'denied')).toBeNull()
  })

  it('never push out the leaves of allowed names, nor slow them down', () => {
    const { leaves, clock, minted } = world()
    const kept = leaves.contextFor(host('good.test'), 'allowed')
    for (let n = 0; n < 20; n++) {
      leaves.contextFor(host(`n${n}.evil.test`), 'denied')
      clock.at += 500
    }
    expect(leaves.contextFor(host('good.test'), 'allowed')).toBe(kept)
    expect(leaves.contextFor(host('new.test'), 'allowed')).not.toBeNull()
    expect(leaves.stats().size).toBe(5)
    expect(minted.length).toBe(22)
  })

  it('use the leaf that an allowed session already earned', () => {
    const { leaves } = world({ deniedPerSecondMax: 0 })
    const allowed = leaves.contextFor(host('good.test'), 'allowed')
    expect(leaves.contextFor(host('good.test'), 'denied')).toBe(allowed)
    expect(leaves.contextFor(host('evil.test'), 'denied')).toBeNull()
  })
})

describe('a leaf', () => {
  it('is for its host alone, backdated, inside the life of the CA, with a serial of its own', () => {
    const issuer = new X509Certificate(ca.certificatePem)
    const serials = new Set<string>()
    for (const [text, san] of [
      ['good.test', 'DNS:good.test'],
      ['127.0.0.1', 'IP Address:127.0.0.1'],
      ['[2001:db8::1]', 'IP Address:2001:DB8:0:0:0:0:0:1'],
      [`${'a'.repeat(63)}.${'b'.repeat(63)}.test`, `DNS:${'a'.repeat(63)}.${'b'.repeat(63)}.test`],
      ['_dmarc.good.test', 'DNS:_dmarc.good.test'],
    ] as const) {
      const { certificate, notAfter } = ca.mint(host(text))
      const leaf = new X509Certificate(certificate)
      serials.add(leaf.serialNumber)
      expect(leaf.subjectAltName).toBe(san)
      expect(leaf.ca).toBe(false)
      expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1'])
      expect(leaf.verify(issuer.publicKey) && leaf.checkIssued(issuer)).toBe(true)
      expect(leaf.validToDate.getTime()).toBe(Math.floor(notAfter.getTime() / 1000) * 1000)
      expect(leaf.validToDate.getTime()).toBeLessThanOrEqual(Date.now() + 7 * dayMs)
      expect(leaf.validFromDate.getTime()).toBeLessThanOrEqual(Date.now() - 3_600_000)
      expect(leaf.validFromDate.getTime()).toBeGreaterThan(Date.now() - 3_700_000)
      expect(leaf.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/)
    }
    expect(serials.size).toBe(5)
  })
})
