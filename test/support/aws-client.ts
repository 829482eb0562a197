/**
 * A client of AWS in a sandbox, for what the SDK of this language does not do: signs each request of its argument with the
 * access key of its environment, sends it through the proxy of its environment, and prints what was answered.
 */

import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import https from 'node:https'
import { setTimeout as delay } from 'node:timers/promises'
import { text } from 'node:stream/consumers'
import { chunkedBody } from './aws-chunked.ts'
import { createSigner } from './aws-signer.ts'

export type AwsRequest = {
  readonly url: string
  readonly service: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  /** Of the body, or of each chunk where `trailer` is not left out: null for none. */
  readonly sizes: readonly number[]
  readonly trailer?: readonly [name: string, value: string] | null
  /** A body that is written out. */
  readonly text?: string
  /** The variable that holds the access key. */
  readonly keyFrom?: string
  /** Says no length beforehand. */
  readonly streamed?: boolean
  /** Where in the body a byte is another than it should be. */
  readonly spoiledAt?: number
}

const agent = new https.Agent({ proxyEnv: process.env, keepAlive: true })

async function send(asked: AwsRequest): Promise<{ status: number; said: string }> {
  const { method, service, sizes, trailer } = asked
  const url = new URL(asked.url)
  const accessKeyId = process.env[asked.keyFrom ?? 'AWS_ACCESS_KEY_ID'] ?? ''
  const account = { accessKeyId, secretAccessKey: 'none of ours', region: 'eu-central-1' }
  const data = sizes.map((size, i) => Buffer.alloc(size, 97 + i))
  const chunked = trailer !== undefined
  const bytes = sizes.reduce((sum, size) => sum + size, 0)
  const headers: Record<string, string> = { ...asked.headers, host: url.host }
  if (chunked) {
    headers['content-encoding'] = 'aws-chunked'
    headers['x-amz-content-sha256'] = `STREAMING-AWS4-HMAC-SHA256-PAYLOAD${trailer === null ? '' : '-TRAILER'}`
    headers['x-amz-decoded-content-length'] = String(bytes)
    if (trailer !== null) headers['x-amz-trailer'] = trailer[0]
  }
  const whole = asked.text === undefined ? Buffer.concat(data) : Buffer.from(asked.text)
  const place = { protocol: url.protocol, hostname: url.hostname, path: url.pathname, query: {} }
  const signed = await createSigner(account, service).sign({ method, ...place, headers, body: whole })
  const time = String(signed.headers['x-amz-date'])
  const seed = String(signed.headers['authorization']).slice(-64)
  const body = chunked ? chunkedBody({ ...account, time }, seed, data, trailer === null ? null : [trailer]) : whole
  if (asked.spoiledAt !== undefined) body.writeUInt8(0x21, asked.spoiledAt)
  const length = asked.streamed === true ? {} : { 'content-length': String(body.length) }
  const request = https.request(url, { agent, method, headers: { ...signed.headers, ...length } })
  const answered = once(request, 'response')
  // In pieces, so that nobody has all of it at once.
  for (let at = 0; at < body.length && !request.destroyed; at += 50_000) {
    request.write(body.subarray(at, at + 50_000))
    await delay(1)
  }
  request.end()
  const [response] = (await answered) as [IncomingMessage]
  return { status: response.statusCode ?? 0, said: await text(response) }
}

const answers: unknown[] = []
for (const asked of JSON.parse(process.argv[2] ?? '[]') as AwsRequest[]) answers.push(await send(asked))
agent.destroy()
console.log(JSON.stringify(answers))
