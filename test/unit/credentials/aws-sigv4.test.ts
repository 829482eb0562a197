import { describe, expect, test } from 'vitest'
import { sealKind } from '../../../src/credentials/credential-kind.ts'
import { awsSigv4 } from '../../../src/credentials/kinds/aws-sigv4.ts'
import { parseSecret } from '../../../src/credentials/secret.ts'
import { type OutboundHead, outboundHead, forwardedFields } from '../../../src/net/outbound-head.ts'
import type { BodyFraming } from '../../../src/net/request-head.ts'
import { findPlaceholders } from '../../../src/policy/find-placeholders.ts'
import { findForeignCredential } from '../../../src/policy/foreign-credential.ts'
import { authorityNamed, requestHead } from '../../conformance/credential-walk.ts'
import { chunkedBody, readChunked } from '../../support/aws-chunked.ts'

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

/** The test suite and the manual of S3 differ in one character. */
function secretKey(differing = '/') {
  const secret = parseSecret(`wJalrXUtnFEMI/K7MDENG${differing}bPxRfiCYEXAMPLEKEY`, { unsafeShortSecret: false })
  if (typeof secret === 'string') throw new Error(secret)
  return secret
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
  const kept = forwardedFields(head.fields, (name) => name === 'authorization')
  return aws.apply(outboundHead(head, kept), secretKey(), sent)
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

  test.each(['STREAMING-AWS4-HMAC-SHA256-PAYLOAD', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER'])(
    'begins the chain of the chunks of %s',
    (payload) => {
      const named = ['x-amz-decoded-content-length', '5', 'x-amz-trailer', 'X-Amz-Checksum-CRC32C']
      const fields = [...dated, 'x-amz-content-sha256', payload, ...named, 'Authorization', clientSigned('host')]
      const signed = sign(fields, '', {}, { kind: 'chunked' })
      if (typeof signed === 'string') return expect.fail(signed)
      const [aws, sent] = [presentation(), findPlaceholders(requestHead(fields, '', bucket), placeholders)]
      const rewrite = aws.rewritesBody?.(signed, secretKey(), sent)
      const behind = payload.endsWith('TRAILER') ? ([['x-amz-checksum-crc32c', 'sOO8/Q==']] as const) : null
      const theirs = { secretAccessKey: 'none of ours', time, region: 'us-east-1' }
      const passed: Buffer[] = []
      const body = chunkedBody(theirs, '0'.repeat(64), [Buffer.from('hello')], behind)
      expect(rewrite?.take(body, (piece) => passed.push(piece))).toBeNull()
      expect(rewrite?.end()).toBeNull()
      const seed = authorization(signed)?.slice(-64) ?? ''
      const ours = { ...theirs, secretAccessKey: secretKey().reveal() }
      expect(readChunked(ours, seed, Buffer.concat(passed)).toString()).toBe('hello')
    },
  )

  test('is written into no other body', () => {
    for (const payload of [emptyHash, 'UNSIGNED-PAYLOAD', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER']) {
      const fields = [...dated, 'x-amz-content-sha256', payload, 'Authorization', clientSigned('host')]
      const signed = sign(fields, '', {}, { kind: 'chunked' })
      if (typeof signed === 'string') return expect.fail(signed)
      const sent = findPlaceholders(requestHead(fields, '', bucket), placeholders)
      expect(presentation().rewritesBody?.(signed, secretKey(), sent)).toBeNull()
    }
  })

  test('wants the body where nothing in the head says what it is, outside S3', () => {
    const needs = (service: string, more: readonly string[], body: BodyFraming, keys = {}) => {
      const fields = [...dated, ...more, 'Authorization', clientSigned('host', service)]
      const head = { ...requestHead(fields, '', bucket), body }
      return presentation(keys).needsBody?.(head, findPlaceholders(head, placeholders))
    }
    const five: BodyFraming = { kind: 'length', length: 5 }
    expect(needs('dynamodb', [], five)).toBe(true)
    expect(needs('dynamodb', [], { kind: 'chunked' })).toBe(true)
    expect(needs('dynamodb', [], { kind: 'length', length: 0 })).toBe(false)
    expect(needs('dynamodb', [], { kind: 'none' })).toBe(false)
    expect(needs('dynamodb', ['x-amz-content-sha256', emptyHash], five)).toBe(false)
    expect(needs('s3', [], five)).toBe(false)
    expect(needs('s3', [], five, { service: 'dynamodb' })).toBe(true)
  })

  test('of such a body is the one of the test suite', () => {
    const fields = ['Content-Type', 'application/x-www-form-urlencoded', 'X-Amz-Date', '20150830T123600Z']
    const scope = `${placeholder}/20150830/us-east-1/service/aws4_request`
    const theirs = `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=content-type;host;x-amz-date, Signature=${'0'.repeat(64)}`
    const head = { method: 'POST', target: '/', host: 'example.amazonaws.com', body: { kind: 'chunked' } as const }
    const sent = findPlaceholders(requestHead(['Authorization', theirs], '', bucket), placeholders)
    const signed = presentation().apply({ ...head, fields }, secretKey('+'), sent, Buffer.from('Param1=value1'))
    expect(authorization(signed)).toContain('ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a')
  })

  const temporary = JSON.stringify({
    accessKeyId,
    secretAccessKey: secretKey().reveal(),
    sessionToken: 'token/of+a=role.0123',
  })

  test('of a role goes with its token, signed, whatever token the client had', () => {
    const role = parseSecret(temporary, { unsafeShortSecret: false })
    if (typeof role === 'string') return expect.fail(role)
    for (const more of [[], ['X-Amz-Security-Token', placeholder]]) {
      const fields = [...hashed, ...more, 'Authorization', clientSigned('host')]
      const head = requestHead(fields, '', bucket)
      const aws = presentation({ accessKeyId: undefined, temporary: true })
      const sent = findPlaceholders(head, placeholders)
      expect(sent.every((one) => aws.takes(one))).toBe(true)
      expect(aws.refuses(head, sent)).toBeNull()
      expect(findForeignCredential(head, placeholder)).toBeNull()
      const signed = aws.apply(
        outboundHead(
          head,
          forwardedFields(hashed, () => false),
        ),
        role,
        sent,
      )
      expect(signed.fields).toContain('token/of+a=role.0123')
      expect(authorization(signed)).toContain(
        `Credential=${accessKeyId}/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,`,
      )
      expect(aws.parts?.(role).map((one) => one.reveal())).toEqual([secretKey().reveal(), 'token/of+a=role.0123'])
      expect(aws.parts?.(role)[0]).toBe(aws.parts?.(role)[0])
    }
  })

  test('of a role in a presigned URL has its token beside it', () => {
    const role = parseSecret(temporary, { unsafeShortSecret: false })
    if (typeof role === 'string') return expect.fail(role)
    const scope = encodeURIComponent(`${placeholder}/20130524/us-east-1/s3/aws4_request`)
    const head = requestHead([], `X-Amz-Credential=${scope}&X-Amz-Date=${time}&X-Amz-Expires=60`, bucket)
    const aws = presentation({ accessKeyId: undefined, temporary: true })
    const sent = findPlaceholders(head, placeholders)
    const signed = aws.apply(
      outboundHead(
        head,
        forwardedFields([], () => false),
      ),
      role,
      sent,
    )
    expect(new URLSearchParams(signed.target.split('?')[1]).get('X-Amz-Security-Token')).toBe('token/of+a=role.0123')
  })

  test('is not made of a token alone', () => {
    const head = requestHead(['X-Amz-Security-Token', placeholder], '', bucket)
    expect(presentation().refuses(head, findPlaceholders(head, placeholders))).toBe('without a signature')
    const bearer = requestHead(['X-Amz-Security-Token', `Bearer ${placeholder}`], '', bucket)
    expect(findPlaceholders(bearer, placeholders).map((one) => presentation().takes(one))).toEqual([false])
  })

  test('of an S3 body that nobody hashed says that it is not signed', () => {
    const signed = sign([...dated, 'Authorization', clientSigned('host')], '', {}, { kind: 'length', length: 5 })
    expect(signed).toMatchObject({ fields: expect.arrayContaining(['UNSIGNED-PAYLOAD']) as [] })
  })
})

describe('what cannot be signed anew', () => {
  const scope = `X-Amz-Credential=${encodeURIComponent(`${placeholder}/20130524/us-east-1/s3/aws4_request`)}`
  const streamed = ['x-amz-content-sha256', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD']
  const length = ['x-amz-decoded-content-length', '5']
  const own = ['Authorization', clientSigned('host')]
  const presigned = `X-Amz-Date=${time}&X-Amz-Expires=60&${scope}`
  const noLength = 'without one x-amz-decoded-content-length'

  test.each<readonly [fields: readonly string[], query: string, why: string]>([
    [['Authorization', clientSigned('host')], '', 'without one x-amz-date'],
    [['x-amz-date', '20130525T000000Z', 'Authorization', clientSigned('host')], '', 'without one x-amz-date'],
    [[...dated, ...dated, 'Authorization', clientSigned('host')], '', 'without one x-amz-date'],
    [[...dated, ...streamed, ...own], '', noLength],
    [[...dated, ...streamed, ...length, ...length, ...own], '', noLength],
    [[...dated, ...streamed, 'x-amz-decoded-content-length', '05', ...own], '', noLength],
    [[...dated, 'x-amz-content-sha256', `${streamed[1]}-TRAILER`, ...length, ...own], '', 'without x-amz-trailer'],
    [[...streamed, ...length], presigned, 'presigned, with chunks that are signed'],
    [[...hashed, ...streamed, ...length, ...own], '', 'with more than one x-amz-content-sha256'],
    [
      [...dated, 'x-amz-content-sha256', 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD', ...length, ...own],
      '',
      'with a body that is signed in another way',
    ],
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
