/** Through squid, as companies run it: with a password, over TLS, with its usual rules. */

import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, type TestContext } from 'vitest'
import { parentConfig, secretIn } from '../support/parent-stand-in.ts'
import { RawClient } from '../support/raw-client.ts'
import { createTestCa, type TestCa } from '../support/test-ca.ts'
import { needs } from '../support/tools.ts'
import { createWorld, type World } from '../support/world.ts'

const run = promisify(execFile)
const password = 'right horse battery'

type Squid = AsyncDisposable & { readonly http: number; readonly https: number; readonly log: () => Promise<string> }

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function startSquid(ca: TestCa): Promise<Squid> {
  const directory = await mkdtemp(join(tmpdir(), 'squid-'))
  // Squid gives up root before it reads some of them.
  await chmod(directory, 0o777)
  const [http, https] = [await freePort(), await freePort()]
  const { certificate, key } = ca.pemFor('parent.test')
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(directory, name), text)
    await chmod(join(directory, name), 0o644)
    return join(directory, name)
  }
  const { stdout: hash } = await run('openssl', ['passwd', '-apr1', password])
  const conf = await file(
    'squid.conf',
    `http_port 127.0.0.1:${http}
https_port 127.0.0.1:${https} tls-cert=${await file('cert.pem', certificate)} tls-key=${await file('key.pem', key)}
auth_param basic program /usr/lib/squid/basic_ncsa_auth ${await file('users', `gate:${hash}`)}
auth_param basic children 1
acl known proxy_auth REQUIRED
acl blocked dstdomain blocked.test
http_access deny blocked
http_access allow known
http_access deny all
hosts_file ${await file('hosts', '127.0.0.1 far.test plain.test\n')}
pid_filename none
cache deny all
cache_log ${join(directory, 'cache.log')}
access_log stdio:${join(directory, 'access.log')}
coredump_dir ${directory}
visible_hostname parent.test
shutdown_lifetime 0 seconds
`,
  )
  const child: ChildProcess = spawn('squid', ['-N', '-f', conf], { stdio: 'ignore' })
  const answers = async (): Promise<boolean> => {
    const probe = net.connect({ host: '127.0.0.1', port: https })
    const found = await Promise.race([once(probe, 'connect').then(() => true), once(probe, 'error').then(() => false)])
    probe.destroy()
    return found
  }
  await expect.poll(answers, { timeout: 15_000 }).toBe(true)
  return {
    http,
    https,
    log: () => readFile(join(directory, 'access.log'), 'utf8').catch(() => ''),
    async [Symbol.asyncDispose]() {
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
      await rm(directory, { recursive: true, force: true })
    },
  }
}

function worldBehind(
  squid: Squid,
  ca: TestCa,
  scheme: 'http' | 'https',
  more: object,
  said = password,
): Promise<World> {
  return createWorld({
    originCa: ca,
    rules: ({ http, https }) => [
      { host: 'far.test', ports: [https] },
      { host: 'near.test', ports: [https], addresses: ['127.0.0.0/8'], methods: ['GET'], paths: ['/**'] },
      { host: 'plain.test', ports: [http] },
      { host: 'blocked.test', ports: [https] },
    ],
    dns: {
      'far.test': { a: ['93.184.216.34'] },
      'plain.test': { a: ['93.184.216.34'] },
      'blocked.test': { a: ['93.184.216.34'] },
      'near.test': { a: ['127.0.0.1'] },
      'parent.test': { a: ['127.0.0.1'] },
    },
    limits: { connectTimeoutMs: 8000 },
    parent: parentConfig(`parent.test:${squid[scheme]}`, {
      scheme,
      login: { user: 'gate', secret: secretIn('PASSWORD') },
      ...more,
    }),
    secrets: { PASSWORD: said },
  })
}

async function ask(world: World, host: string): Promise<number> {
  const client = await RawClient.connect(world.ports.proxy)
  const { authorization } = await world.newSession()
  const port = host === 'plain.test' ? world.ports.http : world.ports.https
  const target = `${host}:${port}`
  const proof = `Proxy-Authorization: ${authorization}\r\n`
  if (host === 'plain.test') await client.send(`GET http://${target}/ HTTP/1.1\r\nHost: ${target}\r\n${proof}\r\n`)
  else await client.send(`CONNECT ${target} HTTP/1.1\r\n${proof}\r\n`)
  const heard = await client.response({ timeoutMs: 12_000 })
  if (typeof heard === 'string') return expect.fail(heard)
  if (host === 'plain.test' || heard.status !== 200) return heard.status
  const ca = host === 'near.test' ? world.caCertificate : world.originCa.certificate
  const secure = await client.startTls({ servername: host, ca })
  await secure.send(`GET / HTTP/1.1\r\nHost: ${target}\r\n\r\n`)
  const inside = await secure.response({ timeoutMs: 12_000 })
  secure.destroy()
  return typeof inside === 'string' ? expect.fail(inside) : inside.status
}

describe('squid', () => {
  it('lets through what it is asked for, by name and by address, over http and https', async (context: TestContext) => {
    await needs(context, 'squid')
    const ca = createTestCa()
    await using squid = await startSquid(ca)
    for (const scheme of ['http', 'https'] as const) {
      await using world = await worldBehind(squid, ca, scheme, { connectBy: 'name' })
      for (const host of ['far.test', 'near.test', 'plain.test']) expect(await ask(world, host)).toBe(200)
      expect(await ask(world, 'blocked.test')).toBe(502)
      await expect.poll(() => world.records.at(-1)?.reason).toBe('parent_refused')
    }
    const log = await squid.log()
    expect(log).toContain('CONNECT far.test:')
    expect(log).toContain('CONNECT 127.0.0.1:')
    expect(log).toContain(' gate ')
    await using wrong = await worldBehind(squid, ca, 'https', { connectBy: 'name' }, 'not the right one')
    expect(await ask(wrong, 'far.test')).toBe(502)
    await expect.poll(() => wrong.records[0]?.detail).toContain('it answered 407')
  }, 60_000)
})
