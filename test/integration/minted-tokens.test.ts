import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fieldOf, RawClient, type RawResponse } from '../support/raw-client.ts'
import { type RawOrigin, startRawOrigin } from '../support/raw-origin.ts'
import { createTestCa } from '../support/test-ca.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'

const clientSecret = 'client-secret-0123456789'
const pins = ['127.0.0.0/8']

let world: World
let issuer: RawOrigin
let session: WorldSession
let issued: number

beforeEach(async () => {
  const ca = createTestCa()
  issued = 0
  issuer = await startRawOrigin(ca)
  issuer.answer = (_request, socket) => {
    const said = { access_token: `token-${++issued}-0123456789`, token_type: 'Bearer', expires_in: 3600 }
    answer(socket, 200, JSON.stringify(said))
  }
  world = await createWorld({
    originCa: ca,
    limits: { firstBytesTimeoutMs: 15_000, handshakeTimeoutMs: 15_000, headTimeoutMs: 15_000 },
    rules: ({ https }) => [{ host: 'good.test', ports: [https], addresses: pins, credential: 'account' }],
    dns: { 'good.test': { a: ['127.0.0.1'] }, 'login.test': { a: ['127.0.0.1'] } },
    secrets: { CLIENT_SECRET: clientSecret },
    credentials: [
      {
        name: 'account',
        kind: 'oauth2-client-credentials',
        tokenUrl: `https://login.test:${issuer.port}/token`,
        clientId: 'client',
        addresses: pins,
        secret: { env: 'CLIENT_SECRET' },
        hosts: ['good.test'],
      },
    ],
  })
  session = await world.newSession()
})
afterEach(async () => {
  await world[Symbol.asyncDispose]()
  await issuer[Symbol.asyncDispose]()
})

function answer(socket: { readonly write: (text: string) => unknown }, status: number, body: string): void {
  socket.write(`HTTP/1.1 ${status} Said\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
}

/** One request inside TLS through the proxy. */
async function ask(): Promise<RawResponse> {
  const client = await RawClient.connect(world.ports.proxy)
  const target = `good.test:${world.ports.https}`
  await client.send(
    `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\nProxy-Authorization: ${session.authorization}\r\n\r\n`,
  )
  await client.response({ bodiless: true })
  const secure = await client.startTls({ servername: 'good.test', ca: world.caCertificate })
  await secure.send(`GET / HTTP/1.1\r\nHost: ${target}\r\n\r\n`)
  const heard = await secure.response()
  secure.destroy()
  return typeof heard === 'string' ? expect.fail(heard) : heard
}

/** What the origin was shown, in order. */
function shown(): string[] {
  return world.https.connections.flatMap(({ reading }) =>
    reading().requests.flatMap(({ fields }) =>
      fields.flatMap(([name, value]) => (name === 'authorization' ? [value] : [])),
    ),
  )
}

describe('a token made of a client secret', () => {
  it('is got once for many requests, and is no exchange of the sandbox', async () => {
    const answers = await Promise.all(Array.from({ length: 5 }, ask))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    expect((await ask()).status).toBe(200)
    expect(issued).toBe(1)
    expect(new Set(shown())).toEqual(new Set(['Bearer token-1-0123456789']))
    expect(world.records.map(({ host, credentials }) => [host, ...credentials])).toEqual(
      Array.from({ length: 6 }, () => ['good.test', 'account']),
    )
    for (const text of [...world.logged, await world.auditText()]) {
      expect(text).not.toContain(clientSecret)
      expect(text).not.toContain('token-1')
    }
  })

  it('does not come back: it is masked where the origin says what it was sent', async () => {
    world.https.answer = (request, socket) => answer(socket, 200, JSON.stringify(request.fields))
    const text = (await ask()).body.toString()
    expect(text).toContain(`"Bearer ${'*'.repeat('token-1-0123456789'.length)}"`)
    expect(text).not.toContain('token-1')
    expect(world.records.at(-1)).toMatchObject({ redactions: 1 })
  })

  it('is got anew after a 401, once, and the 401 is the answer to the request it was for', async () => {
    world.https.answer = (_request, socket) => answer(socket, 401, 'no')
    expect([(await ask()).status, (await ask()).status, (await ask()).status]).toEqual([401, 401, 401])
    expect(issued).toBe(2)
    expect(shown()).toEqual([1, 2, 2].map((turn) => `Bearer token-${turn}-0123456789`))
  })

  it('that cannot be had refuses the request, asks nobody again at once, and is told once', async () => {
    issuer.answer = (_request, socket) => answer(socket, 401, '{"error":"invalid_client","error_description":"sk-x"}')
    for (let turn = 0; turn < 3; turn++) {
      const heard = await ask()
      expect([heard.status, fieldOf(heard, 'x-egress-reason')]).toEqual([503, 'secret_unavailable'])
    }
    expect(issuer.connections).toHaveLength(1)
    expect(world.https.connections).toEqual([])
    const told = world.logged.filter((line) => line.includes('invalid_client'))
    expect(told).toHaveLength(1)
    expect(told.join('')).not.toContain('sk-x')
  })

  it('is not asked for where the endpoint cannot prove its name', async () => {
    issuer.fault = 'untrusted_issuer'
    expect((await ask()).status).toBe(503)
    expect(issuer.connections.map(({ received }) => received.length)).toEqual([0])
  })
})
