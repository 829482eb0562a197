import * as fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { describe, expect, it } from 'vitest'
import { parseHost } from '../../../src/net/host.ts'
import { type Ip, ipv4FromValue, parseCidr, parseIp } from '../../../src/net/ip.ts'
import { type AddressClass, classifyAddress, innerAddress, isNever } from '../../../src/policy/address-class.ts'

function ip(text: string): Ip {
  return parseIp(text) ?? expect.fail(text)
}

describe('the kind of an address', () => {
  it.each<[string, AddressClass]>([
    ['8.8.8.8', 'public'],
    ['93.184.216.34', 'public'],
    ['2606:4700::1111', 'public'],
    // IP-14
    ['0.0.0.0', 'unspecified'],
    ['0.1.2.3', 'unspecified'],
    ['::', 'unspecified'],
    // IP-15
    ['169.254.169.254', 'metadata'],
    ['169.254.170.2', 'metadata'],
    ['fd00:ec2::254', 'metadata'],
    ['100.100.100.200', 'metadata'],
    ['192.0.0.192', 'metadata'],
    ['168.63.129.16', 'metadata'],
    // IP-10
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:7f00:1', 'loopback'],
    ['0:0:0:0:0:ffff:a9fe:a9fe', 'metadata'],
    ['::ffff:8.8.8.8', 'public'],
    ['::ffff:0:127.0.0.1', 'loopback'],
    // IP-11
    ['::127.0.0.1', 'loopback'],
    ['::7f00:1', 'loopback'],
    ['::1', 'loopback'],
    // IP-12
    ['64:ff9b::a9fe:a9fe', 'metadata'],
    ['64:ff9b::7f00:1', 'loopback'],
    ['64:ff9b::808:808', 'public'],
    ['64:ff9b:1::7f00:1', 'reserved'],
    ['64:ff9b:1::808:808', 'reserved'],
    // IP-13
    ['2002:7f00:1::', 'loopback'],
    ['2002:a00:1::1', 'private'],
    ['2002:a9fe:a9fe::1', 'metadata'],
    ['2001:0:4136:e378:8000:63bf:3fff:fdd2', 'reserved'],
    ['fe80::5efe:7f00:1', 'reserved'],
    ['2607:f8b0::200:5efe:a00:1', 'reserved'],
  ])('of %s is %s', (text, kind) => expect(classifyAddress(ip(text))).toBe(kind))

  // IP-16: first, last, and one beyond each.
  it.each<[string, AddressClass, string | null, string | null]>([
    ['10.0.0.0/8', 'private', '9.255.255.255', '11.0.0.0'],
    ['172.16.0.0/12', 'private', '172.15.255.255', '172.32.0.0'],
    ['192.168.0.0/16', 'private', '192.167.255.255', '192.169.0.0'],
    ['100.64.0.0/10', 'carrier_nat', '100.63.255.255', '100.128.0.0'],
    ['127.0.0.0/8', 'loopback', '126.255.255.255', '128.0.0.0'],
    ['169.254.0.0/16', 'link_local', '169.253.255.255', '169.255.0.0'],
    ['192.0.0.0/24', 'reserved', '191.255.255.255', '192.0.1.0'],
    ['192.0.2.0/24', 'documentation', '192.0.1.255', '192.0.3.0'],
    ['198.18.0.0/15', 'benchmarking', '198.17.255.255', '198.20.0.0'],
    ['198.51.100.0/24', 'documentation', '198.51.99.255', '198.51.101.0'],
    ['203.0.113.0/24', 'documentation', '203.0.112.255', '203.0.114.0'],
    ['224.0.0.0/4', 'multicast', '223.255.255.255', null],
    ['fc00::/7', 'private', null, null],
    ['fe80::/10', 'link_local', null, null],
    ['fec0::/10', 'link_local', null, null],
    ['ff00::/8', 'multicast', null, null],
    ['2001:db8::/32', 'documentation', '2001:db7:ffff:ffff:ffff:ffff:ffff:ffff', '2001:db9::'],
    ['100::/64', 'reserved', null, null],
  ])('of %s is %s from its first to its last, and public just outside', (text, kind, below, above) => {
    const block = parseCidr(text) ?? expect.fail(text)
    const size = 1n << BigInt(block.bits - block.length)
    const at = (value: bigint): Ip => (block.bits === 32 ? ipv4FromValue(value) : { bits: 128, value, text: '' })
    expect(classifyAddress(at(block.base))).toBe(kind)
    expect(classifyAddress(at(block.base + size - 1n))).toBe(kind)
    for (const outside of [below, above]) if (outside !== null) expect(classifyAddress(ip(outside))).toBe('public')
  })

  it.each([
    '240.0.0.0',
    '255.255.255.254',
    '255.255.255.255',
    '3fff::1',
    '4000::',
    '1fff:ffff::',
    '5f00::1',
    '100:0:0:1::1',
  ])('of %s is not public', (text) => expect(classifyAddress(ip(text))).not.toBe('public'))

  it('is public only where ipaddr.js calls it unicast, embedded IPv4 included', () => {
    const any = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.ipV4().map((v4) => `::ffff:${v4}`),
      fc.ipV4().map((v4) => `64:ff9b::${v4}`),
    )
    fc.assert(
      fc.property(any, (text) => {
        const parsed = ip(text)
        if (classifyAddress(parsed) !== 'public') return
        const inner = innerAddress(parsed)
        expect(ipaddr.parse(inner.text).range()).toBe('unicast')
      }),
      { numRuns: 3000 },
    )
  })

  it('of an IPv4 is the same in every IPv6 that carries it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (n) => {
        const v4 = ipv4FromValue(BigInt(n))
        const expected = classifyAddress(v4)
        for (const prefix of [0xffffn << 32n, 0x64_ff9bn << 96n, 0xffff_0000n << 32n]) {
          expect(classifyAddress({ bits: 128, value: prefix | v4.value, text: '' })).toBe(expected)
        }
        expect(classifyAddress({ bits: 128, value: (0x2002n << 112n) | (v4.value << 80n), text: '' })).toBe(expected)
        expect(parseHost(`[::ffff:${v4.text}]`)?.ip).toEqual(v4)
      }),
    )
  })

  it('is never opened for metadata, link-local, multicast and unspecified', () => {
    for (const kind of ['metadata', 'link_local', 'multicast', 'unspecified'] as const) expect(isNever(kind)).toBe(true)
    for (const kind of ['public', 'loopback', 'private', 'carrier_nat'] as const) expect(isNever(kind)).toBe(false)
  })
})
