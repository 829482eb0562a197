import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { digestOfBytes, type Site, startSite } from '../support/local-ca-origin.ts'
import { type RealGateway, startRealGateway } from '../support/real-clients.ts'
import { needs } from '../support/tools.ts'

const secret = 'the-real-secret-0123456789'
const placeholderShape = 'sk-test-{40}'

let site: Site
let world: RealGateway
beforeAll(async () => {
  site = await startSite()
  const addresses = ['127.0.0.0/8']
  const ports = [site.httpPort, site.httpsPort]
  world = await startRealGateway({
    hosts: ['origin.test', 'tunnel.test', 'api.test'],
    originCa: site.ca.certificate,
    credentials: [
      {
        name: 'key',
        kind: 'header',
        header: 'x-api-key',
        hosts: ['api.test'],
        placeholder: { env: 'TEST_API_KEY', like: placeholderShape },
      },
    ],
    secrets: { key: secret },
    policies: {
      clients: [
        { host: 'origin.test', addresses, ports, methods: ['GET', 'POST', 'PUT'] },
        { host: 'tunnel.test', addresses, ports },
        { host: 'api.test', addresses, ports, methods: ['GET'], credential: 'key' },
      ],
    },
  })
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  await site[Symbol.asyncDispose]()
})
beforeEach(() => void site.requests.splice(0))

const plain = (host: string, path: string): string => `http://${host}:${site.httpPort}${path}`
const secure = (host: string, path: string): string => `https://${host}:${site.httpsPort}${path}`

describe('curl', () => {
  beforeEach((context) => needs(context, 'curl'))

  it('gets a page over http', async () => {
    const sandbox = await world.sandbox('clients')
    const { result, records } = await world.watch(1, () =>
      sandbox.run('curl', ['-sS', plain('origin.test', '/hello?key=value')]),
    )
    expect(result).toMatchObject({ code: 0, stdout: `hello from origin.test:${site.httpPort}\n` })
    expect(records[0]).toMatchObject({
      kind: 'request',
      outcome: 'allow',
      session: sandbox.id,
      scheme: 'http',
      host: 'origin.test',
      path: '/hello',
      status: 200,
      address: `127.0.0.1:${site.httpPort}`,
    })
    expect(site.requests[0]?.headers).not.toHaveProperty('proxy-authorization')
    expect(site.requests[0]?.headers).not.toHaveProperty('proxy-connection')
  })

  it('gets a page through interception, trusting by its environment alone', async () => {
    const sandbox = await world.sandbox('clients')
    const { result, records } = await world.watch(1, () =>
      sandbox.run('curl', ['-sS', '-w', '%{ssl_verify_result} %{http_connect}', secure('origin.test', '/hello')]),
    )
    expect(result).toMatchObject({ code: 0, stdout: `hello from origin.test:${site.httpsPort}\n0 200` })
    expect(records[0]).toMatchObject({ kind: 'request', outcome: 'allow', scheme: 'https', method: 'GET', status: 200 })
  })

  it('gets a page through a tunnel, and trusts the origin itself', async () => {
    const sandbox = await world.sandbox('clients')
    await writeFile(join(sandbox.directory, 'origin.pem'), site.ca.certificate)
    const page = secure('tunnel.test', '/hello')
    const { result, records } = await world.watch(1, () => sandbox.run('curl', ['-sS', '--cacert', 'origin.pem', page]))
    expect(result).toMatchObject({ code: 0, stdout: `hello from tunnel.test:${site.httpsPort}\n` })
    expect(records[0]).toMatchObject({
      kind: 'tunnel',
      outcome: 'allow',
      host: 'tunnel.test',
      method: null,
      path: null,
    })
    // Without the origin's own root it refuses the tunnel: the certificate is not ours.
    expect((await sandbox.run('curl', ['-sS', page])).code).toBe(60)
  })

  it.for(['nothing', 'the placeholder'])('sends %s, and the origin gets the credential', async (what) => {
    const sandbox = await world.sandbox('clients')
    const placeholder = sandbox.env['TEST_API_KEY'] ?? ''
    expect(placeholder).toMatch(/^sk-test-\w{40}$/)
    const sent = what === 'nothing' ? [] : ['-H', `x-api-key: ${placeholder}`]
    const { result, records } = await world.watch(1, () =>
      sandbox.run('curl', ['-sS', ...sent, secure('api.test', '/hello')]),
    )
    expect(result).toMatchObject({ code: 0 })
    expect(site.requests).toMatchObject([{ headers: { 'x-api-key': secret } }])
    expect(records[0]).toMatchObject({ outcome: 'allow', credentials: ['key'] })
    expect(await readFile(world.auditFile, 'utf8')).not.toContain(secret)
  })

  it('is refused with a key of its own, and sees why', async () => {
    const sandbox = await world.sandbox('clients')
    const { result, records } = await world.watch(1, () =>
      sandbox.run('curl', ['-sS', '-H', 'x-api-key: sk-of-somebody-else', secure('api.test', '/hello')]),
    )
    expect(JSON.parse(result.stdout)).toMatchObject({ reason: 'foreign_credential', retryable: false })
    expect(records[0]).toMatchObject({ outcome: 'deny', reason: 'foreign_credential', detail: 'field x-api-key' })
    expect(site.requests).toEqual([])
  })

  it('never sends the credential over http', async () => {
    const sandbox = await world.sandbox('clients')
    const { result } = await world.watch(1, () => sandbox.run('curl', ['-sS', plain('api.test', '/hello')]))
    expect(JSON.parse(result.stdout)).toMatchObject({ reason: 'credential_needs_tls' })
    expect(site.requests).toEqual([])
  })

  it('shows the status of a refused CONNECT only, at first', async () => {
    const sandbox = await world.sandbox('clients')
    const { result, records } = await world.watch(1, () => sandbox.run('curl', ['-sS', secure('denied.test', '/')]))
    expect(result.code).toBe(56)
    expect(result.stderr).toContain('403')
    expect(records[0]).toMatchObject({ kind: 'connect', outcome: 'deny', reason: 'host_not_allowed', status: 403 })
  })

  it('is shown why inside TLS, once it has proved that it trusts us', async () => {
    const sandbox = await world.sandbox('clients')
    await sandbox.run('curl', ['-sS', secure('origin.test', '/hello')])
    const { result, records } = await world.watch(1, () => sandbox.run('curl', ['-sS', secure('denied.test', '/a')]))
    expect(result.code).toBe(0)
    expect(JSON.parse(result.stdout)).toMatchObject({ reason: 'host_not_allowed', session: sandbox.id })
    expect(records[0]).toMatchObject({ kind: 'request', outcome: 'deny', host: 'denied.test', path: '/a', status: 403 })
  })

  it('uploads 10 MiB after asking with Expect, whole and in order', async () => {
    const sandbox = await world.sandbox('clients')
    const body = Buffer.alloc(10 * 1024 * 1024, 'sallyport ')
    await writeFile(join(sandbox.directory, 'body'), body)
    const flags = ['-sS', '-v', '--http1.1', '-H', 'Expect: 100-continue', '-T', 'body']
    const { result, records } = await world.watch(1, () =>
      sandbox.run('curl', [...flags, secure('origin.test', '/upload')]),
    )
    expect(result.stdout).toBe(`${body.length} ${createHash('sha256').update(body).digest('hex')}\n`)
    expect(result.stderr).toContain('100 Continue')
    expect(records[0]?.bytesUp).toBeGreaterThanOrEqual(body.length)
  })

  it('is told no before it uploads, when it asks first', async () => {
    const sandbox = await world.sandbox('clients')
    await writeFile(join(sandbox.directory, 'body'), Buffer.alloc(10 * 1024 * 1024))
    const flags = ['-sS', '-w', ' %{size_upload}', '-H', 'Expect: 100-continue', '-X', 'DELETE', '-T', 'body']
    // Over HTTP/2 curl does not wait for its 100: there the window of the stream is all that it may send unasked.
    for (const [protocol, uploadedMax] of [
      ['--http1.1', 0],
      ['--http2', 262_144],
    ] as const) {
      const { result } = await world.watch(1, () =>
        sandbox.run('curl', [protocol, ...flags, secure('origin.test', '/upload')]),
      )
      const [, uploaded] = /"reason":"method_not_allowed"[^]* (\d+)$/.exec(result.stdout) ?? []
      expect(Number(uploaded)).toBeLessThanOrEqual(uploadedMax)
    }
    expect(site.requests).toEqual([])
  })

  it.each([
    ['--http1.1', '1.1'],
    ['--http2', '2'],
  ])('speaks the HTTP that it was told to: %s', async (protocol, version) => {
    const sandbox = await world.sandbox('clients')
    await writeFile(join(sandbox.directory, 'body'), Buffer.alloc(3 * 1024 * 1024, 'x'))
    const flags = [protocol, '-sS', '-w', ' %{http_version} %{http_code}']
    const { result, records } = await world.watch(3, async () => [
      await sandbox.run('curl', [...flags, secure('origin.test', '/hello')]),
      await sandbox.run('curl', [...flags, '-T', 'body', secure('origin.test', '/upload')]),
      await sandbox.run('curl', [...flags, '-f', '-X', 'DELETE', secure('origin.test', '/hello')]),
    ])
    expect(result.map(({ code, stdout }) => `${code} ${stdout.split(' ').slice(-2).join(' ')}`)).toEqual([
      `0 ${version} 200`,
      `0 ${version} 200`,
      `22 ${version} 403`,
    ])
    expect(records.map(({ outcome }) => outcome)).toEqual(['allow', 'allow', 'deny'])
  })

  it('downloads 50 MiB, whole and in order', async () => {
    const sandbox = await world.sandbox('clients')
    const length = 50 * 1024 * 1024
    const { result, records } = await world.watch(1, () =>
      sandbox.run('curl', ['-sS', '-o', 'body', secure('origin.test', `/bytes?${length}`)]),
    )
    expect(result).toMatchObject({ code: 0 })
    const body = await readFile(join(sandbox.directory, 'body'))
    expect(createHash('sha256').update(body).digest('hex')).toBe(digestOfBytes(length))
    expect(records[0]?.bytesDown).toBeGreaterThanOrEqual(length)
  })

  it('is challenged, and answers on the same connection', async () => {
    const sandbox = await world.sandbox('clients')
    const flags = ['-sS', '-v', '--proxy-anyauth']
    const { result, records } = await world.watch(2, () =>
      sandbox.run('curl', [...flags, secure('origin.test', '/hello')]),
    )
    expect(result).toMatchObject({ code: 0, stdout: `hello from origin.test:${site.httpsPort}\n` })
    expect(result.stderr.match(/^\* Connected to/gm)).toHaveLength(1)
    expect(records).toMatchObject([
      { outcome: 'challenge', session: null, status: 407 },
      { outcome: 'allow', session: sandbox.id, status: 200 },
    ])
    const { result: second } = await world.watch(2, () =>
      sandbox.run('curl', [...flags, plain('origin.test', '/hello')]),
    )
    expect(second).toMatchObject({ code: 0, stdout: `hello from origin.test:${site.httpPort}\n` })
  })

  it('with a wrong token is told who it must be, and nothing of why', async () => {
    const sandbox = await world.sandbox('clients')
    const wrong = sandbox.proxyUrl.replace(sandbox.token, 'x'.repeat(sandbox.token.length))
    const { result, records } = await world.watch(1, () =>
      sandbox.run('curl', ['-sS', '-x', wrong, '-w', '%{http_code}', plain('origin.test', '/hello')]),
    )
    expect(result.stdout).toMatch(/"reason":"session_unknown"[^]*407$/)
    expect(records[0]).toMatchObject({ outcome: 'deny', reason: 'session_unknown', session: null })
  })
})

describe('wget', () => {
  beforeEach((context) => needs(context, 'wget'))

  // Debian's wget links GnuTLS, which ignores SSL_CERT_FILE: the bundle has to be named, as no variable can.
  it('gets a page through interception, with --ca-certificate', async () => {
    const sandbox = await world.sandbox('clients')
    const trust = `--ca-certificate=${sandbox.env['SSL_CERT_FILE']}`
    const { result, records } = await world.watch(1, () =>
      sandbox.run('wget', ['-q', '-O-', trust, secure('origin.test', '/hello')]),
    )
    expect(result).toMatchObject({ code: 0, stdout: `hello from origin.test:${site.httpsPort}\n` })
    expect(records[0]).toMatchObject({ kind: 'request', outcome: 'allow', scheme: 'https' })
  })

  it('sends nothing, and the origin gets the credential', async () => {
    const sandbox = await world.sandbox('clients')
    const trust = `--ca-certificate=${sandbox.env['SSL_CERT_FILE']}`
    await world.watch(1, () => sandbox.run('wget', ['-q', '-O-', trust, secure('api.test', '/hello')]))
    expect(site.requests).toMatchObject([{ headers: { 'x-api-key': secret } }])
  })

  it('gets a page over http, and shows the reason phrase of what is refused', async () => {
    const sandbox = await world.sandbox('clients')
    const { result } = await world.watch(1, () => sandbox.run('wget', ['-q', '-O-', plain('origin.test', '/hello')]))
    expect(result).toMatchObject({ code: 0, stdout: `hello from origin.test:${site.httpPort}\n` })
    const { result: refused, records } = await world.watch(1, () => sandbox.run('wget', [secure('denied.test', '/')]))
    expect(refused.code).not.toBe(0)
    expect(refused.said).toContain('(host_not_allowed) - do not retry or bypass - ask the user')
    expect(records[0]).toMatchObject({ kind: 'connect', outcome: 'deny', status: 403 })
  })

  it('that does not trust us leaves, and the next refusal is told to its CONNECT', async () => {
    const sandbox = await world.sandbox('clients')
    const once = ['--tries=1', '-O-']
    const { result, records } = await world.watch(1, () =>
      sandbox.run('wget', [...once, secure('origin.test', '/hello')], { env: { SSL_CERT_FILE: undefined } }),
    )
    expect(result.code).toBe(5)
    expect(records[0]).toMatchObject({ kind: 'connect', outcome: 'abandoned', host: 'origin.test' })
  })
})
