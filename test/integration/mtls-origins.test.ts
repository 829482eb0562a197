import { once } from 'node:events'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { TLSSocket } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createClientCertificate } from '../support/client-certificate.ts'
import { fieldOf, RawClient, type RawResponse } from '../support/raw-client.ts'
import { createTestCa } from '../support/test-ca.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'

const day = 86_400_000
const fresh = () => createClientCertificate(new Date(Date.now() - day), new Date(Date.now() + day))
const pins = ['127.0.0.0/8']

let world: World
let origin: https.Server
let session: WorldSession
let port: number
let connections: number
let certificate: string
let heads: string[]

beforeEach(async () => {
  const ca = createTestCa()
  connections = 0
  heads = []
  origin = https.createServer(
    {
      requestCert: true,
      rejectUnauthorized: false,
      SNICallback: (name, done) => done(null, ca.contextFor(name)),
    },
    (request, response) => {
      heads.push(JSON.stringify(request.rawHeaders))
      const { socket } = request
      response.end(socket instanceof TLSSocket ? (socket.getPeerCertificate().fingerprint256 ?? 'nobody') : 'plain')
    },
  )
  origin.on('secureConnection', () => connections++)
  origin.listen(0, '127.0.0.1')
  await once(origin, 'listening')
  port = (origin.address() as AddressInfo).port
  certificate = ''
  const credential = { kind: 'mtls', hosts: ['good.test'] }
  const secrets = {
    get ONE() {
      return certificate
    },
  }
  world = await createWorld({
    originCa: ca,
    limits: { firstBytesTimeoutMs: 15_000, handshakeTimeoutMs: 15_000, headTimeoutMs: 15_000 },
    rules: () => [
      { host: 'good.test', ports: [port], addresses: pins, paths: ['/own'], credential: 'one' },
      { host: 'good.test', ports: [port], addresses: pins, paths: ['/bare'] },
    ],
    dns: { 'good.test': { a: ['127.0.0.1'] } },
    secrets,
    credentials: [{ ...credential, name: 'one', secret: { env: 'ONE' } }],
  })
  session = await world.newSession()
})
afterEach(async () => {
  await world[Symbol.asyncDispose]()
  origin.closeAllConnections()
  origin.close()
})

async function ask(path: string): Promise<RawResponse> {
  const client = await RawClient.connect(world.ports.proxy)
  const target = `good.test:${port}`
  await client.send(
    `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\nProxy-Authorization: ${session.authorization}\r\n\r\n`,
  )
  await client.response({ bodiless: true })
  const secure = await client.startTls({ servername: 'good.test', ca: world.caCertificate })
  await secure.send(`GET ${path} HTTP/1.1\r\nHost: ${target}\r\n\r\n`)
  const heard = await secure.response()
  secure.destroy()
  return typeof heard === 'string' ? expect.fail(heard) : heard
}

async function seenAs(path: string): Promise<string> {
  return (await ask(path)).body.toString()
}

describe('an origin that asks for a certificate', () => {
  it('gets ours on the requests that the rule says, on connections of their own', async () => {
    const own = fresh()
    certificate = own.pem
    expect(await seenAs('/own')).toBe(own.fingerprint)
    expect(await seenAs('/bare')).toBe('nobody')
    expect(await seenAs('/own')).toBe(own.fingerprint)
    expect(await seenAs('/bare')).toBe('nobody')
    expect(connections).toBe(2)
    expect(heads.join('')).not.toContain('CERTIFICATE')
    expect(world.records.map(({ credentials }) => credentials.join(''))).toEqual(['one', '', 'one', ''])
  })

  it('gets the new one once the secret is another, on a new connection', async () => {
    const [before, after] = [fresh(), fresh()]
    certificate = before.pem
    expect(await seenAs('/own')).toBe(before.fingerprint)
    certificate = after.pem
    expect(await seenAs('/own')).toBe(after.fingerprint)
  })

  it('gets nothing where the certificate is not to be had', async () => {
    certificate = fresh().certificate
    const heard = await ask('/own')
    expect([heard.status, fieldOf(heard, 'x-egress-reason')]).toEqual([503, 'secret_unavailable'])
    expect(connections).toBe(0)
    expect(world.logged.join('')).toContain('needs its certificate')
  })
})
