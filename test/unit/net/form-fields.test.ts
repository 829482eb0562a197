import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseMultipart, parseUrlEncoded } from '../../../src/net/form-fields.ts'

const type = 'multipart/form-data; boundary=x'

describe('an urlencoded form', () => {
  it('is read as URLSearchParams reads it, where only & parts', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string(), fc.string()), { minLength: 1 }), (pairs) => {
        const text = new URLSearchParams(pairs).toString()
        const bytes = (value: string): string => Buffer.from(value.toWellFormed()).toString('latin1')
        expect(parseUrlEncoded(text)).toEqual(
          pairs.map(([name, value]) => ({ name: bytes(name), value: bytes(value) })),
        )
      }),
    )
  })
})

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
          pairs.map(([one, text]) => ({ name: one, value: text })),
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
    expect(parseMultipart(`${part}--x--`, type)).toEqual([{ name: 'a', value: 'b' }])
    expect(parseMultipart(body, contentType)).toBeNull()
  })

  it.each(['name="a\\"b"', 'NAME = "a\\"b"', "name*=utf-8''a%22b", 'filename="name=c"; name="a\\"b"'])(
    'has its name in %s',
    (text) => {
      const body = `--x\r\nContent-Disposition: form-data; ${text}\r\n\r\nb\r\n--x--`
      expect(parseMultipart(body, type)).toEqual([{ name: 'a"b', value: 'b' }])
    },
  )
})
