/** `sallyport run --isolate`: a command of somebody without rights, who tries every way out. */

import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import dgram from 'node:dgram'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import { createPlainUser, isRoot, type PlainUser } from '../support/plain-user.ts'
import { type Ended, runCli, type Spawned, spawnCli } from '../support/spawned-cli.ts'
import { isInstalled } from '../support/tools.ts'

const waysOut = fileURLToPath(new URL('../support/ways-out.py', import.meta.url))
const secret = 'a-real-secret-of-the-user-0123456789'
const bubblewrap = ['/usr/local/bin/bwrap', '/usr/bin/bwrap', '/bin/bwrap']

const tools = ['python3', 'curl', 'ip', 'unshare', 'setpriv', 'bwrap']
const missing = (await Promise.all(tools.map(async (tool) => ((await isInstalled(tool)) ? [] : [tool])))).flat()
if (process.env['CI'] !== undefined) expect(missing, 'all of these').toEqual([])
// A plain user cannot hide bubblewrap from themselves.
const ways = [
  ['bubblewrap', []],
  ['unshare', bubblewrap],
].filter(([name]) => name === 'bubblewrap' || isRoot) as [string, string[]][]

let user: PlainUser
let project: string
let site: Site
let outside: Server[]
let datagrams: dgram.Socket
let reached: string[]

beforeAll(async () => {
  if (missing.length > 0) return
  user = await createPlainUser()
  project = join(user.home, 'project')
  site = await startSite((_request, response) => void response.end('the origin answers\n'))
  reached = []
  const config = join(user.home, '.config/sallyport')
  const folders = [project, config, join(user.home, '.config'), join(user.home, '.ssh'), join(user.home, 'runtime')]
  for (const folder of folders.toSorted()) {
    await mkdir(folder, { mode: 0o700 })
    await user.own(folder)
  }
  const files = {
    [join(config, 'sallyport.yaml')]: configText(user.home),
    [join(config, 'origin-ca.pem')]: site.ca.certificate,
    [join(user.home, 'key')]: secret,
    [join(user.home, '.ssh/id')]: 'a private key',
    [join(user.home, 'runtime/token')]: 'of somebody',
    [join(project, 'dev.yaml')]: policyText(site.httpsPort),
  }
  for (const [file, text] of Object.entries(files)) {
    await writeFile(file, text, { mode: 0o600 })
    await user.own(file)
  }
  outside = await Promise.all([
    listen('TCP', { host: '0.0.0.0', port: 0 }),
    listen('IPv6', { host: '::1', port: 0 }),
    listen('engine', { path: join(project, 'engine.sock') }),
    listen('agent', { path: join(user.home, 'agent.sock') }),
    listen('abstract', { path: '\0sallyport-way-out' }),
  ])
  for (const path of [join(project, 'engine.sock'), join(user.home, 'agent.sock')]) await chmod(path, 0o777)
  datagrams = dgram.createSocket('udp4').on('message', () => reached.push('UDP'))
  datagrams.bind(0)
  await once(datagrams, 'listening')
})

afterAll(async () => {
  for (const server of outside ?? []) server.close()
  datagrams?.close()
  await site?.[Symbol.asyncDispose]()
  await user?.[Symbol.asyncDispose]()
})

beforeEach(() => {
  site?.requests.splice(0)
  reached?.splice(0)
})

async function listen(name: string, options: object): Promise<Server> {
  const server = createServer((socket) => {
    reached.push(name)
    socket.destroy()
  })
  server.listen(options)
  await once(server, 'listening')
  return server
}

const environment = (): Record<string, string> => ({
  HOME: user.home,
  PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
  XDG_RUNTIME_DIR: join(user.home, 'runtime'),
  SSH_AUTH_SOCK: join(user.home, 'agent.sock'),
  DOCKER_HOST: `unix://${join(project, 'engine.sock')}`,
  DBUS_SESSION_BUS_ADDRESS: 'unix:abstract=sallyport-way-out',
})
const options = (without: readonly string[] = []) => ({
  cwd: project,
  command: user.command(without),
  env: environment(),
})
const wish = ['run', '--quiet', '--isolate', '--policy', './dev.yaml', '--'] as const
const isolated = (...command: readonly string[]): Promise<Ended> => runCli([...wish, ...command], options())
const curl = 'curl -sS -o /dev/null -w "%{http_code}\\n"'
const origin = (): string => `https://api.test:${site.httpsPort}`

const slow = { timeout: 60_000 }

describe.skipIf(missing.length > 0).each(ways)('isolated by %s', slow, (way, without) => {
  const isolatedHere = (...command: readonly string[]): Promise<Ended> =>
    runCli([...wish, ...command], options(without))

  it('lets out what the policy allows, with its credential, and trusts the CA even where no variable names it', async () => {
    const plain = 'env -u CURL_CA_BUNDLE -u SSL_CERT_FILE curl -sS'
    const script = `${curl} ${origin()}/v1; ${plain} ${origin()}/v1; ${curl} https://other.test/; echo "$EXAMPLE_TOKEN"`
    const { code, out, err } = await isolatedHere('sh', '-c', script)
    const [first, second, third, placeholder] = out.split('\n')
    expect([code, first, second, third], err).toEqual([0, '200', 'the origin answers', '403'])
    expect(err).toMatch(/1x +GET https:\/\/other\.test\/ +host_not_allowed/)
    expect(placeholder).toMatch(/^ex-\w{20}$/)
    expect(site.requests.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${secret}`, `Bearer ${secret}`])
  })

  it('lets nothing else out: no address, name, packet, route, socket, child or daemon', async () => {
    const [tcp, tcp6] = outside.map((server) => (server.address() as AddressInfo).port)
    const own = Object.values(networkInterfaces()).flat()
    const others = own.filter((one) => one?.family === 'IPv4' && !one.internal).map((one) => one?.address ?? '')
    const marker = join(project, 'heartbeat')
    const tried = {
      addresses: ['127.0.0.1', ...others],
      port: tcp,
      port6: tcp6,
      udpPort: datagrams.address().port,
      name: 'example.com',
      sockets: [join(project, 'engine.sock'), join(user.home, 'agent.sock'), '@sallyport-way-out', '/run/docker.sock'],
      marker,
    }
    const file = join(project, 'ways.json')
    await writeFile(file, JSON.stringify(tried), { mode: 0o644 })
    await writeFile(join(project, 'ways-out.py'), await readFile(waysOut), { mode: 0o644 })
    const { code, out, err } = await isolatedHere('python3', 'ways-out.py', 'ways.json')
    const { run, meets, capabilities, 'sees the tests': sees, ...found } = JSON.parse(out || '{}') as Found
    expect(code, err).toBe(0)
    // It is taken by the kernel of loopback, and arrives nowhere.
    expect(found['udp 127.0.0.1']).toBe('reached')
    delete found['udp 127.0.0.1']
    if (way === 'bubblewrap') delete found['processes of outside']
    expect(Object.entries(found).filter(([, what]) => what === 'reached')).toEqual([])
    expect(Object.keys(found).length).toBeGreaterThan(12)
    expect(reached).toEqual([])
    expect([sees, meets, capabilities]).toEqual([false, [], ['0000000000000000']])
    expect(run.filter((name) => name !== 'mount')).toEqual(['sallyport', 'sallyport.sock'])
    // The daemon has ended with the command.
    const { mtimeMs } = await stat(marker)
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect((await stat(marker)).mtimeMs).toBe(mtimeMs)
    expect(reached).toEqual([])
  })

  it('stands the test of verify', async () => {
    const verify = [user.node, user.main, 'verify', '--timeout', '10', '--allowed', `api.test:${site.httpsPort}`]
    const { code, out, err } = await isolatedHere(...verify)
    expect([code, out.split('\n').at(-2)], out + err).toEqual([0, 'no way out but the gateway'])
  })

  it('passes signals on, each once', async () => {
    const script = `
      const signals = ['SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGTERM']
      for (const signal of signals) process.on(signal, () => {
        console.log('got ' + signal)
        if (signal === 'SIGTERM') process.exit(42)
      })
      setInterval(() => {}, 1000)
      console.log('ready', process.getuid())
    `
    const argv = ['run', '--quiet', '--isolate', '--', user.node, '-e', script]
    const started: Spawned = spawnCli(argv, options(without))
    await started.says(/ready/)
    for (const signal of ['SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGTERM'] as const) {
      started.child.kill(signal)
      await started.says(new RegExp(`got ${signal}`))
    }
    const { code, out } = await started.end
    expect(code).toBe(42)
    expect(out.match(/got/g)).toHaveLength(4)
  })
})

describe.skipIf(missing.length > 0)('isolation', slow, () => {
  it('hides keys, state and configuration, and keeps the project', async () => {
    const script = [
      'ls -A ~/.ssh ~/.config/sallyport "$XDG_RUNTIME_DIR" | grep -v :; cat ~/key; env | grep -c "SSH_AUTH\\|DOCKER\\|DBUS"',
      'echo written > made; ls /run/sallyport; head -c 27 "$NODE_EXTRA_CA_CERTS"; echo x > "$NODE_EXTRA_CA_CERTS"',
    ].join('\n')
    const { out } = await isolated('sh', '-c', script)
    const told = ['0', 'bundle.pem', 'ca.pem', 'truststore.jks', '-----BEGIN CERTIFICATE-----']
    expect(out.split('\n').filter((line) => line !== '')).toEqual(told)
    expect(await readFile(join(project, 'made'), 'utf8')).toBe('written\n')
    await rm(join(project, 'made'))
  })

  it('is what verify would miss: without it, walls are open', async () => {
    const verify = [user.node, user.main, 'verify', '--timeout', '1']
    const { code, out, err } = await runCli(['run', '--policy', './dev.yaml', '--', ...verify], options())
    expect(code).toBe(1)
    for (const wall of ['docker\\.sock', 'D-Bus', 'agents']) expect(out).toMatch(new RegExp(`^OPEN +${wall} `, 'm'))
    expect(err).toMatch(/not isolated.*advice/)
  })

  it.each([
    ['a signal', ['sh', '-c', 'kill -KILL $$'], 137],
    ['a command that is not there', ['no-such-command-here'], 127],
  ])('ends as the command does: %s', async (_name, command, expected) => {
    const { code, err } = await isolated(...command)
    expect(code).toBe(expected)
    if (expected === 127)
      expect(err).toBe('sallyport: no-such-command-here: there is no such command; correct the command after --\n')
  })

  it('carries much, both ways', async () => {
    const script = `
      const bytes = Buffer.alloc(8e6, 'x')
      const answer = await fetch('${origin()}/v1', { method: 'POST', body: bytes })
      console.log(answer.status, (await answer.text()).length)
    `
    const { out, err } = await isolated(user.node, '--input-type=module', '-e', script)
    expect(out, err).toBe('200 19\n')
  })
})

type Found = Record<string, unknown> & {
  run: string[]
  meets: string[]
  capabilities: string[]
  'sees the tests': boolean
}

function configText(home: string): string {
  return `version: 1
upstream:
  extraCa: origin-ca.pem
  dns: { hosts: { api.test: 127.0.0.1 } }
credentials:
  - name: example
    kind: bearer
    secret: { file: ${home}/key }
    hosts: [api.test]
    placeholder: { env: EXAMPLE_TOKEN, like: "ex-{20}" }
`
}

function policyText(port: number): string {
  return `version: 1
name: dev
rules:
  - { host: api.test, ports: [${port}], addresses: [127.0.0.0/8], credential: example }
`
}

describe.skipIf(missing.length > 0 || !isRoot)('root', slow, () => {
  it('may write its own folders and nothing of the system', async () => {
    const home = await mkdtemp(join(tmpdir(), 'sallyport-root-'))
    const paths = ['/etc/way-out', '/proc/sys/kernel/hostname', '/sys/kernel/profiling', join(home, 'own')]
    const script = paths.map((path) => `(echo x > ${path}) 2>/dev/null && echo ${path}`).join('; ')
    const { out, err } = await runCli(['run', '--isolate', '--', 'sh', '-c', script], { cwd: home })
    expect(out, err).toBe(`${join(home, 'own')}\n`)
    await rm(home, { recursive: true, force: true })
  })
})

describe.skipIf(missing.length > 0 || !isRoot)('where the kernel forbids it', slow, () => {
  it('nothing is run, and the setting is named', async () => {
    // A namespace in which there may be no more of them.
    const forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    const { code, out, err } = await runCli(['run', '--isolate', '--', 'echo', 'it ran'], {
      cwd: '/',
      command: [
        'unshare',
        '--user',
        '--map-root-user',
        'sh',
        '-c',
        forbid,
        'sh',
        process.execPath,
        fileURLToPath(new URL('../../src/main.ts', import.meta.url)),
      ],
    })
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(
      /^sallyport: this kernel does not let you make namespaces .*sudo sysctl user\.max_user_namespaces=/,
    )
  })
})
