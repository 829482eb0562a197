import { array, assert, constantFrom, property, tuple } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseH2Head } from '../../../src/net/h2-head.ts'
import { authorityOf } from '../exchange/fixture.ts'

const place = { kind: 'tunnel' as const, scheme: 'https' as const, authority: authorityOf('good.test:443') }
type Pair = readonly [name: string, value: string]
const usual: readonly Pair[] = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':authority', 'good.test'],
  [':path', '/a?b=c'],
]

const key = 'dGhlIHNhbXBsZSBub25jZQ=='
const read = (pairs: readonly Pair[], bodiless = true, headBytesMax = 32_768) =>
  parseH2Head(pairs.flat(), { place, bodiless, headBytesMax, newKey: () => key })

const withPseudo = (name: string, value: string): readonly Pair[] =>
  usual.map(([found, was]) => [found, found === name ? value : was])

function problemOf(pairs: readonly Pair[], bodiless = true): string {
  const { head } = read(pairs, bodiless)
  return 'kind' in head ? `${head.reason}: ${head.detail}` : expect.fail('it was read')
}

describe('the header list of a request', () => {
  it('is the same value as a head of HTTP/1.1', () => {
    const { raw, head } = read([...usual, ['accept', '*/*']])
    expect(raw).toEqual({
      method: 'GET',
      target: '/a?b=c',
      httpVersion: '1.1',
      fields: ['host', 'good.test', 'accept', '*/*'],
    })
    expect(head).toMatchObject({ method: 'GET', scheme: 'https', path: '/a', query: 'b=c', body: { kind: 'none' } })
  })

  it.each<[string, Pair[], boolean, object]>([
    ['none where the stream ended with its head', [], true, { kind: 'none' }],
    ['chunks where it did not', [], false, { kind: 'chunked' }],
    ['a length where one is announced', [['content-length', '7']], false, { kind: 'length', length: 7 }],
    ['a length of nothing', [['content-length', '0']], true, { kind: 'length', length: 0 }],
  ])('has a body of %s', (_name, fields, bodiless, body) => {
    expect(read([...usual, ...fields], bodiless).head).toMatchObject({ body })
  })

  it('joins the crumbs of a cookie, in order, where the first one stood', () => {
    const { raw } = read([...usual, ['cookie', 'a=1'], ['x', 'y'], ['cookie', 'b=2'], ['cookie', 'c=3']])
    expect(raw.fields).toEqual(['host', 'good.test', 'cookie', 'a=1; b=2; c=3', 'x', 'y'])
  })

  it('may say Host as well, if it says the same', () => {
    for (const host of ['good.test', 'good.test:443', 'GOOD.test'])
      expect(read([...usual, ['host', host]]).raw.fields).toEqual(['host', 'good.test'])
  })

  it('may accept trailers, which go no further', () => {
    expect(read([...usual, ['te', 'trailers']]).head).not.toHaveProperty('kind')
  })
})

const connect = (protocol: string): readonly Pair[] => [...withPseudo(':method', 'CONNECT'), [':protocol', protocol]]

describe('a WebSocket handshake', () => {
  const asked = [...connect('websocket'), ['sec-websocket-version', '13']] as const

  it('is the one of HTTP/1.1, with a key of ours', () => {
    const { raw, head } = read([...asked, ['sec-websocket-key', 'AAAA'], ['x', 'y']], false)
    expect(raw).toEqual({
      method: 'GET',
      target: '/a?b=c',
      httpVersion: '1.1',
      fields:
        `host good.test connection Upgrade upgrade websocket sec-websocket-key ${key} sec-websocket-version 13 x y`.split(
          ' ',
        ),
    })
    expect(head).toMatchObject({ method: 'WEBSOCKET', path: '/a', query: 'b=c', body: { kind: 'none' } })
  })

  it.each<[string, readonly Pair[], RegExp]>([
    ['another authority', asked.map((pair): Pair => (pair[0] === ':authority' ? [pair[0], 'evil.test'] : pair)), /mis/],
    ['another scheme', asked.map((pair): Pair => (pair[0] === ':scheme' ? [pair[0], 'http'] : pair)), /scheme/],
    ['a target that is no path', asked.map((pair): Pair => (pair[0] === ':path' ? [pair[0], 'chat'] : pair)), /path/],
    ['Connection', [...asked, ['connection', 'x']], /connection/],
  ])('with %s is refused', (_name, pairs, detail) => {
    expect(problemOf(pairs, false)).toMatch(detail)
  })
})

describe('what only HTTP/2 can say wrong', () => {
  const late: Pair[] = [['x', 'y']]
  it.each<[string, readonly Pair[], RegExp]>([
    ['no :method', usual.slice(1), /no :method/],
    ['no :scheme', usual.filter(([name]) => name !== ':scheme'), /no :scheme/],
    ['no :authority', [...usual.filter(([name]) => name !== ':authority'), ['host', 'good.test']], /no :authority/],
    ['no :path', usual.slice(0, 3), /no :path/],
    ...usual.map((pair): [string, Pair[], RegExp] => [`${pair[0]} twice`, [...usual, pair], /more than one/]),
    ['a pseudo-header field behind another', [...usual.slice(0, 3), ...late, [':path', '/']], /behind/],
    [':protocol of a GET', [...usual, [':protocol', 'websocket']], /without CONNECT/],
    ['two :protocol', [...connect('websocket'), [':protocol', 'websocket']], /more than one/],
    ['extended CONNECT to what is none', connect('connect-udp'), /than a WebSocket/],
    ['extended CONNECT to nothing', connect(''), /than a WebSocket/],
    ['extended CONNECT in other letters', connect('WebSocket'), /than a WebSocket/],
    ['extended CONNECT at the end of its stream', connect('websocket'), /end of its stream/],
    ['a status', [...usual, [':status', '200']], /does not know/],
    ['the name of a method of objects', [...usual, [':constructor', 'x']], /does not know/],
    ['another scheme', withPseudo(':scheme', 'http'), /scheme/],
    ['an upper-case name', [...usual, ['X-A', 'b']], /lower-case/],
    ['a colon in a name', [...usual, ['x:a', 'b']], /lower-case/],
    ['a line end in a name', [...usual, ['x\r\ny', 'b']], /lower-case/],
    ['an empty name', [...usual, ['', 'b']], /lower-case/],
    ['a line end in a value', [...usual, ['x', 'a\r\nhost: evil.test']], /value/],
    ['a lone line feed in a value', [...usual, ['x', 'a\nb']], /value/],
    ['a NUL in a value', [...usual, ['x', 'a\0b']], /value/],
    ['a blank before a value', [...usual, ['x', ' a']], /value/],
    ['a blank behind a value', [...usual, ['x', 'a\t']], /value/],
    ['Connection', [...usual, ['connection', 'close']], /connection/],
    ['Transfer-Encoding', [...usual, ['transfer-encoding', 'chunked']], /connection/],
    ['Upgrade', [...usual, ['upgrade', 'websocket']], /connection/],
    ['Keep-Alive', [...usual, ['keep-alive', '1']], /connection/],
    ['Proxy-Connection', [...usual, ['proxy-connection', 'x']], /connection/],
    ['TE of anything else', [...usual, ['te', 'gzip']], /TE/],
    ['a length without a body', [...usual, ['content-length', '3']], /length/],
  ])('is refused: %s', (_name, pairs, detail) => {
    const said = problemOf(pairs)
    expect(said).toMatch(/^malformed_request/)
    expect(said).toMatch(detail)
  })
})

describe('what HTTP/1.1 refuses is refused', () => {
  it.each<[string, readonly Pair[], RegExp]>([
    ['a method that is none', withPseudo(':method', 'TRACE'), /method/],
    ['CONNECT', withPseudo(':method', 'CONNECT'), /method/],
    ['a target with a blank', withPseudo(':path', '/a b'), /target/],
    ['a target with a line end', withPseudo(':path', '/a HTTP/1.1\r\nhost: evil.test\r\n\r\n'), /target/],
    ['a target that is no path', withPseudo(':path', 'http://evil.test/'), /path/],
    ['a target of all', withPseudo(':path', '*'), /path/],
    ['an authority with a user', withPseudo(':authority', 'u@good.test'), /Host/],
    ['two lengths', [...usual, ['content-length', '1'], ['content-length', '1']], /Content-Length/],
    ['a length that is no number', [...usual, ['content-length', '+1']], /Content-Length/],
    ['another expectation', [...usual, ['expect', 'x']], /Expect/],
  ])('%s', (_name, pairs, detail) => {
    const said = problemOf(pairs, false)
    expect(said).toMatch(/^malformed_request/)
    expect(said).toMatch(detail)
  })

  it.each([
    ['the authority', withPseudo(':authority', 'evil.test')],
    ['its port', withPseudo(':authority', 'good.test:8443')],
    ['Host', [...usual, ['host', 'evil.test'] as const]],
  ])('%s of another host is a mismatch', (_name, pairs) => {
    expect(problemOf(pairs)).toMatch(/^authority_mismatch/)
  })

  it('a head that is too large, in bytes or in fields', () => {
    expect(read([...usual, ['x', 'y'.repeat(100)]], true, 100).head).toMatchObject({ detail: 'the head is too large' })
    const many = Array.from({ length: 300 }, (): Pair => ['x', 'y'])
    expect(problemOf([...usual, ...many])).toMatch(/too many fields/)
  })
})

it('whatever is read has no line end and no name that is not a token', () => {
  const names = constantFrom(':method', ':path', ':scheme', ':authority', 'host', 'cookie', 'x', 'te', 'X', 'a b', '')
  const values = constantFrom('GET', '/', 'https', 'good.test', 'evil.test', 'a\r\nb', '\0', ' ', 'trailers', '\xff')
  const lists = array(tuple(names, values), { maxLength: 12 })
  assert(
    property(lists, (list) => {
      const { raw, head } = read([...usual, ...list.filter(([name]) => !name.startsWith(':'))])
      if ('kind' in head) return
      expect(raw.fields.join('\n')).toMatch(/^[\n\t -~\x80-\xff]*$/)
      for (let i = 0; i < raw.fields.length; i += 2) expect(raw.fields[i]).toMatch(/^[!-9;-~]+$/)
      expect(raw.fields.filter((_text, at) => at % 2 === 0 && raw.fields[at] === 'host')).toEqual(['host'])
    }),
  )
})
