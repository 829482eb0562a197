/**
 * AWS Signature Version 4: what a client signed with its placeholder access key is signed anew with the real one, in the
 * header, in the query of a presigned URL and in the chunks of an upload. The body stays the client's: its hash is taken
 * from the head or, outside S3, made of the body.
 *
 * Promises: only what was signed with the placeholder is signed; the date is the client's, so what it presigned expires
 * when it said; the signature covers host, path, query and every `x-amz-` field, and nothing that changes on the way.
 */

import { Type } from 'typebox'
import { type Fields, fieldValue, fieldValues, listTokens } from '../../net/fields.ts'
import { type OutboundHead, withField, withoutQueryParameters, withQueryParameter } from '../../net/outbound-head.ts'
import type { RequestHead } from '../../net/request-head.ts'
import { type AwsScope, parseAwsScope } from '../../policy/aws-scope.ts'
import type { FoundPlaceholder } from '../../policy/find-placeholders.ts'
import { type AwsKeys, awsKeysOf, mintAwsKeys } from '../aws-keys.ts'
import { AwsChunks } from '../aws-chunks.ts'
import { awsKey, awsSignature, sha256 } from '../aws-signature.ts'
import { type CredentialKind, kindKeys, parseKeys } from '../credential-kind.ts'
import { problem } from '../shape-problems.ts'

const ScopeName = Type.String({ pattern: '^[a-z0-9-]{1,64}$', description: 'a name such as eu-central-1 or s3' })

const schema = kindKeys({
  accessKeyId: Type.Optional(
    Type.String({
      pattern: '^[A-Z0-9]{16,128}$',
      description: 'the id of the access key, such as AKIAIOSFODNN7EXAMPLE; the secret is its secret key',
    }),
  ),
  temporary: Type.Optional(
    Type.Literal(true, { description: 'true: the secret is JSON with AccessKeyId, SecretAccessKey and SessionToken' }),
  ),
  region: Type.Optional(ScopeName),
  service: Type.Optional(ScopeName),
})

type Spec = {
  /** Null: the secret says it, and is for a while. */
  readonly accessKeyId: string | null
  readonly region: string | null
  readonly service: string | null
}

const securityToken = 'x-amz-security-token'

const unsigned = 'UNSIGNED-PAYLOAD'
/** What `x-amz-content-sha256` says of a body that goes on as it is. */
const plainPayload = /^(?:[0-9a-f]{64}|UNSIGNED-PAYLOAD|STREAMING-UNSIGNED-PAYLOAD-TRAILER)$/
/** And of one whose chunks are signed, and what stands behind them. */
const signedChunks = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'
const signedTrailers = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER'
const decodedLength = /^(?:0|[1-9][0-9]{0,14})$/
const timeText = /^\d{8}T\d{6}Z$/

export const awsSigv4: CredentialKind<Spec> = {
  kind: 'aws-sigv4',
  schema,
  parse: (raw) => {
    const parsed = parseKeys(schema, raw, ({ accessKeyId, temporary }) =>
      (accessKeyId === undefined) === (temporary === undefined)
        ? [
            problem(
              ['accessKeyId'],
              'whose the secret is must be said once',
              'write either "accessKeyId:" or "temporary: true"',
            ),
          ]
        : [],
    )
    if (parsed.kind === 'problems') return parsed
    const { accessKeyId = null, region = null, service = null } = parsed.spec
    return { kind: 'parsed', spec: { accessKeyId, region, service } }
  },
  secretShape: 'lines',
  mint: (spec, world) => (secret) => Promise.resolve(mintAwsKeys(secret, spec.accessKeyId === null, world.epochMs())),
  parts: ({ accessKeyId }, secret) => {
    const keys = awsKeysOf(secret, accessKeyId)
    if (keys === null) return [secret]
    return keys.sessionToken === null ? [keys.secretKey] : [keys.secretKey, keys.sessionToken]
  },
  owns: () => ({
    fields: ['authorization', securityToken],
    parameters: ['x-amz-credential', 'x-amz-signature', securityToken],
  }),
  takes: (_spec, { place, name, spelling }) => {
    const lower = name.toLowerCase()
    // Of a client that was given a session token of its own: ours takes its place, if there is one.
    if (spelling?.form === 'plain') return spelling.scheme === null && place !== 'target' && lower === securityToken
    return spelling?.form === 'aws' && lower === (place === 'field' ? 'authorization' : 'x-amz-credential')
  },
  refuses: (_spec, head, sent) => {
    const [first, second] = signaturesIn(sent)
    if (first === undefined) return 'without a signature'
    return second === undefined ? refuseSigning(head, first) : 'signed more than once'
  },
  needsBody: (spec, head, sent) => {
    const [first] = signaturesIn(sent)
    return (
      first !== undefined &&
      !isS3(spec, first) &&
      hashOf(head.fields) === null &&
      (head.body.kind === 'chunked' || (head.body.kind === 'length' && head.body.length > 0))
    )
  },
  apply: (head, spec, secret, sent, body) => {
    const keys = awsKeysOf(secret, spec.accessKeyId)
    if (keys === null) return head
    return signaturesIn(sent).reduce((before, one) => sign(before, spec, keys, one, body ?? nothing), head)
  },
  rewritesBody: (spec, head, secret, sent) => {
    const [keys, [first]] = [awsKeysOf(secret, spec.accessKeyId), signaturesIn(sent)]
    return first === undefined || keys === null ? null : chunksOf(head, spec, keys, first)
  },
}

function signaturesIn(sent: readonly FoundPlaceholder[]): readonly FoundPlaceholder[] {
  return sent.filter(({ spelling }) => spelling?.form === 'aws')
}

const nothing = Buffer.alloc(0)

/** Why it cannot be signed anew. */
function refuseSigning(head: RequestHead, sent: FoundPlaceholder): string | null {
  const scope = parseAwsScope(sent.spelling?.text ?? '')
  if (scope === null) return 'without a scope'
  const times = timesOf(head, sent)
  const [time = ''] = times
  if (times.length !== 1 || !timeText.test(time) || !time.startsWith(scope.date)) return 'without one x-amz-date'
  if (sent.place === 'parameter' && presigned(head, 'X-Amz-Expires').length !== 1) return 'without one X-Amz-Expires'
  const hashes = fieldValues(head.fields, 'x-amz-content-sha256')
  if (hashes.length > 1) return 'with more than one x-amz-content-sha256'
  const [hash] = hashes
  if (hash === signedChunks || hash === signedTrailers) return refuseChunks(head, sent, hash)
  return hash === undefined || plainPayload.test(hash) ? null : 'with a body that is signed in another way'
}

function refuseChunks(head: RequestHead, sent: FoundPlaceholder, hash: string): string | null {
  if (sent.place === 'parameter') return 'presigned, with chunks that are signed'
  if (head.body.kind === 'none') return 'without the chunks that it announces'
  const lengths = fieldValues(head.fields, 'x-amz-decoded-content-length')
  if (lengths.length !== 1 || !decodedLength.test(lengths[0] ?? '')) return 'without one x-amz-decoded-content-length'
  return hash === signedTrailers && trailersOf(head.fields).length === 0 ? 'without x-amz-trailer' : null
}

function trailersOf(fields: Fields): readonly string[] {
  return fieldValues(fields, 'x-amz-trailer').flatMap((value) => listTokens(value))
}

function hashOf(fields: Fields): string | null {
  return fieldValue(fields, 'x-amz-content-sha256')
}

function isS3(spec: Spec, sent: FoundPlaceholder): boolean {
  return (spec.service ?? parseAwsScope(sent.spelling?.text ?? '')?.service) === 's3'
}

function timesOf(head: RequestHead, { place }: FoundPlaceholder): readonly string[] {
  return place === 'field' ? fieldValues(head.fields, 'x-amz-date') : presigned(head, 'X-Amz-Date')
}

function presigned({ query }: Pick<RequestHead, 'query'>, name: string): string[] {
  return new URLSearchParams(query ?? '').getAll(name)
}

function sign(head: OutboundHead, spec: Spec, keys: AwsKeys, sent: FoundPlaceholder, body: Buffer): OutboundHead {
  const scope = parseAwsScope(sent.spelling?.text ?? '')
  if (scope === null) return head
  const region = spec.region ?? scope.region
  const service = spec.service ?? scope.service
  const payloadHash = hashOf(head.fields) ?? (service === 's3' ? unsigned : sha256(body))
  const credential = (time: string): string =>
    `${keys.accessKeyId}/${time.slice(0, 8)}/${region}/${service}/aws4_request`
  const signature = (signed: OutboundHead, time: string, names: readonly string[]): string =>
    awsSignature(signed, {
      secretKey: keys.secretKey.reveal(),
      time,
      region,
      service,
      signedHeaders: names,
      payloadHash,
    })
  if (sent.place === 'parameter') return signQuery(head, keys, credential, signature)
  const time = fieldValue(head.fields, 'x-amz-date') ?? `${scope.date}T000000Z`
  const dated = withField(head, 'X-Amz-Date', time)
  const hashed = service === 's3' ? withField(dated, 'X-Amz-Content-Sha256', payloadHash) : dated
  const token = keys.sessionToken
  const ready = token === null ? hashed : withField(hashed, 'X-Amz-Security-Token', token.reveal())
  const names = signedNames(ready, scope)
  const parts = [`Credential=${credential(time)}`, `SignedHeaders=${names.join(';')}`]
  const authorization = [...parts, `Signature=${signature(ready, time, names)}`].join(', ')
  return withField(ready, 'Authorization', `AWS4-HMAC-SHA256 ${authorization}`)
}

type Signer = (head: OutboundHead, time: string, names: readonly string[]) => string

/** The date, the time it holds and the algorithm are in the query already. */
function signQuery(
  head: OutboundHead,
  { sessionToken }: AwsKeys,
  credential: (time: string) => string,
  signature: Signer,
): OutboundHead {
  const query = head.target.slice(head.target.indexOf('?') + 1)
  const time = presigned({ query }, 'X-Amz-Date')[0] ?? ''
  const names = signedNames(head, null)
  const bare = withoutQueryParameters(head, (name) => name.toLowerCase() === 'x-amz-signature')
  const scoped = withQueryParameter(bare, 'X-Amz-Credential', credential(time))
  const token = sessionToken?.reveal() ?? null
  const full = token === null ? scoped : withQueryParameter(scoped, 'X-Amz-Security-Token', token)
  const ready = withQueryParameter(full, 'X-Amz-SignedHeaders', names.join(';'))
  return withQueryParameter(ready, 'X-Amz-Signature', signature(ready, time, names))
}

/** Of the head as it was signed: the chain of the chunks begins with its signature. */
function chunksOf(head: OutboundHead, spec: Spec, keys: AwsKeys, sent: FoundPlaceholder): AwsChunks | null {
  const hash = hashOf(head.fields)
  const scope = parseAwsScope(sent.spelling?.text ?? '')
  if (scope === null || (hash !== signedChunks && hash !== signedTrailers)) return null
  const key = awsKey({
    secretKey: keys.secretKey.reveal(),
    time: fieldValue(head.fields, 'x-amz-date') ?? '',
    region: spec.region ?? scope.region,
    service: spec.service ?? scope.service,
  })
  return new AwsChunks({
    key,
    seed: (fieldValue(head.fields, 'authorization') ?? '').slice(-64),
    bytes: Number(fieldValue(head.fields, 'x-amz-decoded-content-length')),
    trailers: hash === signedTrailers ? trailersOf(head.fields) : null,
  })
}

/** What AWS asks to be signed. Of the rest that a client signs some is changed on the way (Range, Accept-Encoding). */
function signedNames(head: OutboundHead, scope: AwsScope | null): readonly string[] {
  const names = new Set(['host'])
  for (let i = 0; i < head.fields.length; i += 2) {
    const lower = (head.fields[i] ?? '').toLowerCase()
    const isOfBody = lower === 'content-type' || lower === 'content-md5'
    if (lower.startsWith('x-amz-') || (isOfBody && scope?.signedHeaders?.includes(lower))) names.add(lower)
  }
  return [...names].sort()
}
