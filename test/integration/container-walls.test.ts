/**
 * The topology of `docker/compose.yaml`, mirrored by network namespaces: with its own gateway configuration, policy and
 * sandbox environment. What `verify` says there, and that it sees each wall that is taken away.
 */

import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { canMakeNamespaces, createNamespaces, inside, type Namespaces, outside } from '../support/sandbox-namespaces.ts'
import { type Ended, runCli, type Spawned, spawnCli } from '../support/spawned-cli.ts'
import { isInstalled } from '../support/tools.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const main = join(root, 'src/main.ts')

const isPossible = (await isInstalled('ip')) && (await canMakeNamespaces())
if (process.env['CI'] !== undefined) expect(isPossible, 'ip and the right to make namespaces').toBe(true)

type Finding = { readonly wall: string; readonly verdict: string; readonly detail: string }

describe.skipIf(!isPossible)('the topology of compose.yaml', { timeout: 60_000 }, () => {
  let namespaces: Namespaces
  let directory: string
  let world: Spawned
  let gateway: Spawned
  let environment: Record<string, string>

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sallyport-walls-'))
    namespaces = createNamespaces()
    const script = join(root, 'test/support/outside-world.ts')
    world = spawnCli([script, directory], {
      cwd: directory,
      command: [...namespaces.into('world'), process.execPath],
    })
    await world.says(/ready/)
    await mkdir(join(directory, 'policies'))
    await writeFile(join(directory, 'policies/sandbox.yaml'), await shipped('compose/sandbox.yaml'), { mode: 0o644 })
    gateway = await serve(await shipped('compose/sallyport.yaml'))
    environment = await sandboxEnvironment()
  }, 60_000)

  afterAll(async () => {
    for (const one of [gateway, world]) one?.child.kill('SIGKILL')
    await Promise.all([gateway?.end, world?.end])
    namespaces?.close()
    await rm(directory, { recursive: true, force: true })
  })

  const shipped = (path: string): Promise<string> => readFile(join(root, 'docker', path), 'utf8')

  /** The shipped configuration; only where things stand on this machine is another. */
  async function serve(config: string, env: Readonly<Record<string, string>> = {}): Promise<Spawned> {
    const file = join(directory, 'sallyport.yaml')
    await writeFile(file, config, { mode: 0o644 })
    const started = spawnCli(['serve', '--json', '--config', file], {
      cwd: directory,
      command: [...namespaces.into('gateway'), process.execPath, main],
      env: {
        SALLYPORT_STATE_DIRECTORY: join(directory, 'state'),
        SALLYPORT_PUBLIC_DIRECTORY: join(directory, 'public'),
        SALLYPORT_UPSTREAM_EXTRA_CA: join(directory, 'origin-ca.pem'),
        SALLYPORT_UPSTREAM_DNS_SERVERS: `${outside.address}:53`,
        ...env,
      },
    })
    await started.says(/"proxies"/)
    return started
  }

  /** As compose.yaml writes it; the name of the service and the mount are those of this test. */
  async function sandboxEnvironment(): Promise<Record<string, string>> {
    const { services } = parse(await shipped('compose.yaml')) as {
      services: { sandbox: { environment: Record<string, string> } }
    }
    const replaced = Object.entries(services.sandbox.environment).map(([name, value]) => [
      name,
      value.replace('//gateway:', `//${inside.gateway}:`).replace('/etc/sallyport-public', join(directory, 'public')),
    ])
    return Object.fromEntries(replaced) as Record<string, string>
  }

  /** An empty /run, as a container has. */
  const sandboxed = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /run && exec "$@"', 'sh'] as const

  const verify = (args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Promise<Ended> =>
    runCli(['verify', '--timeout', '2', ...args], {
      cwd: directory,
      command: [...namespaces.into('sandbox'), ...sandboxed, process.execPath, main],
      env: { ...environment, ...env },
    })

  const curl = (...args: readonly string[]): Promise<{ stdout: string }> => {
    const [file, ...first] = namespaces.into('sandbox')
    const env = { PATH: process.env['PATH'] ?? '', ...environment }
    return run(file, [...first, 'curl', '-sS', '--max-time', '5', ...args], { env })
  }

  /** Verdicts that are not `ok`. */
  async function notOk(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string[]> {
    const { code, out } = await verify(['--json', ...args], env)
    expect(code).toBe(1)
    const findings = JSON.parse(out) as Finding[]
    return findings.filter(({ verdict }) => verdict !== 'ok').map(({ wall, verdict }) => `${wall}: ${verdict}`)
  }

  it('lets through what the policy allows, by the proxy', async () => {
    expect((await curl('https://example.com/')).stdout).toBe('hello from outside\n')
  })

  it.each([
    ['to an address', ['--noproxy', '*', `http://${outside.address}/`]],
    ['to a name', ['--noproxy', '*', 'https://example.com/']],
    ['to the metadata service', ['--noproxy', '*', `http://${outside.metadata}/`]],
    ['by IPv6', ['--noproxy', '*', `https://[${outside.address6}]/`]],
  ])('has no way of its own %s', async (_where, args) => {
    await expect(curl(...args)).rejects.toThrow(/Could ?n[o']t (?:connect|resolve)|Failed to connect/)
  })

  it('lets no name out that is not allowed', async () => {
    await expect(curl('--fail', 'https://secret-data.example.net/')).rejects.toThrow(/403/)
    const asked = await world.says(/ready/)
    expect(asked).not.toContain('secret-data')
  })

  it('verify finds every wall standing, one line each', async () => {
    const { code, out } = await verify(['--allowed', 'example.com:443'])
    expect(out).toMatch(/^ok +proxy variables/m)
    expect(out).toMatch(/^ok +gateway +session sandbox, policy sandbox, enforce$/m)
    expect(out).toMatch(/^ok +allowed host +example\.com:443: certificate of .* is trusted$/m)
    for (const wall of ['denied host', 'address by proxy', 'metadata by proxy', 'direct TCP', 'direct IPv6'])
      expect(out).toMatch(new RegExp(`^ok +${wall} `, 'm'))
    for (const wall of ['metadata', 'DNS', 'control API', 'docker\\.sock', 'D-Bus', 'agents', 'secrets'])
      expect(out).toMatch(new RegExp(`^ok +${wall} `, 'm'))
    expect([code, out.split('\n').at(-2)]).toEqual([0, 'no way out but the gateway'])
  })

  it('verify sees sockets through which somebody outside would act', async () => {
    const path = join(directory, 'engine.sock')
    const engine = createServer((socket) => socket.destroy()).listen(path)
    await once(engine, 'listening')
    const found = {
      DOCKER_HOST: `unix://${path}`,
      DBUS_SESSION_BUS_ADDRESS: `unix:path=${path},guid=1`,
      SSH_AUTH_SOCK: path,
    }
    expect(await notOk([], found)).toEqual(['docker.sock: open', 'D-Bus: open', 'agents: open'])
    engine.close()
  })

  it.each([
    [
      'a CA that the sandbox does not trust',
      { SSL_CERT_FILE: '/nowhere', NODE_EXTRA_CA_CERTS: '/nowhere' },
      ['allowed host: broken'],
    ],
    ['variables that disagree', { http_proxy: 'http://127.0.0.1:9' }, ['proxy variables: broken']],
  ])('verify sees %s', async (_what, env, verdicts) => {
    expect(await notOk([], env)).toEqual(verdicts)
  })

  it('verify sees the state directory where only the public one belongs', async () => {
    const env = { NODE_EXTRA_CA_CERTS: join(directory, 'state', 'ca.pem') }
    expect(await notOk([], env)).toEqual(['secrets: open'])
  })

  it('verify sees a gateway that only watches, and its control API', async () => {
    gateway.child.kill('SIGTERM')
    await gateway.end
    const watching = (await shipped('compose/sallyport.yaml')).replace(
      'policy: sandbox,',
      'policy: sandbox, mode: audit,',
    )
    gateway = await serve(watching, { SALLYPORT_CONTROL_ADDRESS: '0.0.0.0:3180' })
    expect(await notOk([])).toEqual([
      'gateway: open',
      'denied host: open',
      'address by proxy: open',
      'control API: open',
    ])
  })

  it('verify sees a gateway that is not there', async () => {
    gateway.child.kill('SIGTERM')
    await gateway.end
    expect(await notOk([])).toEqual([
      'gateway: broken',
      'allowed host: skipped',
      'denied host: broken',
      'address by proxy: broken',
      'metadata by proxy: broken',
    ])
  })

  it('verify sees a network that is not internal', async () => {
    gateway = await serve(await shipped('compose/sallyport.yaml'))
    namespaces.open()
    expect(await notOk(['--allowed', 'example.com:443'])).toEqual([
      'direct TCP: open',
      'direct IPv6: open',
      'metadata: open',
      'DNS: open',
    ])
  })
})
