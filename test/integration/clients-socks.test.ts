import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import { RawClient } from '../support/raw-client.ts'
import { type RealGateway, type Sandbox, startRealGateway, until } from '../support/real-clients.ts'
import {
  credentialsOf,
  openSocks,
  socksAnswer,
  socksConnect,
  socksCredentials,
  socksGreeting,
} from '../support/socks-client.ts'
import { needs } from '../support/tools.ts'

const secret = 'the-real-secret-0123456789'
/** A path of a socket has 107 bytes at most. */
const socket = join(tmpdir(), `sallyport-socks-${process.pid}.sock`)
/** Where the session that is told by its source comes from. */
const source = '127.0.0.9'

let site: Site
let world: RealGateway
let ports: readonly number[]
beforeAll(async () => {
  site = await startSite()
  const rule = { addresses: ['127.0.0.0/8'], ports: [site.httpPort, site.httpsPort] }
  const statics = ['listener', 'socket'].map((id) => ({ id, policy: 'clients' }))
  world = await startRealGateway({
    hosts: ['origin.test', 'tunnel.test', 'api.test'],
    originCa: site.ca.certificate,
    listeners: [
      { address: '127.0.0.1:0', session: null },
      { address: '127.0.0.1:0', session: 'listener' },
      { address: `unix:${socket}`, session: 'socket' },
    ],
    statics: [...statics, { id: 'source', policy: 'clients', sources: [`${source}/32`] }],
    credentials: [{ name: 'key', kind: 'bearer', hosts: ['api.test'] }],
    secrets: { key: secret },
    policies: {
      clients: [
        { host: 'origin.test', ...rule, methods: ['GET'] },
        { host: 'tunnel.test', ...rule },
        { host: 'api.test', ...rule, methods: ['GET'], credential: 'key', ports: [site.httpsPort] },
      ],
    },
  })
  ports = world.gateway.proxies.slice(0, 2).map((address) => Number(address.split(':')[1]))
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
  await site?.[Symbol.asyncDispose]()
  await rm(socket, { force: true })
})
beforeEach(() => void site.requests.splice(0))

const plain = (host: string, path = '/hello'): string => `http://${host}:${site.httpPort}${path}`
const secure = (host: string, path = '/hello'): string => `https://${host}:${site.httpsPort}${path}`
/** As a user would write it. */
const socksUrl = ({ proxyUrl }: Sandbox): string => proxyUrl.replace(/^http/, 'socks5h')
/** The proxy of the environment is HTTP's. */
const curl = (sandbox: Sandbox, args: readonly string[], proxy = socksUrl(sandbox)) =>
  sandbox.run('curl', ['-sS', '-x', proxy, ...args])

describe('curl', () => {
  beforeEach((context) => needs(context, 'curl'))

  it('gets a page over http', async () => {
    const sandbox = await world.sandbox('clients')
    const { result, records } = await world.watch(1, () => curl(sandbox, [plain('origin.test')]))
    expect(result).toMatchObject({ code: 0, stdout: `hello from origin.test:${site.httpPort}\n` })
    expect(records[0]).toMatchObject({
      kind: 'request',
      outcome: 'allow',
      session: sandbox.id,
      scheme: 'http',
      host: 'origin.test',
      path: '/hello',
      status: 200,
    })
  })

  it('gets a page through interception, trusting by its environment alone', async () => {
    const sandbox = await world.sandbox('clients')
    const { result, records } = await world.watch(1, () => curl(sandbox, [secure('origin.test')]))
    expect(result).toMatchObject({ code: 0, stdout: `hello from origin.test:${site.httpsPort}\n` })
    expect(records[0]).toMatchObject({ kind: 'request', outcome: 'allow', scheme: 'https', session: sandbox.id })
  })

  it('gets a page through a tunnel, and trusts the origin itself', async () => {
    const sandbox = await world.sandbox('clients')
    await writeFile(join(sandbox.directory, 'origin.pem'), site.ca.certificate)
    const { result, records } = await world.watch(1, () =>
      curl(sandbox, ['--cacert', 'origin.pem', secure('tunnel.test')]),
    )
    expect(result).toMatchObject({ code: 0, stdout: `hello from tunnel.test:${site.httpsPort}\n` })
    expect(records[0]).toMatchObject({ kind: 'tunnel', outcome: 'allow', host: 'tunnel.test', session: sandbox.id })
  })

  it('sends nothing, and the origin gets the credential', async () => {
    const sandbox = await world.sandbox('clients')
    const { records } = await world.watch(1, () => curl(sandbox, [secure('api.test')]))
    expect(site.requests).toMatchObject([{ headers: { authorization: `Bearer ${secret}` } }])
    expect(records[0]).toMatchObject({ outcome: 'allow', credentials: ['key'] })
  })

  it('takes its credentials from --proxy-user too', async () => {
    const { id, token, ...sandbox } = await world.sandbox('clients')
    const { result } = await world.watch(1, () =>
      sandbox.run('curl', [
        '-sS',
        '--socks5-hostname',
        `127.0.0.1:${ports[0]}`,
        '--proxy-user',
        `${id}:${token}`,
        plain('origin.test'),
      ]),
    )
    expect(result.stdout).toBe(`hello from origin.test:${site.httpPort}\n`)
  })

  it('is refused by the ruleset at first, and once it has proved that it trusts us is told why inside TLS', async () => {
    const sandbox = await world.sandbox('clients')
    const { result, records } = await world.watch(1, () => curl(sandbox, [secure('denied.test')]))
    expect(result.code).toBe(97)
    expect(result.stderr).toContain('(2)')
    expect(records[0]).toMatchObject({ kind: 'connect', outcome: 'deny', reason: 'host_not_allowed', status: 403 })
    await curl(sandbox, [secure('origin.test')])
    const { result: told } = await world.watch(1, () => curl(sandbox, [secure('denied.test', '/a')]))
    expect(JSON.parse(told.stdout)).toMatchObject({ reason: 'host_not_allowed', session: sandbox.id })
  })

  it('is told inside TLS at once, where its session says so', async () => {
    const sandbox = await world.sandbox('clients', { refusal: 'inside' })
    const { result, records } = await world.watch(1, () => curl(sandbox, [secure('denied.test')]))
    expect(JSON.parse(result.stdout)).toMatchObject({ reason: 'host_not_allowed' })
    expect(records[0]).toMatchObject({ kind: 'request', outcome: 'deny', host: 'denied.test', path: '/hello' })
  })

  it('reads what is allowed at egress.local', async () => {
    const sandbox = await world.sandbox('clients')
    const { result } = await world.watch(1, () => curl(sandbox, ['http://egress.local/']))
    expect(result.stdout).toContain(`Session ${sandbox.id}`)
  })

  it('with a wrong token is refused, and the record says what HTTP would have', async () => {
    const sandbox = await world.sandbox('clients')
    const wrong = socksUrl(sandbox).replace(sandbox.token, 'x'.repeat(sandbox.token.length))
    const { result, records } = await world.watch(1, () => curl(sandbox, [plain('origin.test')], wrong))
    expect(result.code).toBe(97)
    expect(records[0]).toMatchObject({ outcome: 'deny', reason: 'session_unknown', session: null, status: 407 })
  })

  it('without credentials is challenged in vain', async () => {
    const sandbox = await world.sandbox('clients')
    const proxy = `socks5h://127.0.0.1:${ports[0]}`
    const { result, records } = await world.watch(1, () => curl(sandbox, [plain('origin.test')], proxy))
    expect(result.code).toBe(97)
    expect(records[0]).toMatchObject({ outcome: 'challenge', reason: 'session_unknown', status: 407 })
  })

  it('speaks version 4 in vain', async () => {
    const sandbox = await world.sandbox('clients')
    const proxy = `socks4a://127.0.0.1:${ports[0]}`
    const { result, records } = await world.watch(1, () => curl(sandbox, [plain('origin.test')], proxy))
    expect(result.code).toBe(97)
    expect(records[0]).toMatchObject({ outcome: 'deny', reason: 'malformed_request', status: 400 })
  })

  it.each(['', 'someone:else@'])('needs no credentials where the listener is its session (%j)', async (userinfo) => {
    const sandbox = await world.sandbox('clients')
    const proxy = `socks5h://${userinfo}127.0.0.1:${ports[1]}`
    const { result, records } = await world.watch(1, () => curl(sandbox, [secure('origin.test')], proxy))
    expect(result.code).toBe(0)
    expect(records[0]).toMatchObject({ outcome: 'allow', session: 'listener' })
  })

  it('needs none where its address is its session', async () => {
    const sandbox = await world.sandbox('clients')
    const proxy = `socks5h://127.0.0.1:${ports[0]}`
    const { result, records } = await world.watch(1, () =>
      curl(sandbox, ['--interface', source, secure('origin.test')], proxy),
    )
    expect(result.code).toBe(0)
    expect(records[0]).toMatchObject({ outcome: 'allow', session: 'source', client: source })
  })

  it('reaches a Unix socket', async () => {
    const sandbox = await world.sandbox('clients')
    const { result, records } = await world.watch(1, () =>
      curl(sandbox, [secure('origin.test')], `socks5h://localhost${socket}`),
    )
    expect(result).toMatchObject({ code: 0, stdout: `hello from origin.test:${site.httpsPort}\n` })
    expect(records[0]).toMatchObject({ outcome: 'allow', session: 'socket', client: null })
  })
})

describe('a client of sockets', () => {
  const proxy = (): number => ports[0] ?? 0

  it('may say all at once what it has to say, and TLS begins where the answers end', async () => {
    const sandbox = await world.sandbox('clients')
    const { records } = await world.watch(1, async () => {
      const client = await RawClient.connect(proxy())
      const request = socksConnect('origin.test', site.httpsPort)
      await client.send(Buffer.concat([socksGreeting(2), credentialsOf(sandbox), request]))
      expect(await client.bytes(14)).toBe(`05020100${socksAnswer(0)}`)
      const inside = await client.startTls({ servername: 'origin.test', ca: sandbox.caCertificate })
      await inside.send(`GET /hello HTTP/1.1\r\nHost: origin.test:${site.httpsPort}\r\n\r\n`)
      expect(await inside.response()).toMatchObject({ status: 200 })
      client.destroy()
    })
    expect(records[0]).toMatchObject({ outcome: 'allow', session: sandbox.id })
  })

  // Java offers both methods always, and answers with the name of its user and nothing.
  it.each([
    ['no credentials', [socksGreeting(0)], '0500'],
    ['both methods, then an empty password', [socksGreeting(0, 2), socksCredentials('root', '')], '05020100'],
  ])('is the session of its address with %s', async (_what, messages, hears) => {
    const { records } = await world.watch(1, async () => {
      const raw = net.connect({ host: '127.0.0.1', port: proxy(), localAddress: source })
      await once(raw, 'connect')
      const client = new RawClient(raw)
      await client.send(...messages, socksConnect('origin.test', site.httpsPort))
      expect(await client.bytes(hears.length / 2 + 10)).toBe(hears + socksAnswer(0))
      client.destroy()
    })
    expect(records[0]).toMatchObject({ outcome: 'abandoned', host: 'origin.test', session: 'source' })
  })

  it('is nobody with wrong credentials, though its address is a session (decision 5)', async () => {
    const { records } = await world.watch(1, async () => {
      const raw = net.connect({ host: '127.0.0.1', port: proxy(), localAddress: source })
      await once(raw, 'connect')
      const client = new RawClient(raw)
      await client.send(socksGreeting(0, 2), socksCredentials('source', 'x'))
      expect(await client.bytes(100)).toBe('05020101')
    })
    expect(records[0]).toMatchObject({ outcome: 'deny', reason: 'session_unknown', session: null })
  })

  it.each(['tunnel.test', 'origin.test'])('is cut on its way to %s when its session is revoked', async (host) => {
    const sandbox = await world.sandbox('clients')
    const { records } = await world.watch(1, async () => {
      const client = await openSocks(proxy(), sandbox, socksConnect(host, site.httpsPort))
      const ca = host === 'tunnel.test' ? site.ca.certificate : sandbox.caCertificate
      const inside = await client.startTls({ servername: host, ca })
      await inside.send(`GET /drip HTTP/1.1\r\nHost: ${host}:${site.httpsPort}\r\n\r\n`)
      await until(() => inside.unread.length > 0, 'the first bytes')
      expect((await world.control('DELETE', `/v1/sessions/${sandbox.id}`)).status).toBe(204)
      const before = inside.unread.length
      await until(() => inside.end === 'reset', 'the cut', 500)
      await delay(100)
      expect(inside.unread.length).toBe(before)
    })
    expect(records[0]).toMatchObject({ session: sandbox.id, host, outcome: 'interrupted' })
  })

  it('is cut between its proof and its request when its session is revoked', async () => {
    const sandbox = await world.sandbox('clients')
    const client = await RawClient.connect(proxy())
    await client.send(socksGreeting(2), credentialsOf(sandbox))
    expect(await client.bytes(4)).toBe('05020100')
    expect((await world.control('DELETE', `/v1/sessions/${sandbox.id}`)).status).toBe(204)
    expect(await client.closed(500)).toBe(true)
    expect(client.end).toBe('reset')
  })
})
