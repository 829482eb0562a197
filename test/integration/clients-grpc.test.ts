import { once } from 'node:events'
import * as grpc from '@grpc/grpc-js'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ExchangeRecord } from '../../src/exchange/record.ts'
import { createTestCa } from '../support/test-ca.ts'
import { until } from '../support/real-clients.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'

const secret = 'the-real-secret-0123456789'

/** Of bytes that need no schema. */
const plain = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same }
const unary = { path: '/test.Echo/Unary', requestStream: false, responseStream: false, ...plain }
const down = { path: '/test.Echo/Down', requestStream: false, responseStream: true, ...plain }
const up = { path: '/test.Echo/Up', requestStream: true, responseStream: false, ...plain }
const both = { path: '/test.Echo/Both', requestStream: true, responseStream: true, ...plain }
const definition = { unary, down, up, both }

function same(bytes: Buffer): Buffer {
  return bytes
}

const originCa = createTestCa()
const server = new grpc.Server()
const environment = process.env['grpc_proxy']
let port: number
let world: World
let session: WorldSession
let seen: grpc.Metadata | null = null

const implementation: grpc.UntypedServiceImplementation = {
  unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => {
    seen = call.metadata
    const trailers = new grpc.Metadata()
    trailers.set('x-sum', 'abc')
    if (call.request.toString() === 'fail')
      answer({ code: grpc.status.FAILED_PRECONDITION, details: 'not now, 100 %', metadata: trailers })
    else answer(null, Buffer.from(call.metadata.get('echo').join() || call.request), trailers)
  },
  down: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
    for (let i = 0; i < 100; i++) call.write(Buffer.alloc(10_000, i))
    call.end()
  },
  up: (call: grpc.ServerReadableStream<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => {
    let bytes = 0
    call.on('data', (piece: Buffer) => (bytes += piece.length))
    call.on('end', () => answer(null, Buffer.from(String(bytes))))
  },
  both: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
    call.on('data', (piece: Buffer) => call.write(piece))
    call.on('end', () => call.end())
  },
}

beforeAll(async () => {
  server.addService(
    Object.fromEntries(Object.entries(definition).map(([name, method]) => [name, { ...method, originalName: name }])),
    implementation,
  )
  const { key, certificate } = originCa.pemFor('grpc.test')
  const other = originCa.pemFor('key.test')
  const serve = (pem: typeof other): Promise<number> =>
    new Promise((resolve, reject) => {
      const credentials = grpc.ServerCredentials.createSsl(null, [
        { private_key: Buffer.from(pem.key), cert_chain: Buffer.from(pem.certificate) },
      ])
      server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)))
    })
  port = await serve({ key, certificate })
  const keyPort = await serve(other)
  world = await createWorld({
    originCa,
    dns: { 'grpc.test': { a: ['127.0.0.1'] }, 'key.test': { a: ['127.0.0.1'] }, 'away.test': { a: ['127.0.0.1'] } },
    rules: () => [
      {
        host: 'grpc.test',
        ports: [port],
        addresses: ['127.0.0.0/8'],
        methods: ['POST'],
        paths: ['/test.Echo/Unary', '/test.Echo/Down', '/test.Echo/Up', '/test.Echo/Both'],
      },
      { host: 'key.test', ports: [keyPort], addresses: ['127.0.0.0/8'], credential: 'key' },
      { host: 'away.test', ports: [1], addresses: ['127.0.0.0/8'], tls: 'intercept' },
    ],
    credentials: [{ name: 'key', kind: 'bearer', hosts: ['key.test'], secret: { env: 'KEY' } }],
    secrets: { KEY: secret },
  })
  ports = { 'away.test': 1, 'grpc.test': port, 'key.test': keyPort }
})
afterAll(async () => {
  if (environment === undefined) delete process.env['grpc_proxy']
  else process.env['grpc_proxy'] = environment
  server.forceShutdown()
  await world[Symbol.asyncDispose]()
})
let ports: Readonly<Record<string, number>> = {}
let client: grpc.Client
beforeEach(async () => {
  session = await world.newSession()
})
afterEach(() => client.close())

function open(host: string): void {
  const proof = Buffer.from(session.authorization.slice('Basic '.length), 'base64').toString()
  process.env['grpc_proxy'] = `http://${proof}@127.0.0.1:${world.ports.proxy}`
  client = new grpc.Client(`${host}:${ports[host]}`, grpc.credentials.createSsl(Buffer.from(world.caCertificate)), {
    'grpc.enable_retries': 0,
  })
}

const records = (): ExchangeRecord[] => world.records.filter((one) => one.session === session.id)

type Told = { readonly code: number; readonly details: string; readonly metadata: grpc.Metadata; readonly body: string }

function call(method: { readonly path: string }, body: string, metadata = new grpc.Metadata()): Promise<Told> {
  return new Promise((resolve) => {
    let answered = ''
    const going = client.makeUnaryRequest(method.path, same, same, Buffer.from(body), metadata, (_error, value) => {
      answered = value?.toString() ?? ''
    })
    going.on('status', (status) => setImmediate(() => resolve({ ...status, body: answered })))
  })
}

describe('gRPC', () => {
  it('asks and is answered, with its trailers and its status', async () => {
    open('grpc.test')
    const whole = await call(unary, 'hello')
    expect(whole).toMatchObject({ code: grpc.status.OK, body: 'hello' })
    expect(whole.metadata.get('x-sum')).toEqual(['abc'])
    const failed = await call(unary, 'fail')
    expect(failed).toMatchObject({ code: grpc.status.FAILED_PRECONDITION, details: 'not now, 100 %' })
    expect(failed.metadata.get('x-sum')).toEqual(['abc'])
    await until(() => records().length === 2, 'two records')
    expect(records()).toMatchObject([
      { outcome: 'allow', method: 'POST', path: '/test.Echo/Unary', status: 200 },
      { outcome: 'allow', method: 'POST', path: '/test.Echo/Unary', status: 200 },
    ])
  })

  it('streams down, up and both ways at once', async () => {
    open('grpc.test')
    let bytes = 0
    const downwards = client.makeServerStreamRequest(down.path, same, same, Buffer.from(''))
    downwards.on('data', (piece: Buffer) => (bytes += piece.length))
    await once(downwards, 'end')
    expect(bytes).toBe(1_000_000)

    const uploaded = Promise.withResolvers<Buffer | undefined>()
    const upwards = client.makeClientStreamRequest(up.path, same, same, (_error, value) => uploaded.resolve(value))
    for (let i = 0; i < 100; i++) upwards.write(Buffer.alloc(10_000))
    upwards.end()
    expect((await uploaded.promise)?.toString()).toBe('1000000')

    const talk = client.makeBidiStreamRequest(both.path, same, same)
    for (const word of ['one', 'two', 'three']) {
      const heard = once(talk, 'data') as Promise<[Buffer]>
      talk.write(Buffer.from(word))
      expect((await heard)[0].toString()).toBe(word)
    }
    const status = once(talk, 'status') as Promise<[grpc.StatusObject]>
    talk.end()
    expect((await status)[0].code).toBe(grpc.status.OK)
  })

  it('is told a refusal as a status, with words', async () => {
    open('grpc.test')
    const told = await call({ path: '/test.Echo/Denied' }, 'hello')
    expect(told.code).toBe(grpc.status.PERMISSION_DENIED)
    expect(told.details).toMatch(/^Egress policy denied grpc.test:\d+ \(path_not_allowed\) - do not retry or bypass/)
    expect(told.metadata.get('x-egress-reason')).toEqual(['path_not_allowed'])
    await until(() => records().length === 1, 'its record')
    expect(records()).toMatchObject([{ outcome: 'deny', reason: 'path_not_allowed', status: 403 }])
  })

  it('is told of an origin that is not there as one that may be tried again', async () => {
    open('away.test')
    const told = await call(unary, 'hello')
    expect(told.code).toBe(grpc.status.UNAVAILABLE)
    expect(told.details).toContain('connect_failed')
  })

  it('carries a credential, which does not come back in the message', async () => {
    open('key.test')
    const told = await call(unary, 'hello')
    expect(told).toMatchObject({ code: grpc.status.OK, body: 'hello' })
    expect(seen?.get('authorization')).toEqual([`Bearer ${secret}`])
    const mine = new grpc.Metadata()
    mine.set('authorization', 'Bearer mine')
    expect((await call(unary, 'hello', mine)).code).toBe(grpc.status.PERMISSION_DENIED)
  })
})
