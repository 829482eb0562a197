import { describe, expect, it } from 'vitest'
import { authorityOf, parseAuthority } from '../../../src/net/authority.ts'
import { fieldValue, fieldValues, foldName, isHopByHop, listTokens } from '../../../src/net/fields.ts'
import { checkConnectFields, fieldCountMax, nominatedFields } from '../../../src/net/request-head.ts'

const good = parseAuthority('good.test:443') ?? expect.fail()

describe('the fields of CONNECT', () => {
  it.each([
    [[]],
    [['Host', 'good.test:443']],
    [['host', 'GOOD.test']],
    [['Host', 'good.test.']],
    [['Proxy-Authorization', 'Basic x']],
  ])('%j are taken', (fields) => expect(checkConnectFields(fields, good)).toBeNull())

  // HOST-25
  it.each([
    [['Host', 'evil.test:443']],
    [['Host', 'good.test:80']],
    [['Host', '']],
    [['Host', 'good.test', 'Host', 'good.test']],
    [['Content-Length', '0']],
    [['Transfer-Encoding', 'chunked']],
    [['Host', 'good.test@evil.test']],
    [Array.from({ length: fieldCountMax * 2 + 2 }, () => 'x')],
  ])('%.60j are refused', (fields) => expect(checkConnectFields(fields, good)?.reason).toBe('malformed_request'))

  it('must name the port where it is not the one of https', () => {
    const odd = authorityOf(good.host, 8443)
    expect(checkConnectFields(['Host', 'good.test'], odd)).toBeNull()
    expect(checkConnectFields(['Host', 'good.test:443'], odd)).not.toBeNull()
  })
})

describe('fields', () => {
  const fields = ['A', '1', 'b', '2', 'a', '3', 'Connection', 'close, X-One', 'connection', ' x-two ,,keep-alive']

  it('are found in any case, in order', () => {
    expect(fieldValue(fields, 'a')).toBe('1')
    expect(fieldValues(fields, 'a')).toEqual(['1', '3'])
    expect(fieldValue(fields, 'c')).toBeNull()
    expect(fieldValues(fields, '__proto__')).toEqual([])
  })

  it('that Connection names are known, hop-by-hop ones aside', () => {
    expect([...nominatedFields(fields)]).toEqual(['close', 'x-one', 'x-two'])
    expect(listTokens(' a ,\tB,,')).toEqual(['a', 'b'])
  })

  it.each(['X_Api_Key', 'x.api.key', 'X-API-KEY', 'x api key'])('%s folds to x-api-key (HDR-03)', (name) =>
    expect(foldName(name)).toBe('x-api-key'),
  )

  it('know what belongs to one connection only (HDR-05)', () => {
    for (const name of [
      'connection',
      'keep-alive',
      'te',
      'trailer',
      'upgrade',
      'proxy-authorization',
      'transfer-encoding',
    ])
      expect(isHopByHop(name)).toBe(true)
    expect(isHopByHop('x-kept')).toBe(false)
  })
})
