import { describe, expect, it } from 'vitest'
import { announcedOf, announcedTrailers } from '../../../src/net/request-trailers.ts'

const announced = (...values: string[]): readonly string[] =>
  announcedTrailers(
    values.flatMap((value) => ['Trailer', value]),
    (name) => name === 'my-key',
  )

describe('what a head announces', () => {
  it('is each name once, over all its fields', () => {
    expect(announced('X-Sum, grpc-status', 'x-sum,x-more')).toEqual(['x-sum', 'grpc-status', 'x-more'])
    expect(announcedTrailers(['X-Sum', 'abc'], () => false)).toEqual([])
  })

  it.each([
    'Host',
    'Content-Length',
    'content_length',
    'Transfer-Encoding',
    'Content-Type',
    'Cookie',
    'TE',
    'Trailer',
    'Connection',
    'Proxy-Authorization',
    'Range',
    'If-Match',
    'Expect',
    'X-Forwarded-Host',
    'X-HTTP-Method-Override',
    'Sec-Fetch-Site',
    'my-key',
    ':path',
    'a b',
    '',
  ])('is not %j', (name) => {
    expect(announced(name)).toEqual([])
  })
})

describe('what came of it', () => {
  it('is what was announced, each once', () => {
    const received = ['X-Sum', ' a ', 'other', 'b', 'x-sum', 'c']
    expect(announcedOf(received, ['x-sum', 'x-more'])).toEqual({ 'x-sum': 'a, c' })
  })

  it.each(['a\r\nb', 'a\nb', '\0', '\x7f'])('is nothing that would be a line elsewhere: %j', (value) => {
    expect(announcedOf(['x-sum', value], ['x-sum'])).toEqual({})
  })
})
