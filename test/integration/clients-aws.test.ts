/**
 * AWS's own S3 client in a sandbox with a placeholder access key, against a bucket that checks signatures; and a client by
 * the manual for what that one does not do: chunks with signatures, and services that sign a body they say nothing of.
 */

import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { fileURLToPath } from 'node:url'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import { type RealGateway, startRealGateway } from '../support/real-clients.ts'
import type { AwsRequest } from '../support/aws-client.ts'
import { createSignatureCheck } from '../support/aws-signer.ts'
import { createS3StandIn } from '../support/s3-stand-in.ts'

const account = {
  accessKeyId: 'AKIAREALREALREALREAL',
  secretAccessKey: 'real/secret+key/0123456789',
  region: 'eu-central-1',
}
const bucket = createS3StandIn(account)
const isSignedForTable = createSignatureCheck(account, 'dynamodb')

const role = {
  accessKeyId: 'ASIAROLEROLEROLEROLE',
  secretAccessKey: 'role/secret+key/9876543210',
  sessionToken: `FwoGZXIvYXdzE${'Ab3+/'.repeat(80)}==`,
}
const isSignedForRole = createSignatureCheck({ ...role, region: account.region }, 'dynamodb')

/** For a role: says the token it was shown, where that and the signature are right. */
async function roleTable(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const token = String(request.headers['x-amz-security-token'])
  const isSigned = await isSignedForRole(request, await buffer(request))
  response.writeHead(isSigned && token === role.sessionToken ? 200 : 403)
  response.end(`your token is ${token}.`)
}

/** Of a table: says what it was sent, where the signature is right. */
async function table(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await buffer(request)
  response.writeHead((await isSignedForTable(request, body)) ? 200 : 403)
  response.end(createHash('sha256').update(body).digest('hex'))
}

let site: Site
let world: RealGateway
beforeAll(async () => {
  site = await startSite((request, response) => {
    const { host = '' } = request.headers
    if (host.startsWith('role.')) return roleTable(request, response)
    return host.startsWith('table.') ? table(request, response) : bucket.handler(request, response)
  })
  world = await startRealGateway({
    hosts: ['s3.test', 'table.test', 'role.test'],
    limits: { judgedBodyBytesMax: 400_000 },
    originCa: site.ca.certificate,
    policies: {
      bucket: [
        {
          host: 's3.test',
          addresses: ['127.0.0.0/8'],
          ports: [site.httpsPort],
          methods: ['GET', 'PUT'],
          paths: ['/ours/**'],
          credential: 'aws',
        },
        {
          host: 'table.test',
          addresses: ['127.0.0.0/8'],
          ports: [site.httpsPort],
          methods: ['POST'],
          credential: 'aws',
        },
        {
          host: 'role.test',
          addresses: ['127.0.0.0/8'],
          ports: [site.httpsPort],
          methods: ['POST'],
          credential: 'role',
        },
      ],
    },
    credentials: [
      {
        name: 'aws',
        kind: 'aws-sigv4',
        accessKeyId: account.accessKeyId,
        hosts: ['s3.test', 'table.test'],
        placeholder: { env: 'AWS_ACCESS_KEY_ID', like: 'AKIA{17}' },
      },
      {
        name: 'role',
        kind: 'aws-sigv4',
        temporary: true,
        hosts: ['role.test'],
        placeholder: { env: 'ROLE_ACCESS_KEY_ID', like: 'ASIA{17}' },
      },
    ],
    secrets: {
      aws: account.secretAccessKey,
      role: JSON.stringify(
        {
          Version: 1,
          AccessKeyId: role.accessKeyId,
          SecretAccessKey: role.secretAccessKey,
          SessionToken: role.sessionToken,
          Expiration: new Date(Date.now() + 3_600_000).toISOString(),
        },
        null,
        2,
      ),
    },
  })
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
  await site?.[Symbol.asyncDispose]()
})

const program = `
  import https from 'node:https'
  import { Readable } from 'node:stream'
  const [module, endpoint] = process.argv.slice(1)
  const { S3Client, PutObjectCommand, GetObjectCommand } = await import(module)
  const requestHandler = { httpsAgent: new https.Agent({ proxyEnv: process.env, keepAlive: true }) }
  const client = new S3Client({ endpoint, region: 'eu-central-1', forcePathStyle: true, requestHandler })
  const put = (Key, Body, more) => client.send(new PutObjectCommand({ Bucket: 'ours', Key, Body, ...more }))
  const text = async (Key) => (await client.send(new GetObjectCommand({ Bucket: 'ours', Key }))).Body.transformToString()
  await put('whole and odd+name', 'all at once')
  const pieces = ['piece by ', 'piece, ', 'without a hash beforehand']
  await put('streamed', Readable.from(pieces.map((piece) => Buffer.from(piece))), { ContentLength: 41 })
  const seen = [await text('whole and odd+name'), await text('streamed')]
  const refusal = await client
    .send(new GetObjectCommand({ Bucket: 'theirs', Key: 'x' }))
    .catch((error) => ({ status: error.$metadata?.httpStatusCode, said: error.$response?.reason ?? error.name }))
  client.destroy()
  console.log(JSON.stringify({ key: process.env.AWS_ACCESS_KEY_ID, seen, refusal }))
`

it('the S3 client writes and reads with a placeholder, streamed uploads too, and only in the bucket it may use', async () => {
  const sandbox = await world.sandbox('bucket')
  const { result, records } = await world.watch(5, async () => {
    const args = ['--input-type=module', '-e', program, import.meta.resolve('@aws-sdk/client-s3')]
    const ran = await sandbox.run(process.execPath, [...args, `https://s3.test:${site.httpsPort}`], {
      env: { AWS_SECRET_ACCESS_KEY: 'none of ours' },
    })
    expect(ran.code, ran.said).toBe(0)
    for (const secret of [account.secretAccessKey, account.accessKeyId]) expect(ran.said).not.toContain(secret)
    return JSON.parse(ran.stdout) as { key: string; seen: string[]; refusal: { status: number; said: string } }
  })
  const streamed = 'piece by piece, without a hash beforehand'
  expect(result.key).toMatch(/^AKIA[A-Za-z0-9]{17}$/)
  expect(result.seen).toEqual(['all at once', streamed])
  expect(result.refusal.status, JSON.stringify(result.refusal)).toBe(403)
  expect([...bucket.objects].map(([path, bytes]) => [path, bytes.toString()])).toEqual([
    ['/ours/whole%20and%20odd%2Bname', 'all at once'],
    ['/ours/streamed', streamed],
  ])
  expect(bucket.payloads).toContain('STREAMING-UNSIGNED-PAYLOAD-TRAILER')
  expect(records.map(({ outcome, reason }) => reason ?? outcome)).toEqual([
    ...Array.from({ length: 4 }, () => 'allow'),
    'path_not_allowed',
  ])
})

/** What the client by the manual was answered, and how the exchanges ended. */
async function ask(
  asked: readonly Omit<AwsRequest, 'headers' | 'method'>[],
  headers: Readonly<Record<string, string>>,
) {
  const sandbox = await world.sandbox('bucket')
  const { result, records } = await world.watch(asked.length, async () => {
    const requests = asked.map((one) => ({ method: one.service === 's3' ? 'PUT' : 'POST', headers, ...one }))
    const client = fileURLToPath(new URL('../support/aws-client.ts', import.meta.url))
    const ran = await sandbox.run(process.execPath, [client, JSON.stringify(requests)])
    expect(ran.code, ran.said).toBe(0)
    for (const secret of [account.secretAccessKey, account.accessKeyId]) expect(ran.said).not.toContain(secret)
    return JSON.parse(ran.stdout) as { status: number; said: string }[]
  })
  return { answers: result, outcomes: records.map(({ outcome, reason }) => reason ?? outcome) }
}

const binary = { 'content-type': 'application/octet-stream' }

it('an upload whose chunks are signed arrives with signatures of ours, however it is framed, with a trailer and without', async () => {
  const url = (key: string): string => `https://s3.test:${site.httpsPort}/ours/${key}`
  const sizes = [131_072, 65_536, 131_072, 1000]
  const trailer = ['x-amz-checksum-crc32c', 'sOO8/Q=='] as const
  const before = bucket.payloads.length
  const { answers, outcomes } = await ask(
    [
      { url: url('chunks'), service: 's3', sizes, trailer: null },
      { url: url('trailer'), service: 's3', sizes, trailer },
      { url: url('streamed'), service: 's3', sizes, trailer, streamed: true },
      { url: url('small'), service: 's3', sizes: [5], trailer: null },
      { url: url('empty'), service: 's3', sizes: [], trailer },
    ],
    binary,
  )
  expect(answers).toEqual(answers.map(() => ({ status: 200, said: '' })))
  expect(outcomes).toEqual(answers.map(() => 'allow'))
  const whole = Buffer.concat(sizes.map((size, i) => Buffer.alloc(size, 97 + i)))
  for (const key of ['chunks', 'trailer', 'streamed'])
    expect(bucket.objects.get(`/ours/${key}`)?.equals(whole)).toBe(true)
  expect(bucket.objects.get('/ours/small')?.toString()).toBe('aaaaa')
  expect(bucket.objects.get('/ours/empty')?.toString()).toBe('')
  const payload = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'
  const trailers = `${payload}-TRAILER`
  expect(bucket.payloads.slice(before)).toEqual([payload, trailers, trailers, payload, trailers])
})

it('chunks that are none end the upload, whether some of it has gone or not, and the connection goes on', async () => {
  const url = `https://s3.test:${site.httpsPort}/ours/spoiled`
  const large = 1024 * 1024 + 1
  const { answers, outcomes } = await ask(
    [
      { url, service: 's3', sizes: [5], trailer: null, spoiledAt: 0 },
      { url, service: 's3', sizes: [200_000, 200_000], trailer: null, spoiledAt: 200_092 },
      { url, service: 's3', sizes: [200_000, 200_000], trailer: null, spoiledAt: 200_092, streamed: true },
      { url, service: 's3', sizes: [large], trailer: null },
      { url: `${url}-not`, service: 's3', sizes: [5], trailer: null },
    ],
    binary,
  )
  expect(outcomes).toEqual([...Array.from({ length: 4 }, () => 'unsignable_request'), 'allow'])
  expect(answers.map(({ status }) => status)).toEqual([403, 403, 403, 403, 200])
  expect(bucket.objects.has('/ours/spoiled')).toBe(false)
  expect(bucket.objects.has('/ours/spoiled-not')).toBe(true)
})

it('a service that signs a body it says nothing of gets it whole, signed with our key, up to what is held', async () => {
  const asked = { url: `https://table.test:${site.httpsPort}/`, service: 'dynamodb' }
  const { answers, outcomes } = await ask(
    [
      { ...asked, sizes: [5] },
      { ...asked, sizes: [0] },
      { ...asked, sizes: [300_000] },
      { ...asked, sizes: [300_000], streamed: true },
      { ...asked, sizes: [500_000] },
      { ...asked, sizes: [500_000], streamed: true },
    ],
    { 'content-type': 'application/cbor' },
  )
  // What is judged is here already when it is signed.
  const text = '{"TableName":"t","Key":{"id":{"S":"1"}}}'
  const judged = await ask(
    [
      { ...asked, sizes: [], text },
      { ...asked, sizes: [], text, streamed: true },
    ],
    { 'content-type': 'application/x-amz-json-1.0' },
  )
  const said = createHash('sha256').update(text).digest('hex')
  expect(judged.answers).toEqual([
    { status: 200, said },
    { status: 200, said },
  ])
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 403, 403])
  const sent = [5, 0, 300_000, 300_000].map((size) => createHash('sha256').update('a'.repeat(size)).digest('hex'))
  expect(answers.slice(0, 4).map(({ said }) => said)).toEqual(sent)
  expect(outcomes).toEqual(['allow', 'allow', 'allow', 'allow', 'unsignable_request', 'unsignable_request'])
})

it('keys of a role are signed with, their token goes along, and neither comes back', async () => {
  const asked = { url: `https://role.test:${site.httpsPort}/`, service: 'dynamodb', keyFrom: 'ROLE_ACCESS_KEY_ID' }
  const { answers, outcomes } = await ask([{ ...asked, sizes: [100] }], { 'content-type': 'application/cbor' })
  expect(outcomes).toEqual(['allow'])
  expect(answers).toEqual([{ status: 200, said: expect.stringMatching(/^your token is .{10,}\.$/) as string }])
  expect(answers[0]?.said).not.toContain(role.sessionToken.slice(0, 40))
})
