/**
 * The walls of a sandbox, and what is tried against each (`sallyport verify`).
 *
 * Promises: a wall that could not be tried is never reported as standing; what stands open is named with what was
 * reached. The order is the order of the report.
 */

import { accessSync, constants, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import {
  askPlain,
  askTunnel,
  type Attempt,
  type ProxyAddress,
  type ProxyAnswer,
  tryLookup,
  tryQuery,
  tryTcp,
  tryUnix,
  unheardName,
} from './sandbox-probes.ts'
import type { Environment } from './world.ts'

/** `broken`: what should work does not. */
export type Verdict = 'broken' | 'ok' | 'open' | 'skipped'

export type Finding = { readonly wall: string; readonly verdict: Verdict; readonly detail: string }

export type VerifyOptions = {
  /** `host:port` that the policy allows; null: one that the gateway names. */
  readonly allowed: string | null
  /** Somewhere on the internet: an address for each family, and a name that everyone can resolve. */
  readonly address: string
  readonly address6: string
  readonly name: string
  /** Of the gateway's control API. */
  readonly controlPort: number
  readonly timeoutMs: number
  readonly env: Environment
}

const metadataAddresses = ['169.254.169.254', 'fd00:ec2::254'] as const
const proxyVariables = ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy', 'ALL_PROXY', 'all_proxy'] as const

export async function checkSandbox(options: VerifyOptions): Promise<Finding[]> {
  const wired = wiring(options.env)
  const found = await Promise.all([
    ...(wired.proxy === null ? withoutProxy() : throughProxy(wired.proxy, options)),
    ...aroundProxy(options, wired.proxy),
    ...besideNetwork(options),
  ])
  return [wired.finding, ...found]
}

type Wiring = { readonly proxy: ProxyAddress | null; readonly finding: Finding }

/** The variables are advice only, but without them nothing works and people begin to tear walls down. */
function wiring(env: Environment): Wiring {
  const wall = 'proxy variables'
  const written = env['HTTPS_PROXY'] ?? env['https_proxy']
  const proxy = parseProxy(written ?? '')
  if (proxy === null) {
    const detail = written === undefined ? 'HTTPS_PROXY is not set' : 'HTTPS_PROXY is no http:// URL with a port'
    return { proxy: null, finding: { wall, verdict: 'broken', detail } }
  }
  const others = proxyVariables.filter((name) => env[name] !== written)
  const detail = others.length === 0 ? `all name ${proxy.host}:${proxy.port}` : `${others.join(', ')}: not the same`
  return { proxy, finding: { wall, verdict: others.length === 0 ? 'ok' : 'broken', detail } }
}

function parseProxy(written: string): ProxyAddress | null {
  const url = URL.parse(written)
  if (url === null || url.protocol !== 'http:' || url.hostname === '') return null
  const proof = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 80 : Number(url.port),
    authorization: url.username === '' ? null : `Basic ${Buffer.from(proof).toString('base64')}`,
  }
}

const throughWalls = ['gateway', 'allowed host', 'denied host', 'address by proxy', 'metadata by proxy'] as const

function withoutProxy(): Finding[] {
  return throughWalls.map((wall) => ({ wall, verdict: 'skipped', detail: 'there is no proxy to ask' }))
}

function throughProxy(proxy: ProxyAddress, options: VerifyOptions): Promise<Finding>[] {
  const { timeoutMs } = options
  const about = askPlain(proxy, 'http://egress.local/v1/policy', timeoutMs)
  const [gateway, allowed, denied, address, metadata] = throughWalls
  return [
    about.then((answer) => gatewayFinding(gateway, answer)),
    about.then((answer) => allowedFinding(allowed, proxy, options, answer)),
    askTunnel(proxy, `${unheardName()}:443`, timeoutMs).then((answer) => refused(denied, answer)),
    askTunnel(proxy, `${options.address}:443`, timeoutMs).then((answer) => refused(address, answer)),
    askPlain(proxy, `http://${metadataAddresses[0]}/`, timeoutMs).then((answer) => refused(metadata, answer)),
  ]
}

function gatewayFinding(wall: string, { status, body, detail }: ProxyAnswer): Finding {
  if (status !== 200) return { wall, verdict: 'broken', detail: `egress.local: ${detail}` }
  const { session, policy, mode } = parsePolicy(body)
  const told = `session ${session}, policy ${policy}, ${mode}`
  return { wall, verdict: mode === 'enforce' ? 'ok' : 'open', detail: told }
}

async function allowedFinding(
  wall: string,
  proxy: ProxyAddress,
  { allowed, env, timeoutMs }: VerifyOptions,
  about: ProxyAnswer,
): Promise<Finding> {
  const target = allowed ?? allowedTarget(about.body)
  if (target === null)
    return { wall, verdict: 'skipped', detail: 'no rule names a host outright; name one with --allowed' }
  const { status, detail, deniedBecause } = await askTunnel(proxy, target, timeoutMs, trustedRoots(env))
  const told = `${target}: ${deniedBecause ?? detail}`
  return { wall, verdict: status === 200 ? 'ok' : 'broken', detail: told }
}

/** Only the gateway's own no counts: an error of the network says nothing about who would be let through. */
function refused(wall: string, { status, deniedBecause, detail }: ProxyAnswer): Finding {
  if (status === null || status === 407) return { wall, verdict: 'broken', detail }
  return deniedBecause === null ? { wall, verdict: 'open', detail } : { wall, verdict: 'ok', detail: deniedBecause }
}

/** Of what an answer of `egress.local` says; what is not there is unknown. */
function parsePolicy(body: string): { readonly session: string; readonly policy: string; readonly mode: string } {
  const { session, policy, mode } = parseObject(body)
  return { session: String(session), policy: String(policy), mode: String(mode) }
}

type AllowRule = { readonly action?: unknown; readonly host?: unknown; readonly ports?: unknown }

function allowedTarget(body: string): string | null {
  const { rules } = parseObject(body)
  for (const rule of Array.isArray(rules) ? rules.map(parseRule) : []) {
    const ports = Array.isArray(rule.ports) ? rule.ports : [443]
    if (rule.action === 'allow' && typeof rule.host === 'string' && !rule.host.includes('*') && ports.includes(443))
      return `${rule.host}:443`
  }
  return null
}

function parseRule(value: unknown): AllowRule {
  return typeof value === 'object' && value !== null ? value : {}
}

function parseObject(body: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}

/** What a client with this environment trusts: the bundle, which holds the system's roots and the gateway's. */
function trustedRoots(env: Environment): string[] {
  return [env['SSL_CERT_FILE'], env['NODE_EXTRA_CA_CERTS']].flatMap((file) => {
    try {
      return file === undefined ? [] : [readFileSync(file, 'utf8')]
    } catch {
      return []
    }
  })
}

function aroundProxy(options: VerifyOptions, proxy: ProxyAddress | null): Promise<Finding>[] {
  const { address, address6, name, timeoutMs } = options
  return [
    closed('direct TCP', [tryTcp(address, 443, timeoutMs), tryTcp(address, 80, timeoutMs)]),
    closed('direct IPv6', [tryTcp(address6, 443, timeoutMs)]),
    closed(
      'metadata',
      metadataAddresses.map((one) => tryTcp(one, 80, timeoutMs)),
    ),
    closed('DNS', [
      tryLookup(name, timeoutMs),
      tryQuery(name, null, timeoutMs),
      tryQuery(name, address, timeoutMs),
      tryTcp(address, 53, timeoutMs),
    ]),
    ...(proxy === null ? [] : [closed('control API', [tryTcp(proxy.host, options.controlPort, timeoutMs)])]),
  ]
}

/** Sockets through which a process outside acts for whoever reaches them. */
function besideNetwork({ env, timeoutMs }: VerifyOptions): (Finding | Promise<Finding>)[] {
  const runtime = env['XDG_RUNTIME_DIR'] ?? `/run/user/${process.getuid?.() ?? 0}`
  const engines = [
    '/var/run/docker.sock',
    '/run/docker.sock',
    '/run/containerd/containerd.sock',
    '/run/crio/crio.sock',
    '/run/podman/podman.sock',
    join(runtime, 'docker.sock'),
    join(runtime, 'podman/podman.sock'),
    ...socketsIn(env['DOCKER_HOST']),
  ]
  const buses = ['/run/dbus/system_bus_socket', join(runtime, 'bus'), ...socketsIn(env['DBUS_SESSION_BUS_ADDRESS'])]
  const agents = [env['SSH_AUTH_SOCK'], join(runtime, 'gnupg/S.gpg-agent')].filter((path) => path !== undefined)
  const sockets = (wall: string, paths: readonly string[]): Promise<Finding> =>
    closed(
      wall,
      [...new Set(paths)].map(async (path) => {
        const { reached, detail } = await tryUnix(path, timeoutMs)
        return { reached, detail: `${path.replace('\0', '@')}: ${detail}` }
      }),
    )
  return [sockets('docker.sock', engines), sockets('D-Bus', buses), sockets('agents', agents), filesFinding(env)]
}

/** Of `unix:///run/docker.sock`, and of the address lists of D-Bus (`unix:path=/run/user/1000/bus,guid=…;unix:abstract=…`). */
function socketsIn(written: string | undefined): string[] {
  return (written ?? '').split(';').flatMap((one) => {
    const path = /^unix:(?:\/\/|path=|(abstract)=)([^,]+)/.exec(one)
    return path === null ? [] : [`${path[1] === undefined ? '' : '\0'}${path[2] ?? ''}`]
  })
}

/** The gateway's key beside what it made public, and the cluster's token, which Kubernetes mounts unasked. */
function filesFinding(env: Environment): Finding {
  const folders = [env['SSL_CERT_FILE'], env['NODE_EXTRA_CA_CERTS']].flatMap((file) =>
    file === undefined ? [] : [dirname(file), dirname(dirname(file))],
  )
  const secrets = folders.flatMap((folder) =>
    ['ca-key.pem', 'admin-token', 'state-key'].map((name) => join(folder, name)),
  )
  const readable = [...new Set(secrets), '/var/run/secrets/kubernetes.io/serviceaccount/token'].filter(isReadable)
  return {
    wall: 'secrets',
    verdict: readable.length === 0 ? 'ok' : 'open',
    detail: readable.length === 0 ? 'none can be read' : `${readable.join(', ')} can be read`,
  }
}

function isReadable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK)
    return true
  } catch {
    return false
  }
}

async function closed(wall: string, attempts: readonly Promise<Attempt>[]): Promise<Finding> {
  const all = await Promise.all(attempts)
  const reached = all.filter((attempt) => attempt.reached)
  if (reached.length > 0) return { wall, verdict: 'open', detail: reached.map(({ detail }) => detail).join('; ') }
  return { wall, verdict: 'ok', detail: [...new Set(all.map(({ detail }) => detail.split(': ').at(-1)))].join(', ') }
}
