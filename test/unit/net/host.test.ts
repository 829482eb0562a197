import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAuthority, parseHostField } from '../../../src/net/authority.ts'
import { parseHost } from '../../../src/net/host.ts'

const good: readonly (readonly [string, string])[] = [
  ['good.test', 'good.test'],
  ['GOOD.Test', 'good.test'],
  ['good.test.', 'good.test'],
  ['foo_bar.good.test', 'foo_bar.good.test'], // HOST-26
  ['_dmarc.good.test', '_dmarc.good.test'],
  ['xn--bcher-kva.test', 'xn--bcher-kva.test'],
  ['localhost', 'localhost'],
  ['metadata', 'metadata'],
  ['1a.test', '1a.test'],
  ['a.1b', 'a.1b'],
  ['__proto__', '__proto__'],
  ['constructor', 'constructor'],
  [`${'a'.repeat(63)}.test`, `${'a'.repeat(63)}.test`],
  ['93.184.216.34', '93.184.216.34'],
  ['[::1]', '[::1]'],
  ['[2001:DB8:0:0:0:0:0:1]', '[2001:db8::1]'],
  ['[::ffff:127.0.0.1]', '127.0.0.1'], // IP-10
  ['[::ffff:7f00:1]', '127.0.0.1'],
  ['[0:0:0:0:0:ffff:a9fe:a9fe]', '169.254.169.254'],
  ['[64:ff9b::8.8.8.8]', '[64:ff9b::808:808]'],
]

const bad: readonly (readonly [string, readonly string[]])[] = [
  ['HOST-01 NUL', ['evil.test\0.good.test', '\0', 'good.test\0']],
  ['HOST-02 percent-NUL', ['evil.test%00.good.test']],
  [
    'HOST-03 controls',
    [
      'good\r.test',
      'good\n.test',
      'good\t.test',
      'good\x01.test',
      'good\x7f.test',
      'good .test',
      ' good.test',
      'good.test\n',
    ],
  ],
  [
    'HOST-06 brackets',
    ['[[good.test]]', '[good.test]', '[127.0.0.1]', '[::1', '::1]', '[]', '[', ']', '[::1]]', '[[::1]]', '[::1].test'],
  ],
  ['HOST-08 letters that fold', ['goo\u212a.test', '\u0130.test', '\u0131.test', '\u017f.test']],
  ['HOST-09 full width', ['ｇｏｏｄ.test', 'good。test', '①②⑦.0.0.1', 'good．test']],
  ['HOST-10 percent', ['g%6fod.test', 'evil%2etest', 'good.test%2eevil.test']],
  ['HOST-11 ignorable', ['go\u00adod.test', 'go\u200bod.test', 'go\u200cod.test', '\ufeffgood.test']],
  ['HOST-13 userinfo', ['good.test@evil.test', 'a:b@evil.test']],
  [
    'HOST-15 fragment and query',
    [
      'evil.test?.good.test',
      'evil.test#.good.test',
      'evil.test/.good.test',
      'evil.test\\.good.test',
      'evil.test;good.test',
    ],
  ],
  ['HOST-16 zone', ['[::1%25.good.test]', '[::ffff:1.2.3.4%x.good.test]', '[fe80::1%eth0]', '[fe80::1%25eth0]']],
  [
    'IP-09 odd quads',
    [
      '999.1.1.1',
      '1.2.3.256',
      '1.2.3.4.5',
      '08.1.1.1',
      '0x',
      '127.1',
      '2130706433',
      '0x7f000001',
      '0x7f.0.0.1',
      '0177.0.0.1',
      '1.2.3.4.',
      '1.2.3',
      '1.2.3.0x4',
      '169.254.43518',
      'a.0x',
      'good.123',
      'good.0xff',
    ],
  ],
  [
    'shape',
    [
      '',
      '.',
      '..',
      '.good.test',
      'good..test',
      'good.test..',
      '-good.test',
      'good-.test',
      'good.-test',
      `${'a'.repeat(64)}.test`,
      'a.'.repeat(127) + 'aa',
      'good,test',
      'good.test,evil.test',
      '*.good.test',
      'good:80',
      '::1',
      '1::2',
      '2001:db8::1',
    ],
  ],
] // prettier-ignore

describe('a host', () => {
  it.each(good)('%s is %s', (written, text) => expect(parseHost(written)?.text).toBe(text))

  describe.each(bad)('%s is none', (_, cases) => {
    it.each(cases.map((one) => [JSON.stringify(one), one]))('%s', (_, written) => expect(parseHost(written)).toBeNull())
  })

  it('has 253 characters at most, and one dot more', () => {
    const name = `${'a.'.repeat(126)}b`
    expect(name).toHaveLength(253)
    expect(parseHost(name)?.text).toBe(name)
    expect(parseHost(`${name}.`)?.text).toBe(name)
    expect(parseHost(`${name}c`)).toBeNull()
  })

  it('knows a literal from a name', () => {
    expect(parseHost('127.0.0.1')?.ip?.bits).toBe(32)
    expect(parseHost('[::ffff:127.0.0.1]')?.ip?.bits).toBe(32)
    expect(parseHost('[::1]')?.ip?.bits).toBe(128)
    expect(parseHost('localhost')?.ip).toBeNull()
  })
})

const oddText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: fc.constantFrom(...'abAB019.-_:[]%@/?#\\ \0\t\nx'.split('')), maxLength: 24 }),
  fc.domain(),
  fc.ipV4(),
  fc.ipV4Extended(),
  fc.ipV6().map((ip) => `[${ip}]`),
  fc.webAuthority({ withPort: true, withUserInfo: true, withIPv4: true, withIPv6: true }),
)

describe('for any text', () => {
  it('a host never throws and prints what parses to itself', () => {
    fc.assert(
      fc.property(oddText, (text) => {
        const host = parseHost(text)
        if (host === null) return
        const again = parseHost(host.text)
        expect(again?.text).toBe(host.text)
        expect(again?.name).toBe(host.name)
        expect(again?.ip).toEqual(host.ip)
        expect(host.text).toMatch(/^[!-~]+$/)
      }),
      { numRuns: 3000 },
    )
  })

  it('an authority never throws and prints what parses to itself', () => {
    fc.assert(
      fc.property(oddText, fc.constantFrom('', ':443', ':80', ':0'), (text, port) => {
        const authority = parseAuthority(text + port)
        if (authority !== null) expect(parseAuthority(authority.text)).toEqual(authority)
        const field = parseHostField(text + port, 'https')
        if (field !== null) expect(parseAuthority(field.text)).toEqual(field)
      }),
      { numRuns: 3000 },
    )
  })

  it('a plain name is the host that URL reads, where URL reads one', () => {
    fc.assert(
      fc.property(fc.domain(), (domain) => {
        expect(parseHost(domain)?.name).toBe(new URL(`http://${domain}`).hostname)
      }),
    )
  })
})
