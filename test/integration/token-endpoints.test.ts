import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fieldOf, RawClient, type RawResponse } from '../support/raw-client.ts'
import { type RawOrigin, startRawOrigin } from '../support/raw-origin.ts'
import { createTestCa } from '../support/test-ca.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'

const secrets = { CLIENT_SECRET: 'client-secret-0123456789', REFRESH_TOKEN: 'refresh-token-0123456789' }
const token = 'issued-0123456789abcdef'
const pins = ['127.0.0.0/8']

let world: World
let issuer: RawOrigin
let session: WorldSession
let placeholders: ReadonlyMap<string, string>

beforeEach(async () => {
  const ca = createTestCa()
  issuer = await startRawOrigin(ca)
  issuer.answer = (_request, socket) => {
    const body = JSON.stringify({ access_token: token, token_type: 'Bearer', expires_in: 3600 })
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  }
  const common = { addresses: pins, clientId: 'my client' }
  world = await createWorld({
    originCa: ca,
    limits: { firstBytesTimeoutMs: 15_000, handshakeTimeoutMs: 15_000 },
    rules: ({ https }) => [
      { host: 'good.test', ports: [https], addresses: pins, credential: 'account' },
      { host: 'other.test', ports: [https], addresses: pins, tls: 'intercept' },
      { host: 'login.test', ports: [issuer.port], methods: ['POST'], paths: ['/token'], credential: 'account' },
      { host: 'refresh.test', ports: [issuer.port], addresses: pins, credential: 'user' },
    ],
    dns: Object.fromEntries(
      ['good', 'other', 'login', 'refresh'].map((name) => [`${name}.test`, { a: ['127.0.0.1'] }]),
    ),
    secrets,
    credentials: [
      {
        ...common,
        name: 'account',
        kind: 'oauth2-client-credentials',
        tokenUrl: `https://login.test:${issuer.port}/token`,
        secret: { env: 'CLIENT_SECRET' },
        hosts: ['good.test'],
        placeholder: { env: 'CLIENT_SECRET' },
      },
      {
        ...common,
        name: 'user',
        kind: 'oauth2-refresh',
        tokenUrl: `https://refresh.test:${issuer.port}/token`,
        secret: { env: 'REFRESH_TOKEN' },
        hosts: ['good.test'],
        placeholder: { env: 'REFRESH_TOKEN' },
      },
    ],
  })
  session = await world.newSession()
  placeholders = world.gateway.sessions.credentials.environmentFor(session.id)
})
afterEach(async () => {
  await world[Symbol.asyncDispose]()
  await issuer[Symbol.asyncDispose]()
})

/** One request inside TLS through the proxy; `more` are lines of its head. */
async function ask(name: string, port: number, line: string, more: string, body: string | readonly string[] = '') {
  const client = await RawClient.connect(world.ports.proxy)
  const target = `${name}:${port}`
  await client.send(
    `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\nProxy-Authorization: ${session.authorization}\r\n\r\n`,
  )
  await client.response({ bodiless: true })
  const secure = await client.startTls({ servername: name, ca: world.caCertificate })
  await secure.send(`${line} HTTP/1.1\r\nHost: ${target}\r\n${more}\r\n`, ...(typeof body === 'string' ? [body] : body))
  const heard = await secure.response()
  secure.destroy()
  return typeof heard === 'string' ? expect.fail(heard) : heard
}

function post(body: string, more = '', name = 'login.test', path = '/token'): Promise<RawResponse> {
  const lines = `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n${more}`
  return ask(name, issuer.port, `POST ${path}`, lines, body)
}

function placeholderOf(variable: string): string {
  return placeholders.get(variable) ?? expect.fail(variable)
}

function reasonOf(heard: RawResponse): readonly [number, string | null] {
  return [heard.status, fieldOf(heard, 'x-egress-reason')]
}

describe('a token endpoint', () => {
  it('gives the placeholder for the placeholder, and that opens the API with the real token', async () => {
    const secret = placeholderOf('CLIENT_SECRET')
    const heard = await post(`grant_type=client_credentials&client_id=my+client&client_secret=${secret}&scope=a`)
    expect(heard.status).toBe(200)
    expect(fieldOf(heard, 'cache-control')).toBe('no-store')
    const said = JSON.parse(heard.body.toString()) as Record<string, unknown>
    expect(said).toEqual({ access_token: secret, token_type: 'Bearer', expires_in: 3600 })
    // Nobody was asked: not even for the address.
    expect(issuer.connections).toEqual([])
    expect(JSON.stringify(world.dns.queries)).not.toContain('login')

    const lines = `Authorization: Bearer ${String(said['access_token'])}\r\n`
    expect((await ask('good.test', world.ports.https, 'GET /', lines)).status).toBe(200)
    const received = world.https.connections.map((one) => one.received.toString('latin1')).join('')
    expect(received).toContain(`Authorization: Bearer ${token}\r\n`)
    expect(received).not.toContain(secret)
    expect(
      world.records.map(({ host, outcome, status, address, credentials }) => ({
        host,
        outcome,
        status,
        dialled: address !== null,
        credentials,
      })),
    ).toEqual([
      { host: 'login.test', outcome: 'allow', status: 200, dialled: false, credentials: [] },
      { host: 'good.test', outcome: 'allow', status: 200, dialled: true, credentials: ['account'] },
    ])
  })

  it.each([
    ['as they are', (id: string) => id],
    ['form-encoded', (id: string) => id.replace(' ', '+')],
    ['escaped', (id: string) => id.replace(/[^a-z0-9:]/gi, (one) => `%${one.charCodeAt(0).toString(16)}`)],
  ])('takes the client by Basic, with its halves %s', async (_what, written) => {
    const pair = Buffer.from(written(`my client:${placeholderOf('CLIENT_SECRET')}`)).toString('base64')
    expect((await post('grant_type=client_credentials', `Authorization: Basic ${pair}\r\n`)).status).toBe(200)
  })

  it('gives a refresh token too, where one was sent', async () => {
    const refresh = placeholderOf('REFRESH_TOKEN')
    const heard = await post(`grant_type=refresh_token&refresh_token=${refresh}`, '', 'refresh.test')
    expect(JSON.parse(heard.body.toString())).toMatchObject({ access_token: refresh, refresh_token: refresh })
  })

  it('takes a body in chunks, and one that is announced first', async () => {
    const body = `grant_type=client_credentials&client_secret=${placeholderOf('CLIENT_SECRET')}`
    const half = body.length >> 1
    const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`
    const pieces = [chunk(body.slice(0, half)), chunk(body.slice(half)), '0\r\n\r\n']
    const chunked = await ask('login.test', issuer.port, 'POST /token', 'Transfer-Encoding: chunked\r\n', pieces)
    expect(chunked.status).toBe(200)
    const announced = await post(body, 'Expect: 100-continue\r\n')
    expect([announced.informational, announced.status]).toEqual([[100], 200])
  })

  it('is for its own placeholder: of another credential, of another session, or none, there is no token', async () => {
    const grant = 'grant_type=client_credentials&client_secret='
    const other = await world.newSession()
    const foreign = world.gateway.sessions.credentials.environmentFor(other.id).get('CLIENT_SECRET') ?? ''
    for (const secret of ['attacker', foreign, placeholderOf('REFRESH_TOKEN'), '', secrets.CLIENT_SECRET])
      expect(reasonOf(await post(grant + secret))).toEqual([403, 'placeholder_missing'])
    const basic = (user: string, password: string) =>
      `Authorization: Basic ${Buffer.from(`${user}:${password}`).toString('base64')}\r\n`
    const own = placeholderOf('CLIENT_SECRET')
    expect(reasonOf(await post('', basic('another client', own)))).toEqual([403, 'foreign_credential'])
    expect(reasonOf(await post('', basic('my client', 'attacker')))).toEqual([403, 'foreign_credential'])
    expect(reasonOf(await post('', `Authorization: Bearer ${placeholderOf('REFRESH_TOKEN')}\r\n`))).toEqual([
      403,
      'placeholder_elsewhere',
    ])
    expect(reasonOf(await post(grant + own, `X-Note: ${own}\r\n`))).toEqual([403, 'placeholder_elsewhere'])
    expect(issuer.connections).toEqual([])
  })

  it('is one path: what else is asked there gets neither token nor secret', async () => {
    const refresh = placeholderOf('REFRESH_TOKEN')
    for (const path of ['/token/', '/introspect', '/'])
      expect(reasonOf(await post(`refresh_token=${refresh}`, '', 'refresh.test', path))).toEqual([
        503,
        'secret_unavailable',
      ])
    expect(reasonOf(await ask('refresh.test', issuer.port, 'GET /token', ''))).toEqual([503, 'secret_unavailable'])
    expect(issuer.connections).toEqual([])
  })

  it('takes no more than a token request has, and waits for no slow one', async () => {
    const long = `client_secret=${placeholderOf('CLIENT_SECRET')}&pad=${'x'.repeat(70_000)}`
    expect(reasonOf(await post(long))).toEqual([400, 'malformed_request'])
    const slow = await ask('login.test', issuer.port, 'POST /token', 'Content-Length: 100\r\n', 'grant_type=')
    expect(slow.status).toBe(400)
  })
})
