/**
 * AWS's own S3 client in a sandbox with a placeholder access key, against a bucket that checks signatures.
 */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import { type RealGateway, startRealGateway } from '../support/real-clients.ts'
import { createS3StandIn } from '../support/s3-stand-in.ts'

const account = {
  accessKeyId: 'AKIAREALREALREALREAL',
  secretAccessKey: 'real/secret+key/0123456789',
  region: 'eu-central-1',
}
const bucket = createS3StandIn(account)

let site: Site
let world: RealGateway
beforeAll(async () => {
  site = await startSite(bucket.handler)
  world = await startRealGateway({
    hosts: ['s3.test'],
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
      ],
    },
    credentials: [
      {
        name: 'aws',
        kind: 'aws-sigv4',
        accessKeyId: account.accessKeyId,
        hosts: ['s3.test'],
        placeholder: { env: 'AWS_ACCESS_KEY_ID', like: 'AKIA{17}' },
      },
    ],
    secrets: { aws: account.secretAccessKey },
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
