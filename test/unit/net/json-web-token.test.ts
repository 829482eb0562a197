import { describe, expect, it } from 'vitest'
import { parseJsonWebToken } from '../../../src/net/json-web-token.ts'

const encode = (text: string): string => Buffer.from(text).toString('base64url')
const header = '{"alg":"RS256"}'

describe('a JSON Web Token', () => {
  it('says who made it, and the rest as text', () => {
    expect(parseJsonWebToken(`${encode(header)}.${encode('{"iss":"a","sub":"b"}')}.c2ln`)).toEqual({
      issuer: 'a',
      text: `${header}\n{"iss":"a","sub":"b"}`,
    })
    for (const claims of ['{"sub":"b"}', '{"iss":7}', '{"iss":["a"]}'])
      expect(parseJsonWebToken(`${encode(header)}.${encode(claims)}.`)?.issuer).toBeNull()
  })

  it.each([
    '',
    'sk-0123456789',
    `${encode(header)}.${encode('{"iss":"a"}')}`,
    `${encode(header)}.${encode('{"iss":"a"}')}.a.b`,
    `${encode(header)}.${encode('{"iss":"a"')}.a`,
    `${encode('[1]')}.${encode('{"iss":"a"}')}.a`,
    ` ${encode(header)}.${encode('{"iss":"a"}')}.a`,
  ])('is none that is %j', (text) => expect(parseJsonWebToken(text)).toBeNull())
})
