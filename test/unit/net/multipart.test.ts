import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseInnerRequest, parseMultipart } from '../../../src/net/multipart.ts'

const type = 'multipart/form-data; boundary=x'

describe('multipart', () => {
  it('is read as it was written', () => {
    const name = fc.stringMatching(/^[a-z_]{1,10}$/)
    const value = fc.string({ unit: 'binary-ascii' }).filter((text) => !text.includes('--x'))
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { minLength: 1 }), (pairs) => {
        const parts = pairs.map(
          ([one, text]) => `--x\r\nContent-Disposition: form-data; name="${one}"\r\n\r\n${text}\r\n`,
        )
        expect(parseMultipart(`${parts.join('')}--x--\r\n`, type)).toEqual(
          pairs.map(([one, text]) => ({
            fields: ['Content-Disposition', `form-data; name="${one}"`],
            name: one,
            value: text,
          })),
        )
      }),
    )
  })

  const part = '--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n'
  it.each([
    ['a boundary that it does not have', 'multipart/form-data', `${part}--x--`],
    ['two boundaries', `${type}; boundary="y"`, `${part}--x--`],
    ['a preamble', type, `\r\n${part}--x--`],
    ['another delimiter first', type, part.replace('--x', 'abc') + '--x--'],
    ['a delimiter within a line', type, part.replace('b', 'bbb--x\r\n\r\n') + '--x--'],
    ['an epilogue', type, `${part}--x--\r\n${part}`],
    ['no end', type, part],
    ['bare line feeds', type, `${part}--x--`.replaceAll('\r', '')],
    ['what begins like the boundary', type, part.replace('b', 'b\n--x')],
    ['a longer boundary', type, part.replace('--x', '--xy')],
    ['two names', type, part.replace('name=a', 'name=a; name=b')],
    ['two dispositions', type, part.replace('\r\n\r\n', '\r\nContent_Disposition: form-data; name=b\r\n\r\n')],
    ['a folded line', type, part.replace('; name', ';\r\n name')],
    ['a coding', type, part.replace('\r\n\r\n', '\r\nContent-Transfer-Encoding: base64\r\n\r\n')],
  ])('with %s is none', (_what, contentType, body) => {
    expect(parseMultipart(`${part}--x--`, type)).toMatchObject([{ name: 'a', value: 'b' }])
    expect(parseMultipart(body, contentType)).toBeNull()
  })

  it.each(['name="a\\"b"', 'NAME = "a\\"b"', "name*=utf-8''a%22b", 'filename="name=c"; name="a\\"b"'])(
    'has its name in %s',
    (text) => {
      const body = `--x\r\nContent-Disposition: form-data; ${text}\r\n\r\nb\r\n--x--`
      expect(parseMultipart(body, type)).toMatchObject([{ name: 'a"b', value: 'b' }])
    },
  )
})

describe('multipart of other kinds', () => {
  const mixed = 'multipart/mixed; boundary="x"'
  const part = '--x\r\nContent-Type: application/json\r\n\r\n{"a":1}\r\n'

  it('has parts without a name', () => {
    expect(parseMultipart(`${part}--x--\r\n`, mixed)).toEqual([
      { fields: ['Content-Type', 'application/json'], name: '', value: '{"a":1}' },
    ])
  })

  it('may end its lines with bare line feeds, all of them', () => {
    const bare = `${part}--x\r\n\r\nb\r\n--x--\r\n`.replaceAll('\r', '')
    expect(parseMultipart(bare, mixed)?.map(({ value }) => value)).toEqual(['{"a":1}', 'b'])
    for (const one of ['--x\n\nb\n', '\n--x--', '{"a":1}\n', 'json\n\n'])
      expect(parseMultipart(bare.replace(one, one.replaceAll('\n', '\r\n')), mixed), one).toBeNull()
    expect(parseMultipart(`${part}--x--\r\n`.replace('json\r', 'json'), mixed)).toBeNull()
  })
})

describe('a request in a part', () => {
  it.each(['\r\n', '\n'])('is read as far as a credential could be in it, with lines that end in %j', (end) => {
    const text = ['POST /a?b=c HTTP/1.1', 'X-A:  d ', 'x_b:', '', '{}', '', 'e'].join(end)
    expect(parseInnerRequest(text)).toEqual({
      method: 'POST',
      query: 'b=c',
      fields: ['X-A', 'd', 'x_b', ''],
      body: ['{}', '', 'e'].join(end),
    })
    expect(parseInnerRequest(`GET /a${end}A: b${end}`)).toEqual({
      method: 'GET',
      query: null,
      fields: ['A', 'b'],
      body: '',
    })
  })

  it.each([
    '',
    'GET',
    'GET /a b HTTP/1.1\r\n\r\n',
    'GET /a HTTP/2\r\n\r\n',
    'HTTP/1.1 200 OK\r\n\r\n',
    '\r\nGET /a HTTP/1.1\r\n\r\n',
    'GET /a HTTP/1.1\r\nA: b\nC: d\r\n\r\n',
    'GET /a HTTP/1.1\nA: b\r\n\n',
    'GET /a HTTP/1.1\r\n folded: b\r\n\r\n',
    'GET /a HTTP/1.1\r\nno field\r\n\r\n',
  ])('is none that is %j', (text) => expect(parseInnerRequest(text)).toBeNull())
})
