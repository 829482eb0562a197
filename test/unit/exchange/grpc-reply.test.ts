import { describe, expect, it } from 'vitest'
import { asksGrpc, grpcFieldsOf } from '../../../src/exchange/grpc-reply.ts'

describe('a client of gRPC', () => {
  it.each([
    ['application/grpc', true],
    ['application/grpc+proto', true],
    ['Application/gRPC; a=b', true],
    ['application/grpc-web', false],
    ['application/grpc-web+proto', false],
    ['application/json', false],
    ['text/application/grpc', false],
  ])('says %s: %s', (type, asks) => {
    expect(asksGrpc(['a', 'b', 'Content-Type', type])).toBe(asks)
  })

  it.each([
    [400, 3],
    [401, 16],
    [403, 7],
    [407, 16],
    [421, 7],
    [429, 8],
    [500, 13],
    [502, 14],
    [503, 14],
    [504, 14],
  ])('is told %i as %i', (status, code) => {
    const fields = grpcFieldsOf({ status, reason: 'x', fields: [], body: '' })
    expect(fields[fields.indexOf('grpc-status') + 1]).toBe(String(code))
  })

  it('is told the words of every refusal, and of one type', () => {
    const fields = ['Content-Type', 'application/json', 'X-Egress-Reason', 'a']
    expect(grpcFieldsOf({ status: 403, reason: '100% no', fields, body: '{}' })).toEqual([
      'content-type',
      'application/grpc',
      'grpc-status',
      '7',
      'grpc-message',
      '100%25 no',
      'X-Egress-Reason',
      'a',
    ])
  })
})
