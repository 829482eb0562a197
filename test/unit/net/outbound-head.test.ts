import { describe, expect, it } from 'vitest'
import { parseAuthority } from '../../../src/net/authority.ts'
import {
  type FieldFilter,
  forwardedFields,
  headBytes,
  type OutboundHead,
  outboundHead,
  withField,
  withoutFields,
  withoutQueryParameters,
  withQueryParameter,
} from '../../../src/net/outbound-head.ts'
import type { RequestHead } from '../../../src/net/request-head.ts'

function head(fields: readonly string[], changes: Partial<RequestHead> = {}): RequestHead {
  const authority = parseAuthority('api.test:443') ?? expect.fail('authority')
  const body = { kind: 'none' } as const
  const { length } = fields
  expect(length % 2).toBe(0)
  return {
    method: 'GET',
    scheme: 'https',
    authority,
    path: '/p',
    query: null,
    fields,
    body,
    expectContinue: false,
    ...changes,
  }
}

function namesOf(sent: OutboundHead): string[] {
  return sent.fields.filter((_, i) => i % 2 === 0)
}

const outboundOf = (request: RequestHead, drop: FieldFilter): OutboundHead =>
  outboundHead(request, forwardedFields(request.fields, drop))
const keepAll = (): boolean => false

describe('what the client sent does not go out when it is', () => {
  it.each([
    // Hop-by-hop (RFC 9110 §7.6.1) and the proxy's own.
    'Connection',
    'Keep-Alive',
    'Proxy-Authorization',
    'Proxy-Authenticate',
    'Proxy-Authentication-Info',
    'Proxy-Connection',
    'TE',
    'Trailer',
    'Transfer-Encoding',
    'Upgrade',
    'HTTP2-Settings',
    // Framing and target are ours to say.
    'Host',
    'Content-Length',
    'Expect',
    // Would be obeyed though no rule judged them.
    'X-HTTP-Method',
    'X-HTTP-Method-Override',
    'X-Method-Override',
    'X-Original-URL',
    'X-Rewrite-URL',
    'X-Original-Host',
    'X-Unix-Socket',
    'Forwarded',
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'X-Forwarded-Anything-At-All',
    'X-Egress-Decision',
    'X-Egress-Anything-At-All',
  ])('%s, in any case, with hyphens, underscores or dots', (name) => {
    for (const spelled of [
      name,
      name.toLowerCase(),
      name.toUpperCase(),
      name.replaceAll('-', '_'),
      name.replaceAll('-', '.'),
      name.replaceAll('-', '_').toUpperCase(),
    ]) {
      const sent = outboundOf(head(['Accept', '*/*', spelled, 'value', 'X-After', '1']), keepAll)
      expect(sent.fields, spelled).toEqual(['Accept', '*/*', 'X-After', '1'])
    }
  })

  it('named by Connection, however often and with whatever spaces', () => {
    const sent = outboundOf(
      head([
        'Connection',
        'close, X-One ,\tx-TWO',
        'X-One',
        '1',
        'x-two',
        '2',
        'X-Three',
        '3',
        'connection',
        'X-Three',
      ]),
      keepAll,
    )
    expect(sent.fields).toEqual([])
  })

  it('what the caller says to drop, by lower-case name and value', () => {
    const sent = outboundOf(head(['Cookie', 'a', 'X-B', 'secret', 'X-B', 'other']), (name, value) => {
      return name === 'cookie' || value === 'secret'
    })
    expect(sent.fields).toEqual(['X-B', 'other'])
  })
})

describe('what goes out', () => {
  it('is everything else: in order, in the case it came in, duplicates too', () => {
    const fields = [
      'aCCept',
      '*/*',
      'User-Agent',
      'x',
      'Cookie',
      'a=1',
      'cookie',
      'b=2',
      'Via',
      '1.1 other',
      'X_A',
      'y',
    ]
    expect(outboundOf(head(fields), keepAll).fields).toEqual(fields)
  })

  it.each([
    ['api.test:443', 'https', 'api.test'],
    ['api.test:80', 'http', 'api.test'],
    ['api.test:8443', 'https', 'api.test:8443'],
    ['api.test:443', 'http', 'api.test:443'],
    ['[2001:db8::1]:443', 'https', '[2001:db8::1]'],
  ] as const)('for %s over %s says Host: %s', (authority, scheme, host) => {
    const asked = { authority: parseAuthority(authority) ?? expect.fail(authority), scheme }
    expect(outboundOf(head(['Host', 'evil.test'], asked), keepAll).host).toBe(host)
  })

  it('has the target as judged: an empty query is not no query', () => {
    expect(outboundOf(head([], { query: null }), keepAll).target).toBe('/p')
    expect(outboundOf(head([], { query: '' }), keepAll).target).toBe('/p?')
    expect(outboundOf(head([], { query: 'a=%41' }), keepAll).target).toBe('/p?a=%41')
  })

  it('counts its bytes with every field', () => {
    const short = headBytes(outboundOf(head([]), keepAll))
    expect(headBytes(outboundOf(head(['Abc', '12345']), keepAll)) - short).toBe('Abc: 12345\r\n'.length)
  })
})

describe('one thing changed', () => {
  const sent = outboundOf(head(['X-Key', 'old', 'Other', '1', 'x-KEY', 'older']), keepAll)

  it('a field is set once, whatever stood there in any case before', () => {
    expect(withField(sent, 'x-key', 'new').fields).toEqual(['Other', '1', 'x-key', 'new'])
    expect(namesOf(withField(withField(sent, 'X-Key', 'new'), 'X-Key', 'newer'))).toEqual(['Other', 'X-Key'])
  })

  it('fields are taken out in any case', () => {
    expect(withoutFields(sent, ['X-KEY', 'absent']).fields).toEqual(['Other', '1'])
  })

  it.each([
    ['/p', '/p?key=n%26w'],
    ['/p?', '/p?key=n%26w'],
    ['/p?a=1', '/p?a=1&key=n%26w'],
    ['/p?key=old&a=1&KEY=x&%6bey=y', '/p?a=1&key=n%26w'],
  ])('%s with a query parameter becomes %s', (target, expected) => {
    expect(withQueryParameter({ ...sent, target }, 'key', 'n&w').target).toBe(expected)
  })

  it('parameters are taken out by what their names mean', () => {
    const target = '/p?access_token=1&b=2'
    expect(withoutQueryParameters({ ...sent, target }, (name) => name === 'access_token').target).toBe('/p?b=2')
  })
})
