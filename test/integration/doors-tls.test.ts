/** `https://` proxies: TLS on the proxy's own port, and clients that show a certificate there. */

import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type tls from 'node:tls'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseHost } from '../../src/net/host.ts'
import { parseCidr } from '../../src/net/ip.ts'
import { type Heard, RawClient } from '../support/raw-client.ts'
import { needs } from '../support/tools.ts'
import { createWorld, type World } from '../support/world.ts'

const run = promisify(execFile)
const pins = ['127.0.0.0/8']
const spiffe = 'spiffe://corp.example/ns/team/sa/agent'

let folder: string
let world: World
/** Of the two listeners: for everybody, and for those with a certificate. */
let ports: readonly [open: number, mutual: number, balanced: number]
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'doors-'))
  await makeCertificates(folder)
  await writeFile(join(folder, 'agents.yaml'), 'version: 1\nname: agents\nrules: [{ host: allowed.test }]\n')
  const name = parseHost('proxy.test')
  if (name === null) expect.fail()
  const session = { policy: 'agents', mode: null, labels: {}, credentials: {}, refusal: 'auto', token: null } as const
  const mutual = { own: { name }, clientCa: join(folder, 'ca.pem') }
  world = await createWorld({
    rules: ({ http, https }) => [
      { host: 'tunnel.test', ports: [https], addresses: pins },
      { host: 'inside.test', ports: [https], addresses: pins, methods: ['GET'], paths: ['/**'] },
      { host: 'plain.test', ports: [http], addresses: pins },
    ],
    dns: {
      'tunnel.test': { a: ['127.0.0.1'] },
      'inside.test': { a: ['127.0.0.1'] },
      'plain.test': { a: ['127.0.0.1'] },
    },
    policies: folder,
    statics: [
      { ...session, id: 'by-spiffe', sources: null, certificate: spiffe },
      { ...session, id: 'by-name', sources: ['192.0.2.7/32'], certificate: 'CN=agent-8' },
    ],
    listeners: [
      { address: '127.0.0.1:0', session: null, tls: { own: { name }, clientCa: null } },
      { address: '127.0.0.1:0', session: null, tls: mutual },
      {
        address: '127.0.0.1:0',
        session: null,
        tls: mutual,
        balancers: pins.flatMap((text) => parseCidr(text) ?? []),
      },
    ],
  })
  const [open = 0, second = 0, third = 0] = world.gateway.proxies.map((text) => Number(text.split(':').at(-1)))
  ports = [open, second, third]
}, 60_000)
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

/** By a CA of the clients: one with a SPIFFE id, one with a name, one that has expired; and one by nobody. */
async function makeCertificates(directory: string): Promise<void> {
  const openssl = (...args: readonly string[]) => run('openssl', args, { cwd: directory })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  await openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=clients', '-days', '2')
  const sign = async (name: string, subject: string, extension: string, days: string): Promise<void> => {
    await openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject)
    await writeFile(join(directory, `${name}.ext`), extension)
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', `${name}.ext`]
    await openssl('x509', '-req', '-in', `${name}.csr`, ...by, '-out', `${name}.pem`, '-days', days)
  }
  const usage = 'extendedKeyUsage=clientAuth\n'
  await sign('spiffe', '/CN=somebody', `${usage}subjectAltName=URI:${spiffe}\n`, '2')
  await sign('named', '/O=Corp/CN=agent-8', usage, '2')
  await sign('unknown', '/CN=agent-9', usage, '2')
  await sign('server', '/CN=agent-8', 'extendedKeyUsage=serverAuth\n', '2')
  await openssl('req', '-x509', ...key, '-keyout', 'self.key', '-out', 'self.pem', '-subj', '/CN=agent-8', '-days', '2')
}

async function pair(name: string): Promise<{ cert: string; key: string }> {
  return {
    cert: await readFile(join(folder, `${name}.pem`), 'utf8'),
    key: await readFile(join(folder, `${name}.key`), 'utf8'),
  }
}

async function enter(port: number, more: tls.ConnectionOptions = {}, before = ''): Promise<RawClient> {
  const client = await RawClient.connect(port)
  await client.send(before)
  return client.startTls({ servername: 'proxy.test', ca: world.caCertificate, ...more })
}

const about = 'GET http://egress.local/ HTTP/1.1\r\nHost: egress.local\r\n\r\n'

async function ask(client: RawClient, text = about): Promise<Heard> {
  await client.send(text)
  const heard = await client.response()
  client.destroy()
  return heard
}

describe('a proxy that speaks TLS', () => {
  it('does within it what it does in the clear: requests, tunnels, interception, SOCKS', async () => {
    const { authorization, id } = await world.newSession()
    const proof = `Proxy-Authorization: ${authorization}\r\n`
    const plain = `plain.test:${world.ports.http}`
    const heard = await ask(await enter(ports[0]), `GET http://${plain}/ HTTP/1.1\r\nHost: ${plain}\r\n${proof}\r\n`)
    expect(heard).toMatchObject({ status: 200 })
    for (const [host, ca] of [
      ['tunnel.test', world.originCa.certificate],
      ['inside.test', world.caCertificate],
    ] as const) {
      const client = await enter(ports[0])
      await client.send(`CONNECT ${host}:${world.ports.https} HTTP/1.1\r\n${proof}\r\n`)
      expect(await client.response({ bodiless: true })).toMatchObject({ status: 200 })
      const secure = await client.startTls({ servername: host, ca })
      const target = `${host}:${world.ports.https}`
      expect(await ask(secure, `GET / HTTP/1.1\r\nHost: ${target}\r\n\r\n`)).toMatchObject({ status: 200 })
    }
    const socks = await enter(ports[0])
    await socks.send(Buffer.from([5, 1, 2]))
    expect(await socks.bytes(2)).toBe('0502')
    socks.destroy()
    await expect.poll(() => world.records.filter(({ session }) => session === id)).toHaveLength(3)
  })

  it('is spoken to by curl, with a certificate of our CA, and says so in the URL it gives', async (context) => {
    await needs(context, 'curl')
    const { authorization } = await world.newSession()
    const credentials = Buffer.from(authorization.slice(6), 'base64').toString()
    const { stdout } = await run('curl', [
      '-sS',
      '--proxy-cacert',
      world.gateway.caPath,
      '--resolve',
      `proxy.test:${ports[0]}:127.0.0.1`,
      '--proxy',
      `https://${credentials}@proxy.test:${ports[0]}`,
      `http://plain.test:${world.ports.http}/`,
    ])
    expect(stdout).toBe('ok\n')
    expect(world.gateway.proxyUrlFor('a', 'b')).toBe(`https://a:b@proxy.test:${ports[0]}`)
  })

  it('resets what a session holds open in it when the session ends', async () => {
    const session = await world.newSession()
    for (const host of ['tunnel.test', 'inside.test']) {
      const client = await enter(ports[0])
      const proof = `Proxy-Authorization: ${session.authorization}\r\n`
      await client.send(`CONNECT ${host}:${world.ports.https} HTTP/1.1\r\n${proof}\r\n`)
      await client.response({ bodiless: true })
      const ca = host === 'tunnel.test' ? world.originCa.certificate : world.caCertificate
      const secure = await client.startTls({ servername: host, ca })
      if (host === 'inside.test') await session.revoke()
      else await secure.send('GET / HTTP/1.1\r\n')
      if (host === 'inside.test') expect(await secure.closed()).toBe(true)
    }
    expect(world.gateway.sessions.book.get(session.id)).toBe(undefined)
  })

  it.each([
    ['HTTP in the clear', about],
    ['nothing', ''],
    ['half a hello', Buffer.from('160301020001000', 'hex')],
    ['noise', Buffer.alloc(600, 0x16)],
  ])('answers %s with the end of the connection, in time', async (_name, text) => {
    const client = await RawClient.connect(ports[0])
    await client.send(text)
    expect(await client.closed()).toBe(true)
    expect(client.unread.toString()).not.toContain('HTTP/')
  })

  it('speaks no TLS before 1.2', async () => {
    await expect(
      enter(ports[0], { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
    ).rejects.toThrow()
  })
})

describe("a client's certificate", () => {
  it('is the session that lists its SPIFFE id, without any password', async () => {
    expect(await ask(await enter(ports[1], await pair('spiffe')))).toMatchObject({ status: 200 })
    await expect.poll(() => world.records.at(-1)?.session).toBe('by-spiffe')
  })

  it('is the session that lists its name, where it comes from the right place', async () => {
    expect(await ask(await enter(ports[1], await pair('named')))).toMatchObject({ status: 407 })
    const line = 'PROXY TCP4 192.0.2.7 10.0.0.1 40000 3128\r\n'
    expect(await ask(await enter(ports[2], await pair('named'), line))).toMatchObject({ status: 200 })
    await expect.poll(() => world.records.at(-1)).toMatchObject({ session: 'by-name', client: '192.0.2.7' })
  })

  it('that no session lists is nobody, and may still prove a session by its token', async () => {
    const unknown = await pair('unknown')
    expect(await ask(await enter(ports[1], unknown))).toMatchObject({ status: 407 })
    const { authorization } = await world.newSession()
    const proven = about.replace('\r\n\r\n', `\r\nProxy-Authorization: ${authorization}\r\n\r\n`)
    expect(await ask(await enter(ports[1], unknown), proven)).toMatchObject({ status: 200 })
  })

  it.each(['self', 'server', 'none'])('that is wrong (%s) ends in the handshake', async (name) => {
    const before = world.records.length
    const shown = name === 'none' ? {} : await pair(name)
    // In TLS 1.3 a client is through before the server has looked.
    const heard = await enter(ports[1], shown).then(
      (client) => ask(client),
      () => 'reset' as const,
    )
    expect(['ended', 'reset']).toContain(heard)
    expect(world.records.length).toBe(before)
  })
})
