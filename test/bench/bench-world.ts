/**
 * What every question of the bench needs: an origin, the gateway, a raw relay and squid, each pinned, and a load client that
 * also reads the CPU time and memory of the process it loads.
 *
 * Rules: the proxy has core 0 to itself, origin and client share core 1; all proxies are measured in one round; CPU time per
 * work is the figure, since wall rates move with the neighbours of the machine.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const here = new URL('.', import.meta.url).pathname
const root = join(here, '../..')
export const plainTarget = 'origin.bench.test:18080'
export const tlsTarget = 'origin.bench.test:18443'
/** Where questions put origins of their own, under the same name and certificate. */
export const otherTargets = { h2: 'origin.bench.test:18444', grpc: 'origin.bench.test:18445' }
const proxyCore = '0'
const clientCore = '1'

/** One line of the load client. Seconds, bytes, microseconds. */
export type Measure = {
  readonly n: number
  readonly secs: number
  readonly rate: number
  readonly p50_us: number
  readonly p99_us: number
  readonly bytes: number
  readonly cpu_s: number
  readonly rss0_kb: number
  readonly rss1_kb: number
  readonly errors: number
  readonly err: string
}

export type Proxy = {
  readonly name: string
  readonly port: number
  readonly pid: number
  /** `user:password`, where it asks for them. */
  readonly auth: string | null
  /** What the client must trust when it intercepts. */
  readonly ca: string | null
}

export type World = {
  readonly directory: string
  readonly originCa: string
  readonly gateway: (options: GatewayOptions) => Promise<Proxy>
  readonly relay: () => Promise<Proxy>
  /** Of HTTP/2, to an origin on this port. A client comes to it as if it were the origin. */
  readonly h2Relay: (originPort: number) => Promise<Proxy>
  /** Null where squid is not installed. */
  readonly squid: (kind: 'authenticated' | 'bump') => Promise<Proxy | null>
  /** A script of this folder on the core of client and origin, once it listens. */
  readonly beside: (script: string, port: number, args: readonly string[]) => Promise<void>
  /** What a program on that core says. Standard error is shown. */
  readonly said: (argv: readonly string[], env?: NodeJS.ProcessEnv) => Promise<string>
  readonly load: (proxy: Proxy, args: readonly string[]) => Promise<Measure>
  readonly close: () => Promise<void>
}

export type GatewayOptions = {
  readonly policy: 'inject' | 'intercept' | 'tunnel' | 'plain'
  readonly extraHosts?: number
  readonly nodeFlags?: readonly string[]
}

/** One at a time on a machine: the ports are fixed, and the figures would be of both. */
export async function createWorld(): Promise<World> {
  if (await isListening(18080)) throw new Error('port 18080 is taken: another question is being asked')
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-bench-'))
  chmodSync(directory, 0o755)
  const children: ChildProcess[] = []
  const start = (core: string, argv: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess => {
    const child = spawn('taskset', ['-c', core, ...argv], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, ...env },
    })
    children.push(child)
    return child
  }
  buildNative(directory)
  makeCertificates(directory)
  start(clientCore, [join(directory, 'origin'), '18080', '18443', join(directory, 'o.crt'), join(directory, 'o.key')])
  await listening(18080)

  const started = async (
    name: string,
    argv: readonly string[],
    more: Partial<Proxy> & { port: number },
    env?: NodeJS.ProcessEnv,
  ): Promise<Proxy> => {
    const child = start(proxyCore, argv, env)
    await listening(more.port)
    await delay(500)
    return { name, pid: child.pid ?? 0, auth: null, ca: null, ...more }
  }
  return {
    directory,
    originCa: join(directory, 'ca.crt'),
    gateway: async (options) => {
      const { port, argv, env, ca } = gatewayCommand(directory, options)
      return started('sallyport', argv, { port, ca }, env)
    },
    relay: async () => {
      const port = nextPort()
      return started('relay', [process.execPath, join(here, 'relay.ts'), String(port)], { port })
    },
    h2Relay: async (originPort) => {
      const at = nextPort()
      const certificate = [join(directory, 'o.crt'), join(directory, 'o.key')]
      const script = join(here, 'h2-relay.ts')
      return started('relay', [process.execPath, script, String(at), ...certificate, String(originPort)], { port: at })
    },
    squid: async (kind) => {
      if (!existsSync('/usr/sbin/squid')) return null
      const port = nextPort()
      const conf = squidConfiguration(directory, kind, port)
      const auth = kind === 'authenticated' ? 'user:pass' : null
      return started(`squid ${kind}`, ['/usr/sbin/squid', '-N', '-f', conf], {
        port,
        auth,
        ca: kind === 'bump' ? join(directory, 'mitm.crt') : null,
      })
    },
    beside: async (script, listensAt, args) => {
      start(clientCore, [process.execPath, join(here, script), String(listensAt), ...args])
      await listening(listensAt)
    },
    said,
    load: (proxy, args) => load(directory, proxy, args),
    close: async () => {
      for (const child of children) child.kill('SIGTERM')
      await delay(1500)
      for (const child of children) child.kill('SIGKILL')
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** The figures of a question, as JSON on standard output. */
export function print(question: string, figures: object): void {
  process.stdout.write(`${JSON.stringify({ question, node: process.version, ...figures }, null, 2)}\n`)
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** Work done per second of the proxy's CPU. */
export function perCpuSecond({ n, cpu_s: cpu }: Measure): number {
  return Math.round(n / cpu)
}

let port = 23100
function nextPort(): number {
  port += 2
  return port
}

function buildNative(directory: string): void {
  for (const name of ['origin', 'load']) {
    execFileSync('gcc', ['-O2', '-o', join(directory, name), join(here, 'native', `${name}.c`), '-lssl', '-lcrypto'])
  }
}

function makeCertificates(directory: string): void {
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' })
  const ca = (key: string, name: string): void =>
    openssl(
      'req',
      '-x509',
      '-new',
      '-key',
      `${key}.key`,
      '-subj',
      `/CN=${name}`,
      '-days',
      '30',
      '-out',
      `${key}.crt`,
      '-addext',
      'basicConstraints=critical,CA:TRUE',
      '-addext',
      'keyUsage=critical,keyCertSign,cRLSign',
    )
  for (const key of ['ca', 'o']) openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', `${key}.key`)
  ca('ca', 'bench origin CA')
  openssl('genrsa', '-out', 'mitm.key', '2048')
  ca('mitm', 'bench squid CA')
  writeFileSync(
    join(directory, 'ext'),
    'subjectAltName=DNS:*.bench.test,DNS:*.origin.bench.test\nextendedKeyUsage=serverAuth\nkeyUsage=digitalSignature\nbasicConstraints=CA:FALSE\n',
  )
  openssl('req', '-new', '-key', 'o.key', '-subj', '/CN=origin.bench.test', '-out', 'o.csr')
  openssl(
    'x509',
    '-req',
    '-in',
    'o.csr',
    '-CA',
    'ca.crt',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-days',
    '20',
    '-extfile',
    'ext',
    '-out',
    'o.crt',
  )
  for (const name of ['ca.crt', 'mitm.crt', 'mitm.key']) chmodSync(join(directory, name), 0o644)
  writeFileSync(join(directory, 'hosts'), '127.0.0.1 origin.bench.test\n')
}

/** The whole product: session, policy, credential and audit log on. */
function gatewayCommand(
  directory: string,
  options: GatewayOptions,
): { port: number; argv: string[]; env: NodeJS.ProcessEnv; ca: string } {
  const chosen = nextPort()
  const home = join(directory, `gateway-${chosen}`)
  mkdirSync(join(home, 'policies'), { recursive: true, mode: 0o700 })
  const rule = {
    inject: '    ports: [18443, 18444, 18445]\n    credential: bench\n    foreignCredentials: strip\n',
    intercept: '    ports: [18443, 18444, 18445]\n    methods: [GET, POST, WEBSOCKET]\n',
    plain: '    ports: [18080]\n    methods: [GET, POST]\n',
    tunnel: '    ports: [18080, 18443]\n',
  }[options.policy]
  const extra = Array.from({ length: options.extraHosts ?? 0 }, (_, i) => `  - host: d${i}.example.org\n`).join('')
  // Budgets are counted, and none of them ends what is measured.
  const limits =
    'limits: { uploadBytes: 1000TiB, downloadBytes: 1000TiB, requestsPerMinute: 1000000000, concurrentConnections: 1000000 }\n'
  // The same without: a session as others have it.
  for (const [name, more] of Object.entries({ bench: extra + limits, greedy: '' })) {
    writeFileSync(
      join(home, `policies/${name}.yaml`),
      `version: 1\nname: ${name}\nrules:\n  - host: origin.bench.test\n    addresses: [127.0.0.0/8]\n${rule}${more}`,
    )
  }
  writeFileSync(
    join(home, 'sallyport.yaml'),
    `version: 1
listeners: [{ address: "127.0.0.1:${chosen}" }]
control: { address: "127.0.0.1:${chosen + 1}" }
stateDirectory: ${home}/state
publicDirectory: ${home}/public
policies: ${home}/policies
sessions: { store: memory, static: [{ id: bench, policy: bench, token: { env: BENCH_TOKEN } }, { id: greedy, policy: greedy, token: { env: BENCH_TOKEN } }] }
credentials: [{ name: bench, kind: bearer, secret: { env: BENCH_SECRET }, hosts: [origin.bench.test] }]
upstream: { extraCa: ${directory}/ca.crt, dns: { hosts: { origin.bench.test: 127.0.0.1 } } }
audit: { file: ${home}/audit.jsonl }
log: { level: warn }
`,
  )
  const argv = [
    process.execPath,
    ...(options.nodeFlags ?? []),
    join(root, 'src/main.ts'),
    'serve',
    '--config',
    join(home, 'sallyport.yaml'),
  ]
  return {
    port: chosen,
    argv,
    env: { BENCH_SECRET: 'injected-bench-secret-value', BENCH_TOKEN: benchToken },
    ca: join(home, 'public/ca.pem'),
  }
}

const benchToken = 'bench-token-0123456789-0123456789-0123456789'
export const gatewayAuth = `bench:${benchToken}`

function squidConfiguration(directory: string, kind: 'authenticated' | 'bump', chosen: number): string {
  const home = join(directory, `squid-${chosen}`)
  mkdirSync(home, { mode: 0o777 })
  chmodSync(home, 0o777)
  const database = join(home, 'ssl_db')
  if (kind === 'bump') {
    execFileSync('/usr/lib/squid/security_file_certgen', ['-c', '-s', database, '-M', '16MB'], { stdio: 'ignore' })
    execFileSync('chown', ['-R', 'proxy:proxy', database])
  } else execFileSync('htpasswd', ['-cb', join(directory, 'htpasswd'), 'user', 'pass'], { stdio: 'ignore' })
  const front =
    kind === 'bump'
      ? `http_port 127.0.0.1:${chosen} ssl-bump generate-host-certificates=on dynamic_cert_mem_cache_size=16MB tls-cert=${directory}/mitm.crt tls-key=${directory}/mitm.key
sslcrtd_program /usr/lib/squid/security_file_certgen -s ${database} -M 16MB
sslcrtd_children 4 startup=1 idle=1
tls_outgoing_options cafile=${directory}/ca.crt
ssl_bump bump all
request_header_access Authorization deny all
request_header_add Authorization "Bearer injected-bench-secret-value"
client_request_buffer_max_size 64 MB`
      : `http_port 127.0.0.1:${chosen}
auth_param basic program /usr/lib/squid/basic_ncsa_auth ${directory}/htpasswd
auth_param basic children 2 startup=1 idle=1
acl authed proxy_auth REQUIRED
http_access deny !authed`
  const conf = join(home, 'squid.conf')
  writeFileSync(
    conf,
    `${front}
acl ok dstdomain origin.bench.test
http_access allow ok
http_access deny all
cache deny all
cache_mem 8 MB
access_log none
cache_log ${home}/cache.log
cache_store_log none
pid_filename none
coredump_dir ${home}
shutdown_lifetime 1 second
max_filedescriptors 20000
hosts_file ${directory}/hosts
pinger_enable off
via off
forwarded_for delete
read_ahead_gap 256 KB
`,
  )
  return conf
}

async function load(directory: string, proxy: Proxy, args: readonly string[]): Promise<Measure> {
  const intercepted = args.includes('--intercepted')
  const rest = args.filter((arg) => arg !== '--intercepted')
  const argv = [join(directory, 'load'), '--proxy', String(proxy.port), '--pid', String(proxy.pid), ...rest]
  if (proxy.auth !== null) argv.push('--auth', proxy.auth)
  else if (proxy.name === 'sallyport') argv.push('--auth', gatewayAuth)
  if (rest.includes('--tls')) argv.push('--ca', intercepted && proxy.ca !== null ? proxy.ca : join(directory, 'ca.crt'))
  const measure = JSON.parse(await said(argv)) as Measure
  if (measure.errors > 0 || measure.n === 0)
    throw new Error(`${proxy.name}: ${measure.errors} errors, ${measure.err}\n${logOf(directory)}`)
  return measure
}

async function said(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const child = spawn('taskset', ['-c', clientCore, ...argv], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  })
  let text = ''
  for await (const chunk of child.stdout.setEncoding('utf8')) text += String(chunk)
  return text
}

/** Of a process so far, all its threads: user and system. */
export function cpuSecondsOf({ pid }: Proxy): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
  return (Number(user) + Number(system)) / 100
}

function logOf(directory: string): string {
  return existsSync(join(directory, 'log')) ? readFileSync(join(directory, 'log'), 'utf8') : ''
}

async function listening(wanted: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (await isListening(wanted)) return
    await delay(100)
  }
  throw new Error(`nothing listens on port ${wanted}`)
}

function isListening(wanted: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(wanted, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })
}
