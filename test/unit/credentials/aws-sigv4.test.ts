import { describe, expect, test } from 'vitest'
import { sealKind } from '../../../src/credentials/credential-kind.ts'
import { awsSigv4 } from '../../../src/credentials/kinds/aws-sigv4.ts'
import { parseSecret } from '../../../src/credentials/secret.ts'
import { type OutboundHead, outboundHead, forwardedFields } from '../../../src/net/outbound-head.ts'
import type { BodyFraming } from '../../../src/net/request-head.ts'
import { findPlaceholders } from '../../../src/policy/find-placeholders.ts'
import { findForeignCredential } from '../../../src/policy/foreign-credential.ts'
import { authorityNamed, requestHead } from '../../conformance/credential-walk.ts'

const placeholder = 'AKIAplaceholder01234567'
const placeholders = new Map([['slot', placeholder]])
const accessKeyId = 'AKIAIOSFODNN7EXAMPLE'
const time = '20130524T000000Z'
const emptyHash = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
const bucket = authorityNamed('examplebucket.s3.amazonaws.com')

function presentation(keys = {}) {
  const parsed = sealKind(awsSigv4).parse({ accessKeyId, ...keys })
  if (parsed.kind === 'problems') throw new Error(JSON.stringify(parsed.problems))
  return parsed.spec
}

function clientSigned(names: string, service = 's3', keyId = placeholder): string {
  const scope = `${keyId}/20130524/us-east-1/${service}/aws4_request`
  return `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=${names}, Signature=${'0'.repeat(64)}`
}

/** The head as it leaves, or why it does not. */
function sign(fields: readonly string[], query: string, keys = {}, body: BodyFraming = { kind: 'none' }) {
  const head = { ...requestHead(fields, query, bucket), path: query.startsWith('X-Amz') ? '/test.txt' : '/', body }
  const sent = findPlaceholders(head, placeholders)
  expect(findForeignCredential(head, placeholder)).toBeNull()
  const aws = presentation(keys)
  expect(sent.map((one) => aws.takes(one))).toEqual(sent.map(() => true))
  const why = aws.refuses(head, sent)
  if (why !== null) return why
  const secret = parseSecret('wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY', { unsafeShortSecret: false })
  if (typeof secret === 'string') throw new Error(secret)
  const kept = forwardedFields(head.fields, (name) => name === 'authorization')
  return aws.apply(outboundHead(head, kept), secret, sent)
}

function authorization(signed: OutboundHead | string): string | undefined {
  if (typeof signed === 'string') return signed
  return signed.fields[signed.fields.indexOf('Authorization') + 1]
}

const dated = ['x-amz-date', time]
const hashed = [...dated, 'x-amz-content-sha256', emptyHash]

describe('the signature', () => {
  test('is the one of the manual of S3, whatever else the client had signed', () => {
    const names = 'accept-encoding;host;range;x-amz-content-sha256;x-amz-date'
    const fields = [...hashed, 'Range', 'bytes=0-9', 'Authorization', clientSigned(names)]
    expect(authorization(sign(fields, 'lifecycle'))).toBe(
      `AWS4-HMAC-SHA256 Credential=${accessKeyId}/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, ` +
        'Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    )
  })

  test('of a presigned URL is the one of the manual, and expires when the client said', () => {
    const scope = encodeURIComponent(`${placeholder}/20130524/us-east-1/s3/aws4_request`)
    const query = `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${scope}&X-Amz-Date=${time}&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=${'0'.repeat(64)}`
    const signed = sign([], query)
    if (typeof signed === 'string') return expect.fail(signed)
    const sent = new URLSearchParams(signed.target.split('?')[1])
    expect(Object.fromEntries(sent)).toEqual({
      'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
      'X-Amz-Date': time,
      'X-Amz-Expires': '86400',
      'X-Amz-Credential': `${accessKeyId}/20130524/us-east-1/s3/aws4_request`,
      'X-Amz-SignedHeaders': 'host',
      'X-Amz-Signature': 'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
    })
    expect([...sent]).toHaveLength(6)
  })

  test('covers every x-amz- field and what the client signed of the body, and says so', () => {
    const fields = [...hashed, 'Content-Type', 'text/plain', 'x-amz-acl', 'private', 'Accept', '*/*']
    const signed = (names: string) => authorization(sign([...fields, 'Authorization', clientSigned(names)], ''))
    expect(signed('content-type;host;x-amz-date')).toContain(
      'SignedHeaders=content-type;host;x-amz-acl;x-amz-content-sha256;x-amz-date,',
    )
    expect(signed('host;x-amz-date')).toContain('SignedHeaders=host;x-amz-acl;x-amz-content-sha256;x-amz-date,')
  })

  test('is for the region and service of the entry, where it names them', () => {
    const fields = [...hashed, 'Authorization', clientSigned('host')]
    expect(authorization(sign(fields, '', { region: 'eu-central-1', service: 'sts' }))).toContain(
      `Credential=${accessKeyId}/20130524/eu-central-1/sts/aws4_request,`,
    )
  })

  test.each([emptyHash, 'UNSIGNED-PAYLOAD', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'])(
    'takes %s for the body',
    (payload) => {
      const fields = [...dated, 'x-amz-content-sha256', payload, 'Authorization', clientSigned('host')]
      expect(sign(fields, '', {}, { kind: 'chunked' })).toMatchObject({
        fields: expect.arrayContaining([payload]) as [],
      })
    },
  )

  test('of an S3 body that nobody hashed says that it is not signed', () => {
    const signed = sign([...dated, 'Authorization', clientSigned('host')], '', {}, { kind: 'length', length: 5 })
    expect(signed).toMatchObject({ fields: expect.arrayContaining(['UNSIGNED-PAYLOAD']) as [] })
  })
})

describe('what cannot be signed anew', () => {
  const scope = `X-Amz-Credential=${encodeURIComponent(`${placeholder}/20130524/us-east-1/s3/aws4_request`)}`
  const streamed = ['x-amz-content-sha256', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD']
  const otherService = ['Authorization', clientSigned('host', 'dynamodb')]

  test.each<readonly [fields: readonly string[], query: string, why: string]>([
    [['Authorization', clientSigned('host')], '', 'without one x-amz-date'],
    [['x-amz-date', '20130525T000000Z', 'Authorization', clientSigned('host')], '', 'without one x-amz-date'],
    [[...dated, ...dated, 'Authorization', clientSigned('host')], '', 'without one x-amz-date'],
    [[...dated, ...streamed, 'Authorization', clientSigned('host')], '', 'with chunks that are signed'],
    [[...hashed, ...streamed, 'Authorization', clientSigned('host')], '', 'with chunks that are signed'],
    [[...dated, ...otherService], '', 'without x-amz-content-sha256'],
    [[...hashed, 'Authorization', clientSigned('host')], scope, 'signed more than once'],
    [[], `X-Amz-Date=${time}&${scope}`, 'without one X-Amz-Expires'],
    [[], `X-Amz-Expires=60&${scope}`, 'without one x-amz-date'],
  ])('%j ?%s', (fields, query, why) => {
    expect(sign(fields, query, {}, { kind: 'length', length: 5 })).toBe(why)
  })
})

test.each<readonly [fields: readonly string[], query: string]>([
  [['Authorization', clientSigned('host', 's3', 'AKIAATTACKER00000000')], ''],
  [['Authorization', clientSigned('host').replace('AWS4-HMAC-SHA256', 'AWS4-ECDSA-P256-SHA256')], ''],
  [['Authorization', clientSigned('host'), 'X-Amz-Security-Token', 'theirs'], ''],
  [[], 'X-Amz-Credential=AKIAATTACKER00000000/20130524/us-east-1/s3/aws4_request&X-Amz-Signature=0'],
  [[], 'X-Amz-Signature=0'],
])('a signature with another key stays foreign: %j ?%s', (fields, query) => {
  expect(findForeignCredential(requestHead(fields, query, bucket), placeholder)).not.toBeNull()
})
