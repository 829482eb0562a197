import * as fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { describe, expect, it } from 'vitest'
import { contains, ipv4FromValue, parseCidr, parseIp, parseIpv4, parseIpv6, unmapIpv4 } from '../../../src/net/ip.ts'

describe('an IPv6 text', () => {
  it.each([
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:DB8::1', '2001:db8::1'],
    ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:0:2:3:0:0:4', '1::2:3:0:0:4'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['::1.2.3.4', '::102:304'],
    ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
  ])('%s is %s', (written, text) => expect(parseIpv6(written)?.text).toBe(text))

  it.each([
    ':',
    ':::',
    '1',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    '::1::',
    '12345::',
    'g::',
    '::1%lo',
    '::1.2.3',
    '::1.2.3.04',
    '1.2.3.4::',
    '::1.2.3.4:5',
    '1:2:3:4:5:6:7:1.2.3.4',
    ' ::1',
    '::1 ',
    '[::1]',
    ':1:2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7:',
  ])('%s is none', (written) => expect(parseIpv6(written)).toBeNull()) // prettier-ignore
})

describe('beside ipaddr.js', () => {
  it('every IPv6 it prints has the same value here', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        const theirs = new ipaddr.IPv6([...bytes])
        const value = BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
        for (const text of [theirs.toString(), theirs.toNormalizedString(), theirs.toRFC5952String()])
          expect(parseIpv6(text)?.value).toBe(value)
        expect(parseIpv6(theirs.toString())?.text).toBe(theirs.toRFC5952String())
      }),
      { numRuns: 2000 },
    )
  })

  it('every text that is an address here is the same address there', () => {
    const text = fc.oneof(
      fc.ipV6(),
      fc.ipV4(),
      fc.ipV4Extended(),
      fc.string({ unit: fc.constantFrom(...'0123456789abcdef:.'.split('')), maxLength: 24 }),
    )
    fc.assert(
      fc.property(text, (written) => {
        const ours = parseIp(written)
        if (ours === null) return
        expect(ipaddr.isValid(written)).toBe(true)
        if (ours.bits === 128) expect(new URL(`http://[${written}]/`).hostname).toBe(`[${ours.text}]`)
        if (/^::\d+\./.test(written)) return // read there as IPv4-mapped, against RFC 4291 §2.5.5.1
        const bytes = ipaddr.parse(written).toByteArray()
        expect(ours.value).toBe(BigInt(`0x${Buffer.from(bytes).toString('hex')}`))
        expect(ours.bits).toBe(bytes.length * 8)
      }),
      { numRuns: 3000 },
    )
  })

  it('every IPv4 is the same both ways', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (n) => {
        const { text } = ipv4FromValue(BigInt(n))
        expect(parseIpv4(text)).toEqual(ipv4FromValue(BigInt(n)))
        expect(ipaddr.IPv4.parse(text).toByteArray()).toEqual([n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255])
      }),
    )
  })

  it('a block holds the same addresses', () => {
    const v4 = fc.tuple(
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      fc.integer({ min: 0, max: 32 }),
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    )
    fc.assert(
      fc.property(v4, ([base, length, other]) => {
        const shift = BigInt(32 - length)
        const text = `${ipv4FromValue((BigInt(base) >> shift) << shift).text}/${length}`
        const block = parseCidr(text) ?? expect.fail(text)
        for (const value of [BigInt(other), BigInt(base), block.base, block.base + (1n << shift) - 1n]) {
          const ip = ipv4FromValue(value)
          expect(contains(block, ip)).toBe(ipaddr.IPv4.parse(ip.text).match(ipaddr.IPv4.parseCIDR(text)))
        }
      }),
    )
  })
})

describe('a block', () => {
  it.each([
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['1.2.3.4/32', '1.2.3.4/32'],
    ['2001:DB8::/32', '2001:db8::/32'],
    ['::/0', '::/0'],
  ])('%s is %s', (written, text) => expect(parseCidr(written)?.text).toBe(text))

  it.each([
    '10.0.0.0',
    '10.0.0.1/8',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/+8',
    '10.0.0.0/',
    '/8',
    '10/8',
    '::1/0',
    '::/129',
    '10.0.0.0/8/8',
    '[::]/0',
    '10.0.0.0/8 ',
  ])('%s is none', (written) => expect(parseCidr(written)).toBeNull()) // prettier-ignore

  it('never holds an address of the other family', () => {
    const all = parseCidr('0.0.0.0/0') ?? expect.fail()
    expect(contains(all, parseIp('::1') ?? expect.fail())).toBe(false)
  })

  it('knows an IPv4-mapped address from others', () => {
    expect(unmapIpv4(parseIp('::ffff:1.2.3.4') ?? expect.fail())?.text).toBe('1.2.3.4')
    expect(unmapIpv4(parseIp('::1.2.3.4') ?? expect.fail())).toBeNull()
    expect(unmapIpv4(parseIp('1.2.3.4') ?? expect.fail())).toBeNull()
  })
})
