/**
 * Both ends of gRPC, by `@grpc/grpc-js`: a server that answers each message with one, and a client that says for some seconds
 * as much as is answered. Arguments: port, certificate and key, or target, roots, kind and
 * seconds; the client prints how much was answered.
 *
 * Unary: 32 calls at a time, each of one message. Streams: 32 that stay, each with 8 messages on their way.
 */

import { readFileSync } from 'node:fs'
import * as grpc from '@grpc/grpc-js'

const [first, second, third, fourth] = process.argv.slice(2)
const atOnce = 32
const onTheirWay = 8
const message = Buffer.alloc(120, 'a message of some words ')
const same = (bytes: Buffer): Buffer => bytes
const plain = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same }
const unary = {
  path: '/bench.Echo/Unary',
  requestStream: false,
  responseStream: false,
  originalName: 'unary',
  ...plain,
}
const both = { path: '/bench.Echo/Both', requestStream: true, responseStream: true, originalName: 'both', ...plain }

if (third !== undefined && fourth === undefined) serve(Number(first), second ?? '', third)
else await load(first ?? '', second ?? '', third ?? '', Number(fourth))

function serve(port: number, certificate: string, key: string): void {
  const server = new grpc.Server()
  server.addService(
    { unary, both },
    {
      unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) =>
        answer(null, call.request),
      both: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
        call.on('error', () => undefined)
        call.on('data', (piece: Buffer) => call.write(piece)).on('end', () => call.end())
      },
    },
  )
  const pair = { cert_chain: readFileSync(certificate), private_key: readFileSync(key) }
  server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createSsl(null, [pair]), (error) => {
    if (error !== null) throw error
  })
}

async function load(target: string, roots: string, kind: string, seconds: number): Promise<void> {
  // Where the target is somebody who stands for the origin.
  const name = { 'grpc.ssl_target_name_override': 'origin.bench.test', 'grpc.default_authority': 'origin.bench.test' }
  const options = target.startsWith('origin.') ? {} : name
  const client = new grpc.Client(target, grpc.credentials.createSsl(readFileSync(roots)), options)
  const until = performance.now() + seconds * 1000
  const one = kind === 'unary' ? callUntil : streamUntil
  const counts = await Promise.all(Array.from({ length: atOnce }, () => one(client, until)))
  client.close()
  process.stdout.write(JSON.stringify({ answered: counts.reduce((sum, count) => sum + count, 0) }))
}

async function callUntil(client: grpc.Client, until: number): Promise<number> {
  let answered = 0
  while (performance.now() < until) {
    await new Promise<void>((resolve, reject) => {
      client.makeUnaryRequest(unary.path, same, same, message, (error) => (error === null ? resolve() : reject(error)))
    })
    answered++
  }
  return answered
}

function streamUntil(client: grpc.Client, until: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let answered = 0
    const call = client.makeBidiStreamRequest(both.path, same, same)
    call.on('error', reject)
    call.on('end', () => resolve(answered))
    call.on('data', () => {
      answered++
      if (performance.now() < until) call.write(message)
      else call.end()
    })
    for (let i = 0; i < onTheirWay; i++) call.write(message)
  })
}
