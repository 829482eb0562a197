import { describe, expect, it } from 'vitest'
import { parseResponseHead, parseTrailers, printable } from '../../../src/net/response-head.ts'

function fieldsOf(raw: readonly (Buffer | string)[], cookies: 'pass' | 'strip' = 'pass'): readonly string[] {
  return parseResponseHead(200, 'OK', raw, cookies)?.fields ?? expect.fail('no head')
}

describe('what the origin said does not come back when it is', () => {
  it.each([
    'Connection',
    'Keep-Alive',
    'Proxy-Authenticate',
    'Proxy-Authentication-Info',
    'Proxy-Connection',
    'Proxy-Status',
    'TE',
    'Trailer',
    'Transfer-Encoding',
    'Upgrade',
    'Alt-Svc',
    'X-Egress-Decision',
    'X-Egress-Reason',
    'X-Egress-Decision-Id',
    'X-Egress-Whatever',
  ])('%s, in any case', (name) => {
    for (const spelled of [name, name.toLowerCase(), name.toUpperCase()])
      expect(fieldsOf(['Server', 'x', spelled, 'chunked', 'ETag', '"1"']), spelled).toEqual([
        'Server',
        'x',
        'ETag',
        '"1"',
      ])
  })

  it('named by Connection; but Content-Length stays, whatever Connection says of it', () => {
    const raw = [
      'X-Hop',
      '1',
      'Content-Length',
      '3',
      'Connection',
      'x-hop, content-length',
      'connection',
      'ETag',
      'ETag',
      'x',
    ]
    expect(fieldsOf(raw)).toEqual(['Content-Length', '3'])
  })
})

describe('cookies', () => {
  const raw = ['Set-Cookie', 'a=1', 'set-cookie', 'b=2', 'SET-COOKIE2', 'c=3', 'Vary', 'Cookie']

  it('pass one by one where the host is not pinned', () => {
    expect(fieldsOf(raw)).toEqual(raw)
  })

  it('stay here where it is: one won with our secret is itself a credential', () => {
    expect(fieldsOf(raw, 'strip')).toEqual(['Vary', 'Cookie'])
  })
})

describe('a head', () => {
  it('keeps bytes as they are, also those that are no text', () => {
    expect(fieldsOf([Buffer.from('X-Raw'), Buffer.from([0x66, 0xfc, 0xff])])).toEqual(['X-Raw', 'f\u00fc\u00ff'])
  })

  it.each([100, 101, 103, 199, 1000, 0, -1, 200.5, Number.NaN])(
    'with status %s is none that a client could be sent',
    (status) => {
      expect(parseResponseHead(status, '', [], 'pass')).toBeNull()
    },
  )

  it.each([200, 204, 299, 304, 418, 599, 600, 999])('with status %s is passed on', (status) => {
    expect(parseResponseHead(status, 'as it is', [], 'pass')).toMatchObject({ status, reason: 'as it is' })
  })

  it('counts the bytes of what is stripped too', () => {
    const bytes = (raw: string[]): number => parseResponseHead(200, 'OK', raw, 'strip')?.bytes ?? 0
    expect(bytes(['Set-Cookie', 'a=1']) - bytes([])).toBe('Set-Cookie: a=1\r\n'.length)
  })
})

describe('a reason phrase', () => {
  it.each([
    ['Not Found', 'Not Found'],
    ['', ''],
    ['tab\there', 'tab?here'],
    ['\u001b[31mred', '?[31mred'],
    ['gr\u00fcn\u00df', 'gr?n?'],
    ['a\r\nX: y', 'a??X: y'],
  ])('%j is shown as %j', (text, shown) => {
    expect(printable(text)).toBe(shown)
  })
})

describe('a body coded for the transfer', () => {
  it.each(['gzip, chunked', 'gzip', 'chunked, gzip', 'chunked, chunked', 'identity', ''])(
    '%j is no answer',
    (value) => {
      expect(parseResponseHead(200, 'OK', ['Transfer-Encoding', value], 'pass')).toBeNull()
    },
  )

  it.each(['chunked', 'Chunked', ' chunked '])('%j is what we undo', (value) => {
    expect(parseResponseHead(200, 'OK', ['Transfer-Encoding', value], 'pass')?.fields).toEqual([])
  })
})

describe('a trailer', () => {
  it.each(['grpc-status', 'grpc-message', 'Server-Timing', 'X-Checksum'])('%s is passed on', (name) => {
    expect(parseTrailers([Buffer.from(name), Buffer.from('a')], 'pass')).toEqual([name, 'a'])
  })

  it.each([
    'Authorization',
    'Cache-Control',
    'Connection',
    'Content-Encoding',
    'Content-Length',
    'Host',
    'Location',
    'Proxy-Status',
    'Set-Cookie',
    'Trailer',
    'Transfer-Encoding',
    'WWW-Authenticate',
    'X-Egress-Decision',
  ])('%s is not', (name) => {
    expect(parseTrailers(['x-a', 'b', name, 'chunked'], 'pass')).not.toContain(name)
  })
})
