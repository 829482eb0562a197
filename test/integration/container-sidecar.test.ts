/**
 * The sidecar of `docker/kubernetes/sidecar`: agent and gateway in one network namespace with a way to the world, told apart
 * by the shipped nftables rules alone.
 */

import { execFile, execFileSync } from 'node:child_process'
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { canMakeNamespaces, createNamespaces, type Namespaces, outside } from '../support/sandbox-namespaces.ts'
import { runCli, type Spawned, spawnCli } from '../support/spawned-cli.ts'
import { isInstalled } from '../support/tools.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const main = join(root, 'src/main.ts')

const isPossible = (await isInstalled('ip')) && (await isInstalled('nft')) && (await canMakeNamespaces())
if (process.env['CI'] !== undefined) expect(isPossible, 'ip, nft and the right to make namespaces').toBe(true)

/** Another user, who may still read the repository wherever it stands. */
const as = (uid: number): readonly [string, ...string[]] => [
  'setpriv',
  `--reuid=${uid}`,
  `--regid=${uid}`,
  '--clear-groups',
  '--no-new-privs',
  '--inh-caps=-all,+dac_read_search',
  '--ambient-caps=-all,+dac_read_search',
]

describe.skipIf(!isPossible)('the topology of the sidecar', { timeout: 60_000 }, () => {
  let namespaces: Namespaces
  let directory: string
  let world: Spawned
  let gateway: Spawned
  let files: Map<string, string>

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sallyport-sidecar-'))
    await chmod(directory, 0o755)
    files = await shippedFiles()
    namespaces = createNamespaces()
    const script = join(root, 'test/support/outside-world.ts')
    world = spawnCli([script, directory], { cwd: directory, command: [...namespaces.into('world'), process.execPath] })
    await world.says(/ready/)
    await writeFile(join(directory, 'walls.nft'), files.get('walls.nft') ?? '')
    inPod('nft', '-f', join(directory, 'walls.nft'))
    await mkdir(join(directory, 'policies'))
    await writeFile(join(directory, 'policies/agent.yaml'), files.get('agent.yaml') ?? '', { mode: 0o644 })
    await writeFile(join(directory, 'sallyport.yaml'), files.get('sallyport.yaml') ?? '', { mode: 0o644 })
    // As the cluster gives them: a file system in memory, and a folder that is the gateway's own by its group.
    await mkdir(join(directory, 'state'))
    await chmod(join(directory, 'state'), 0o1777)
    await mkdir(join(directory, 'public'))
    await chown(join(directory, 'public'), 10001, 10001)
    gateway = spawnCli(['serve', '--json', '--config', join(directory, 'sallyport.yaml')], {
      cwd: directory,
      command: [...namespaces.into('gateway'), ...as(10001), process.execPath, main],
      env: {
        SALLYPORT_STATE_DIRECTORY: join(directory, 'state/state'),
        SALLYPORT_PUBLIC_DIRECTORY: join(directory, 'public'),
        SALLYPORT_POLICIES: join(directory, 'policies'),
        SALLYPORT_CONTROL_ADDRESS: control(),
        SALLYPORT_UPSTREAM_EXTRA_CA: join(directory, 'origin-ca.pem'),
        SALLYPORT_UPSTREAM_DNS_SERVERS: `${outside.address}:53`,
      },
    })
    await gateway.says(/"proxies"/)
  }, 60_000)

  afterAll(async () => {
    for (const one of [gateway, world]) one?.child.kill('SIGKILL')
    await Promise.all([gateway?.end, world?.end])
    namespaces?.close()
    await rm(directory, { recursive: true, force: true })
  })

  const control = (): string => `unix:${join(directory, 'state/state/control.sock')}`

  async function shippedFiles(): Promise<Map<string, string>> {
    const text = await readFile(join(root, 'docker/kubernetes/sidecar/config.yaml'), 'utf8')
    const maps = parseAllDocuments(text).map((one) => (one.toJS() as { data: Record<string, string> }).data)
    return new Map(maps.flatMap((data) => Object.entries(data)))
  }

  function inPod(...argv: readonly string[]): void {
    const [file, ...first] = namespaces.into('gateway')
    execFileSync(file, [...first, ...argv], { stdio: 'pipe' })
  }

  async function environment(): Promise<Record<string, string>> {
    const [, text = ''] =
      /env:\n((?: {12}- .*\n)+)/.exec(await readFile(join(root, 'docker/kubernetes/sidecar/agent.yaml'), 'utf8')) ?? []
    const entries = [...text.matchAll(/name: (\w+), value: "?([^"}\n]+?)"? \}/g)]
    return Object.fromEntries(
      entries.map(([, name = '', value = '']) => [
        name,
        value.replace('/etc/sallyport-public', join(directory, 'public')),
      ]),
    )
  }

  const sandboxed = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /run && exec "$@"', 'sh'] as const

  const verify = async (): Promise<{ readonly code: number | null; readonly out: string }> =>
    runCli(['verify', '--timeout', '2', '--allowed', 'example.com:443'], {
      cwd: directory,
      command: [...namespaces.into('gateway'), ...sandboxed, ...as(1000), process.execPath, main],
      env: await environment(),
    })

  it('lets the agent out by the gateway only', async () => {
    const { code, out } = await verify()
    expect([code, out.split('\n').at(-2)], out).toEqual([0, 'no way out but the gateway'])
  })

  it('carries what is allowed', async () => {
    const [file, ...first] = namespaces.into('gateway')
    const env = { PATH: process.env['PATH'] ?? '', ...(await environment()) }
    const { stdout } = await run(
      file,
      [...first, ...as(1000), 'curl', '-sS', '--max-time', '5', 'https://example.com/'],
      { env },
    )
    expect(stdout).toBe('hello from outside\n')
  })

  it('tells its health by the socket that only the gateway has', async () => {
    const health = runCli(['health', '--control', control()], { cwd: directory })
    expect((await health).code).toBe(0)
  })

  it('stands by the rules alone: without them verify sees the world', async () => {
    inPod('nft', 'delete', 'table', 'inet', 'sallyport')
    const { code, out } = await verify()
    expect(code).toBe(1)
    for (const wall of ['direct TCP', 'direct IPv6', 'metadata', 'DNS'])
      expect(out).toMatch(new RegExp(`^OPEN +${wall} `, 'm'))
  })
})
