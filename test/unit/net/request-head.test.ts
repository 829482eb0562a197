import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAuthority } from '../../../src/net/authority.ts'
import { fieldValues } from '../../../src/net/fields.ts'
import {
  fieldCountMax,
  type HeadPlace,
  knownMethods,
  parseRequestHead,
  type RawHead,
  type RequestHead,
} from '../../../src/net/request-head.ts'

const good = parseAuthority('good.test:443') ?? expect.fail()
const tunnel: HeadPlace = { kind: 'tunnel', scheme: 'https', authority: good }
const proxy: HeadPlace = { kind: 'proxy' }

/** The same request on both paths. */
const paths: readonly (readonly [string, HeadPlace, string])[] = [
  ['absolute-form', proxy, 'http://good.test/x'],
  ['in a tunnel', tunnel, '/x'],
]

function parse(place: HeadPlace, raw: Partial<RawHead>, fields: readonly string[] = []) {
  return parseRequestHead(
    { method: 'GET', target: '/x', httpVersion: '1.1', ...raw, fields: raw.fields ?? ['Host', 'good.test', ...fields] },
    place,
  )
}

function reasonOf(found: ReturnType<typeof parse>): string | null {
  return 'kind' in found ? found.reason : null
}

function headOf(found: ReturnType<typeof parse>): RequestHead {
  return 'kind' in found ? expect.fail(found.detail) : found
}

describe.each(paths)('%s', (_, place, target) => {
  const refusedFields: readonly (readonly [string, readonly string[]])[] = [
    ['FRM-01 Content-Length before Transfer-Encoding', ['Content-Length', '4', 'Transfer-Encoding', 'chunked']],
    ['FRM-01 Transfer-Encoding before Content-Length', ['Transfer-Encoding', 'chunked', 'Content-Length', '4']],
    ['FRM-02 two lengths', ['Content-Length', '5', 'Content-Length', '6']],
    ['FRM-02 the same length twice, in another case', ['Content-Length', '5', 'CONTENT-LENGTH', '5']],
    ...[
      '5, 5',
      '5,6',
      '+5',
      '-1',
      '0x5',
      '5 0',
      '',
      '005',
      '1_0',
      '5;',
      '5 ',
      ' 5',
      '18446744073709551621',
      '9'.repeat(400),
      '5.0',
      '1e3',
      '٥',
    ].map((value): [string, string[]] => [`FRM-02/03 the length "${value.slice(0, 24)}"`, ['Content-Length', value]]),
    ...[
      'xchunked',
      'chunked, gzip',
      'gzip, chunked',
      'chunked, chunked',
      'chunked;a=b',
      'identity',
      '"chunked"',
      ', chunked',
      'chunked,',
      '',
      'cow chunked',
      'chunked ',
      '\tchunked',
      'chun\u212aed',
      'chunked\0',
    ].map((value): [string, string[]] => [`FRM-04 the coding ${JSON.stringify(value)}`, ['Transfer-Encoding', value]]),
    ['FRM-04 two codings', ['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked']],
    ...[
      'content-length',
      'Transfer-Encoding',
      'close, Content-Length',
      'host',
      'keep-alive,\tauthorization',
      'X-Api-Key',
      'cookie',
      'content-type',
      'expect',
      'x-amz-date',
      'x-forwarded-for',
      'range',
    ].map((value): [string, string[]] => [`FRM-15, HDR-01 Connection: ${value}`, ['Connection', value]]),
    ['FRM-18 an expectation that is none', ['Expect', '200-maybe']],
    ['FRM-18 two expectations', ['Expect', '100-continue', 'expect', '']],
    ['HOST-24 two hosts', ['Host', 'good.test']],
    ['HDR-08 more fields than anyone needs', Array.from({ length: fieldCountMax * 2 }, (_, i) => `x${i}`)],
  ] // prettier-ignore

  it.each(refusedFields)('refuses %s', (_, fields) =>
    expect(reasonOf(parse(place, { target, method: 'POST' }, fields))).toBe('malformed_request'),
  )

  // HOST-24
  it.each([
    'good.test, evil.test',
    '',
    ' good.test',
    'good.test ',
    'good.test@evil.test',
    'good.test\0',
    'good.test/',
    '[good.test]',
  ])('refuses the Host field "%s"', (host) =>
    expect(reasonOf(parse(place, { target, fields: ['Host', host] }))).toBe('malformed_request'),
  ) // prettier-ignore

  it('refuses a request without a Host field, in either version', () => {
    expect(reasonOf(parse(place, { target, fields: [] }))).toBe('malformed_request')
    expect(reasonOf(parse(place, { target, fields: [], httpVersion: '1.0' }))).toBe('malformed_request')
  })

  // HOST-22, HOST-23
  it.each(['evil.test', 'good.test:1', 'sub.good.test', 'good.test.evil.test', '127.0.0.1'])(
    'calls the Host field %s another authority',
    (host) => expect(reasonOf(parse(place, { target, fields: ['Host', host] }))).toBe('authority_mismatch'),
  )

  it('takes the Host field in other case and with a final dot', () => {
    expect(headOf(parse(place, { target, fields: ['HOST', 'GOOD.Test.'] })).authority.host.name).toBe('good.test')
  })

  it('refuses chunked in HTTP/1.0 (FRM-07)', () => {
    const raw = { target, method: 'POST', httpVersion: '1.0' }
    expect(reasonOf(parse(place, raw, ['Transfer-Encoding', 'chunked']))).toBe('malformed_request')
    expect(headOf(parse(place, raw, ['Content-Length', '3'])).body).toEqual({ kind: 'length', length: 3 })
  })

  it.each(['1.2', '2.0', '0.9', '', '01.1', '1', '1.10'])('refuses version "%s" (FRM-20)', (httpVersion) =>
    expect(reasonOf(parse(place, { target, httpVersion }))).toBe('malformed_request'),
  )

  // FRM-21, POL-22
  it.each([
    'SOURCE',
    'FROB',
    'PURGE',
    'M-SEARCH',
    'CONNECT',
    'TRACE',
    'WEBSOCKET',
    'get',
    'Get',
    'POST ',
    '',
    'A'.repeat(10_000),
  ])('refuses method %.20s', (method) => expect(reasonOf(parse(place, { target, method }))).toBe('malformed_request')) // prettier-ignore

  it('takes every known method', () => {
    for (const method of knownMethods) {
      if (method === 'WEBSOCKET') continue
      expect(headOf(parse(place, { target, method })).method).toBe(method)
    }
  })

  it('reads the body by its one framing', () => {
    expect(headOf(parse(place, { target })).body).toEqual({ kind: 'none' })
    expect(headOf(parse(place, { target }, ['Content-Length', '0'])).body).toEqual({ kind: 'length', length: 0 })
    expect(headOf(parse(place, { target }, ['transfer-encoding', 'Chunked'])).body).toEqual({ kind: 'chunked' })
    expect(headOf(parse(place, { target }, ['Expect', '100-Continue'])).expectContinue).toBe(true)
  })

  it('takes a WebSocket handshake for what it is', () => {
    const upgrade = ['Connection', 'keep-alive, Upgrade', 'Upgrade', 'WebSocket']
    expect(headOf(parse(place, { target }, upgrade)).method).toBe('WEBSOCKET')
    expect(reasonOf(parse(place, { target, method: 'POST' }, upgrade))).toBe('malformed_request')
  })

  // WS-03
  it.each([
    ['notupgrade', 'websocket'],
    ['Upgrade', 'websocketx'],
    ['Upgrade', 'h2c, websocket'],
    ['Upgrade', 'h2c'],
    ['keep-alive', 'websocket'],
  ])('takes Connection: %s with Upgrade: %s for no handshake', (connection, upgrade) => {
    expect(headOf(parse(place, { target }, ['Connection', connection, 'Upgrade', upgrade])).method).toBe('GET')
  })

  it('keeps two hundred fields in their order (HDR-13)', () => {
    const fields = Array.from({ length: 200 }, (_, i) => [`X-${i}`, `v${i}`]).flat()
    expect(headOf(parse(place, { target }, fields)).fields.slice(2)).toEqual(fields)
  })

  it('never throws, and what it takes says one thing only', () => {
    const text = fc.string({ unit: fc.constantFrom(...'aZ0/:.?#@\\ \t\r\n\0é,;%[]*'.split('')), maxLength: 20 })
    const name = fc.oneof(
      text,
      fc.constantFrom('Host', 'content-length', 'Transfer-Encoding', 'connection', 'Upgrade', 'expect'),
    )
    const value = fc.oneof(text, fc.constantFrom('good.test', 'chunked', '5', 'websocket', 'upgrade', '100-continue'))
    fc.assert(
      fc.property(
        fc.array(fc.tuple(name, value), { maxLength: 6 }),
        fc.oneof(text, fc.constant(target)),
        (pairs, wanted) => {
          const found = parse(place, { target: wanted, fields: ['Host', 'good.test', ...pairs.flat()] })
          if ('kind' in found) return
          expect(found.path.startsWith('/')).toBe(true)
          expect(found.path + (found.query ?? '')).toMatch(/^[!"$-~]*$/)
          expect(fieldValues(found.fields, 'host')).toHaveLength(1)
          expect(
            fieldValues(found.fields, 'content-length').length + fieldValues(found.fields, 'transfer-encoding').length,
          ).toBe(found.body.kind === 'none' ? 0 : 1)
        },
      ),
      { numRuns: 1000 },
    )
  })
})

describe('a target in absolute-form', () => {
  it.each([
    ['http://good.test', '/', null],
    ['http://good.test/', '/', null],
    ['HTTP://GOOD.test/A%2fb', '/A%2fb', null],
    ['http://good.test?x=1', '/', 'x=1'],
    ['http://good.test/a?b?c', '/a', 'b?c'],
    ['http://good.test:80/a//b/../c', '/a//b/../c', null], // as spelled: what is ambiguous is for the rules to say
    ['http://good.test/?', '/', ''],
  ])('%s asks for %s with the query %s', (target, path, query) => {
    const head = headOf(parse(proxy, { target }))
    expect([head.path, head.query, head.scheme]).toEqual([path, query, 'http'])
  })

  // HOST-13, HOST-15, HOST-17, HOST-20, FRM-23
  it.each([
    'ftp://good.test/',
    'gopher://good.test/',
    'file:///etc/passwd',
    'https://good.test/',
    'cache_object://good.test/',
    'ws://good.test/',
    'http:/good.test/',
    'http:good.test',
    '//good.test/',
    '/x',
    '*',
    '',
    'http://',
    'http:///x',
    'http://good.test@evil.test/',
    'http://good.test:80@evil.test/',
    'http://@good.test/',
    'http://good.test:/',
    'http://good.test:080/',
    'http://good.test:65616/',
    'http://good.test#x/',
    'http://good.test/#x',
    'http://good.test\\@evil.test/',
    'http://good.test\\x/',
    'http://good.test /',
    'http://good.test/a b',
    'http://good.test/\0',
    'http://good.test/\u00e9',
    'http://good.test/\x7f',
    'http://g%6fod.test/',
    'http://[good.test]/',
    ' http://good.test/',
    'http://good.test,evil.test/',
  ])('%j is refused', (target) => expect(reasonOf(parse(proxy, { target }))).toBe('malformed_request')) // prettier-ignore
})

describe('a target in a tunnel', () => {
  // TUN-06, TUN-07
  it.each([
    'https://good.test/',
    'http://good.test/',
    'https://evil.test/',
    'good.test:443',
    '*',
    '',
    'x',
    '?x',
    '/a b',
    '/\t',
    '/#x',
    '/\u00e9',
    '/\0',
  ])('%j is refused', (target) => expect(reasonOf(parse(tunnel, { target }))).toBe('malformed_request')) // prettier-ignore

  it('is kept as it is spelled', () => {
    const head = headOf(parse(tunnel, { target: '/a;b/%2E%2e//c\\d?x=1&y="2"' }))
    expect([head.path, head.query]).toEqual(['/a;b/%2E%2e//c\\d', 'x=1&y="2"'])
  })
})
