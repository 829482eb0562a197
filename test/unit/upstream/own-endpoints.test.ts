import { networkInterfaces } from 'node:os'
import { describe, expect, it } from 'vitest'
import { parseIp } from '../../../src/net/ip.ts'
import { createOwnEndpoints, type Endpoint } from '../../../src/upstream/own-endpoints.ts'

const mine = Object.values(networkInterfaces())
  .flat()
  .find((found) => found !== undefined && found.family === 'IPv4' && !found.internal)?.address

function isOwn(endpoint: Endpoint, address: string, port: number): boolean {
  return createOwnEndpoints(() => [endpoint])(parseIp(address) ?? expect.fail(address), port, 'asked.test')
}

describe('an endpoint of ours', () => {
  it.each([
    ['127.0.0.1', '127.0.0.1', true],
    ['127.0.0.1', '127.9.9.9', true],
    ['127.0.0.1', '::1', true],
    ['127.0.0.1', '192.0.2.1', false],
    ['::1', '127.0.0.1', true],
    ['0.0.0.0', '127.0.0.1', true],
    ['0.0.0.0', '127.255.0.1', true],
    ['0.0.0.0', '::1', true],
    ['0.0.0.0', '192.0.2.1', false],
    ['::', '127.0.0.1', true],
    ['::', '::1', true],
    ['::', '2001:db8::1', false],
    ['192.0.2.1', '192.0.2.1', true],
    ['192.0.2.1', '192.0.2.2', false],
    ['::ffff:192.0.2.1', '192.0.2.1', true],
    ['2001:db8::1', '2001:db8::1', true],
    ['2001:DB8:0::1', '2001:db8::1', true],
    ['fe80::1%eth0', 'fe80::1', true],
  ])('on %s is at %s: %s', (bound, asked, own) => {
    expect(isOwn({ address: bound, port: 3128 }, asked, 3128)).toBe(own)
    expect(isOwn({ address: bound, port: 3128 }, asked, 3129)).toBe(false)
  })

  it('on a wildcard or on loopback is at every address of this machine', () => {
    for (const bound of ['0.0.0.0', '::', '127.0.0.1'])
      if (mine !== undefined) expect(isOwn({ address: bound, port: 1 }, mine, 1)).toBe(true)
  })

  it('that is a name is ours by that name, whatever it resolves to', () => {
    const own = createOwnEndpoints(() => [{ address: 'vault.test', port: 8200 }])
    const ip = parseIp('192.0.2.1') ?? expect.fail('ip')
    expect([own(ip, 8200, 'vault.test'), own(ip, 443, 'vault.test'), own(ip, 8200, 'other.test')]).toEqual([
      true,
      false,
      false,
    ])
  })

  it('that is added later counts from then on', () => {
    const endpoints: Endpoint[] = []
    const own = createOwnEndpoints(() => endpoints)
    const ip = parseIp('192.0.2.1') ?? expect.fail('ip')
    expect(own(ip, 3180, 'asked.test')).toBe(false)
    endpoints.push({ address: '192.0.2.1', port: 3180 })
    expect(own(ip, 3180, 'asked.test')).toBe(true)
  })
})
