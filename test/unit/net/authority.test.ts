import { describe, expect, it } from 'vitest'
import { hostField, parseAuthority, parseHostField, sameAuthority } from '../../../src/net/authority.ts'

describe('an authority', () => {
  it.each([
    ['good.test:443', 'good.test:443'],
    ['GOOD.test.:443', 'good.test:443'],
    ['[::1]:80', '[::1]:80'],
    ['[::ffff:10.0.0.1]:80', '10.0.0.1:80'],
    ['10.0.0.1:65535', '10.0.0.1:65535'],
    ['__proto__:443', '__proto__:443'],
  ])('%s is %s', (written, text) => expect(parseAuthority(written)?.text).toBe(text))

  // HOST-17
  it.each(
    [
      ':0',
      ':65536',
      ':65979',
      ':-1',
      ':+443',
      ': 443',
      ':0443',
      ':https',
      '',
      ':',
      ':443:443',
      ':443/',
      ':443 ',
      ':4 43',
      ':４４３',
      ':1e2',
      ':0x1bb',
      ':443\0',
      ':443\n',
      ':99999999999',
    ].map((port) => [JSON.stringify(port), port]),
  )('good.test with the port %s is none', (_, port) => expect(parseAuthority(`good.test${port}`)).toBeNull()) // prettier-ignore

  it.each([
    'good.test@evil.test:443',
    'good.test:80@evil.test:443',
    'evil.test?.good.test:443',
    'evil.test#.good.test:443',
    '::1:443',
    '2001:db8::1:443',
    '[::1%25x]:443',
    ':443',
    'http://good.test:443',
    'good.test/:443',
  ])('%s is none', (written) => expect(parseAuthority(written)).toBeNull())
})

describe('a Host field', () => {
  it.each([
    ['good.test', 'https', 'good.test:443'],
    ['good.test', 'http', 'good.test:80'],
    ['good.test:8443', 'https', 'good.test:8443'],
    ['[::1]', 'http', '[::1]:80'],
  ] as const)('%s over %s is %s', (written, scheme, text) => expect(parseHostField(written, scheme)?.text).toBe(text))

  // HOST-24
  it.each([
    '',
    ' ',
    'good.test, evil.test',
    'good.test,evil.test',
    'good.test evil.test',
    'a@good.test',
    'good.test:',
    'good.test:1:2',
  ])('"%s" is none', (written) => expect(parseHostField(written, 'http')).toBeNull()) // prettier-ignore

  it('is printed without the port that the scheme implies', () => {
    const at = (text: string) => parseAuthority(text) ?? expect.fail(text)
    expect(hostField(at('good.test:443'), 'https')).toBe('good.test')
    expect(hostField(at('good.test:443'), 'http')).toBe('good.test:443')
    expect(hostField(at('[::1]:80'), 'http')).toBe('[::1]')
    expect(sameAuthority(at('A.test.:443'), at('a.test:443'))).toBe(true)
    expect(sameAuthority(at('a.test:443'), at('a.test:80'))).toBe(false)
  })
})
