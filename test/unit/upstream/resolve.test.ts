import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Host } from '../../../src/net/host.ts'
import { parseHost } from '../../../src/net/host.ts'
import { parseIp } from '../../../src/net/ip.ts'
import type { HostsFile } from '../../../src/upstream/hosts-file.ts'
import { createResolve, type Resolve, type ResolveOptions } from '../../../src/upstream/resolve.ts'
import { type DnsStandIn, startDnsStandIn } from '../../support/dns-stand-in.ts'

let dns: DnsStandIn
beforeEach(async () => {
  dns = await startDnsStandIn({
    'both.test': { a: ['192.0.2.2', '192.0.2.1'], aaaa: ['2001:db8::1'] },
    'four.test': { a: ['192.0.2.4'] },
    'six.test': { aaaa: ['2001:db8::6'] },
    'short.test': { a: ['192.0.2.5'], ttlSeconds: 0 },
    'empty.test': 'nothing',
    'broken.test': 'servfail',
    'silent.test': 'silence',
    'many.test': { a: Array.from({ length: 70 }, (_, i) => `192.0.2.${i}`) },
    'alias.test': { cname: 'target.test', a: ['192.0.2.7'] },
  })
})
afterEach(() => dns[Symbol.asyncDispose]())

function resolver(changes: Partial<ResolveOptions> = {}): Resolve {
  return createResolve({
    servers: [dns.address],
    hostsFile: null,
    hosts: new Map(),
    namesMax: 100,
    timeoutMs: 100,
    ...changes,
  })
}

function host(name: string): Host {
  return parseHost(name) ?? expect.fail(name)
}

function textsOf(answer: Awaited<ReturnType<Resolve>>): string[] | string {
  return answer.kind === 'failed' ? answer.code : answer.addresses.map(({ text }) => text)
}

function ips(...texts: string[]) {
  return texts.map((text) => parseIp(text) ?? expect.fail(text))
}

describe('a name', () => {
  it.each([
    ['both.test', ['192.0.2.1', '192.0.2.2', '2001:db8::1']],
    ['four.test', ['192.0.2.4']],
    ['six.test', ['2001:db8::6']],
    ['alias.test', ['192.0.2.7']],
    ['absent.test', 'dns_failed'],
    ['empty.test', 'dns_failed'],
    ['broken.test', 'dns_failed'],
    ['many.test', 'dns_failed'],
  ])('%s is %j', async (name, said) => {
    expect(textsOf(await resolver()(host(name)))).toEqual(said)
  })

  it('that no server answers for fails in time', async () => {
    const began = performance.now()
    expect(textsOf(await resolver()(host('silent.test')))).toBe('dns_timeout')
    expect(performance.now() - began).toBeLessThan(3000)
  })

  it('is asked for absolutely, in both families, and nothing else is', async () => {
    await resolver()(host('Both.Test.'))
    await resolver()(host('absent.test'))
    const asked = dns.queries.map(({ name, type }) => `${name.toLowerCase()} ${type}`)
    expect([...new Set(asked)].sort()).toEqual(['absent.test 1', 'absent.test 28', 'both.test 1', 'both.test 28'])
  })

  it('has one key for one answer, in whatever order it came', async () => {
    const first = await resolver()(host('both.test'))
    dns.set('both.test', { a: ['192.0.2.1', '192.0.2.2'], aaaa: ['2001:db8::1'] })
    const second = await resolver()(host('both.test'))
    expect('key' in first && 'key' in second && first.key === second.key).toBe(true)
  })
})

describe('an answer is kept', () => {
  it('so that a name is asked for once, also by many at the same time', async () => {
    const resolve = resolver()
    await Promise.all(Array.from({ length: 20 }, async () => resolve(host('four.test'))))
    await resolve(host('four.test'))
    expect(dns.queries).toHaveLength(2)
  })

  it('for a second at least, whatever its TTL, and not for ever', async () => {
    const resolve = resolver()
    await resolve(host('short.test'))
    await resolve(host('short.test'))
    expect(dns.queries).toHaveLength(2)
    await new Promise((done) => setTimeout(done, 1100))
    await resolve(host('short.test'))
    expect(dns.queries).toHaveLength(4)
  })

  it('for a moment only when it is a failure', async () => {
    const resolve = resolver()
    expect(textsOf(await resolve(host('broken.test')))).toBe('dns_failed')
    const asked = dns.queries.length
    expect(textsOf(await resolve(host('broken.test')))).toBe('dns_failed')
    expect(dns.queries).toHaveLength(asked)
    dns.set('broken.test', { a: ['192.0.2.9'] })
    await new Promise((done) => setTimeout(done, 2100))
    expect(textsOf(await resolve(host('broken.test')))).toEqual(['192.0.2.9'])
  })

  it('for a bounded number of names', async () => {
    const resolve = resolver({ namesMax: 2 })
    for (const name of ['four.test', 'six.test', 'both.test', 'four.test']) await resolve(host(name))
    expect(dns.queries.filter(({ name }) => name === 'four.test')).toHaveLength(4)
  })
})

describe('no question is asked', () => {
  it.each(['192.0.2.1', '[2001:db8::1]'])('for the address %s', async (literal) => {
    expect(await resolver()(host(literal))).toMatchObject({ kind: 'resolved', addresses: [host(literal).ip] })
    expect(dns.queries).toEqual([])
  })

  it('for a name that is fixed in the configuration, and only for that name', async () => {
    const resolve = resolver({ hosts: new Map([['fixed.test', ips('198.51.100.1', '198.51.100.2')]]) })
    expect(textsOf(await resolve(host('FIXED.test')))).toEqual(['198.51.100.1', '198.51.100.2'])
    expect(dns.queries).toEqual([])
    await resolve(host('sub.fixed.test'))
    expect(dns.queries.length).toBeGreaterThan(0)
  })
})

describe('the system’s own names', () => {
  const hostsFile: HostsFile = (name) => (name === 'four.test' ? ips('198.51.100.9') : null)

  it('are none where servers are configured', async () => {
    expect(textsOf(await resolver({ hostsFile })(host('four.test')))).toEqual(['192.0.2.4'])
  })

  it('are asked where they are not, behind what the configuration fixes', async () => {
    expect(textsOf(await resolver({ hostsFile, servers: null })(host('four.test')))).toEqual(['198.51.100.9'])
    const hosts = new Map([['four.test', ips('203.0.113.1')]])
    expect(textsOf(await resolver({ hostsFile, servers: null, hosts })(host('four.test')))).toEqual(['203.0.113.1'])
  })
})
