/** Values of AWS's Signature Version 4 test suite, and of the examples in the manual of S3. */

import { describe, expect, test } from 'vitest'
import { type AwsSigning, awsSignature, emptyHash } from '../../../src/credentials/aws-signature.ts'
import type { OutboundHead } from '../../../src/net/outbound-head.ts'

function headOf(method: string, target: string, host: string, fields: readonly string[]): OutboundHead {
  return { method, target, host, fields, body: { kind: 'none' } }
}

describe('the test suite', () => {
  const time = '20150830T123600Z'
  const signing: AwsSigning = {
    secretKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
    time,
    region: 'us-east-1',
    service: 'service',
    signedHeaders: ['host', 'x-amz-date'],
    payloadHash: emptyHash,
  }
  const date = ['X-Amz-Date', time]
  const form = ['Content-Type', 'application/x-www-form-urlencoded', ...date]

  test.each<readonly [name: string, method: string, target: string, fields: readonly string[], signature: string]>([
    ['get-vanilla', 'GET', '/', date, '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
    ['post-vanilla', 'POST', '/', date, '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'],
    [
      'get-vanilla-query-order-key-case',
      'GET',
      '/?Param2=value2&Param1=value1',
      date,
      'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
    ],
    [
      'get-vanilla-empty-query-key',
      'GET',
      '/?Param1=value1',
      date,
      'a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb',
    ],
    [
      'get-unreserved',
      'GET',
      '/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
      date,
      '07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f',
    ],
    [
      'get-header-key-duplicate',
      'GET',
      '/',
      ['My-Header1', 'value2', 'My-Header1', 'value2', 'My-Header1', 'value1', ...date],
      'c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea',
    ],
    [
      'post-x-www-form-urlencoded',
      'POST',
      '/',
      form,
      'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
    ],
  ])('%s', (name, method, target, fields, signature) => {
    const head = headOf(method, target, 'example.amazonaws.com', fields)
    const names = new Set(['host', ...fields.filter((_, i) => i % 2 === 0).map((field) => field.toLowerCase())])
    // Of `Param1=value1`.
    const payloadHash = name.endsWith('urlencoded')
      ? '9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e'
      : emptyHash
    const signed = { ...signing, signedHeaders: [...names].sort(), payloadHash }
    expect(awsSignature(head, signed)).toBe(signature)
  })
})

describe('the manual of S3', () => {
  const time = '20130524T000000Z'
  const host = 'examplebucket.s3.amazonaws.com'
  const signing: AwsSigning = {
    secretKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    time,
    region: 'us-east-1',
    service: 's3',
    signedHeaders: ['host', 'x-amz-content-sha256', 'x-amz-date'],
    payloadHash: emptyHash,
  }
  const fields = ['x-amz-date', time, 'x-amz-content-sha256', emptyHash]

  test.each<readonly [target: string, signature: string]>([
    ['/?lifecycle', 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'],
    ['/?max-keys=2&prefix=J', '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'],
  ])('GET %s', (target, signature) => {
    expect(awsSignature(headOf('GET', target, host, fields), signing)).toBe(signature)
  })

  test('a range', () => {
    const head = headOf('GET', '/test.txt', host, ['Range', 'bytes=0-9', ...fields])
    const signed = { ...signing, signedHeaders: ['host', 'range', 'x-amz-content-sha256', 'x-amz-date'] }
    expect(awsSignature(head, signed)).toBe('f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41')
  })

  test('a path whose characters are escaped', () => {
    const payloadHash = '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072'
    const head = headOf('PUT', '/test%24file.text', host, [
      'Date',
      'Fri, 24 May 2013 00:00:00 GMT',
      'x-amz-date',
      time,
      'x-amz-storage-class',
      'REDUCED_REDUNDANCY',
      'x-amz-content-sha256',
      payloadHash,
    ])
    const signedHeaders = ['date', 'host', 'x-amz-content-sha256', 'x-amz-date', 'x-amz-storage-class']
    expect(awsSignature(head, { ...signing, signedHeaders, payloadHash })).toBe(
      '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    )
  })

  test('a presigned URL', () => {
    const scope = 'AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request'
    const query = `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${scope}&X-Amz-Date=${time}&X-Amz-Expires=86400&X-Amz-SignedHeaders=host`
    const head = headOf('GET', `/test.txt?${query}`, host, [])
    expect(awsSignature(head, { ...signing, signedHeaders: ['host'], payloadHash: 'UNSIGNED-PAYLOAD' })).toBe(
      'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
    )
  })
})
