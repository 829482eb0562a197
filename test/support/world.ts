/**
 * A world for one test file: a gateway, two recording origins (plain and TLS) and a recording resolver, all on loopback,
 * up with one call and down with one.
 *
 * Everything of the gateway is the real thing; only names, roots, credentials and deadlines are the test's.
 */

import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CredentialBook } from '../../src/credentials/credential-book.ts'
import { parseCredentials } from '../../src/credentials/credential-schema.ts'
import { createEquip } from '../../src/credentials/equip.ts'
import { createClientTrust } from '../../src/exchange/client-trust.ts'
import { Deadlines } from '../../src/exchange/deadlines.ts'
import { RecentDenials } from '../../src/exchange/egress-local.ts'
import type { ExchangeRecord } from '../../src/exchange/record.ts'
import type { Rooms, WalkLimits } from '../../src/exchange/rooms.ts'
import { createHttpDoor } from '../../src/listeners/http-door.ts'
import { listenForProxy } from '../../src/listeners/proxy-listener.ts'
import { compilePolicy } from '../../src/policy/compile-policy.ts'
import { parsePolicy } from '../../src/policy/parse-policy.ts'
import type { Mode, Policy } from '../../src/policy/policy.ts'
import { identify } from '../../src/sessions/identify.ts'
import { createMemoryStore } from '../../src/sessions/memory-store.ts'
import { SessionBook } from '../../src/sessions/session-book.ts'
import type { LiveSession } from '../../src/sessions/session.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { createIntercept } from '../../src/tls/intercept.ts'
import { createLeafCache } from '../../src/tls/leaf-cache.ts'
import { loadSigningCa } from '../../src/tls/signing-ca.ts'
import { createDial } from '../../src/upstream/dial.ts'
import { createUpstreamContext, type PoolOptions, SessionPools } from '../../src/upstream/origin-pools.ts'
import { createOwnEndpoints } from '../../src/upstream/own-endpoints.ts'
import { createResolve } from '../../src/upstream/resolve.ts'
import { type DnsStandIn, type DnsTable, startDnsStandIn } from './dns-stand-in.ts'
import { type RawOrigin, startRawOrigin } from './raw-origin.ts'
import { createTestCa, type TestCa } from './test-ca.ts'

export type WorldPorts = { readonly proxy: number; readonly http: number; readonly https: number }

export type WorldOptions = {
  /** Rules as a policy file has them; asked for when the ports are known. */
  readonly rules: (ports: WorldPorts) => readonly object[]
  readonly dns?: DnsTable
  readonly mode?: Mode
  /** Entries of `credentials:`; secrets of source `env` come from `secrets`. */
  readonly credentials?: readonly object[]
  readonly secrets?: Readonly<Record<string, string>>
  readonly limits?: Partial<WalkLimits>
  readonly upstream?: Partial<Pick<PoolOptions, 'bodyIdleMs' | 'handshakeTimeoutMs' | 'headTimeoutMs'>>
}

export type WorldSession = {
  readonly id: string
  /** Value of Proxy-Authorization. */
  readonly authorization: string
  readonly revoke: () => Promise<void>
}

export type World = AsyncDisposable & {
  readonly ports: WorldPorts
  /** What clients trust. */
  readonly caCertificate: string
  readonly originCa: TestCa
  readonly http: RawOrigin
  readonly https: RawOrigin
  readonly dns: DnsStandIn
  /** Every record, in order. */
  readonly records: readonly ExchangeRecord[]
  /** `outcome reason` to the value of the decisions counter. */
  readonly decisions: () => Promise<ReadonlyMap<string, number>>
  readonly newSession: () => Promise<WorldSession>
  /** What went wrong inside and was only logged. */
  readonly logged: readonly string[]
}

const quick: WalkLimits = {
  headMs: 400,
  keepAliveMs: 60_000,
  exchangeIdleMs: 3000,
  firstBytesMs: 500,
  tunnelIdleMs: 60_000,
}

export async function createWorld(options: WorldOptions): Promise<World> {
  const originCa = createTestCa()
  const [http, https, dns] = await Promise.all([
    startRawOrigin(),
    startRawOrigin(originCa),
    startDnsStandIn(options.dns ?? {}),
  ])
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-world-'))
  const ca = await loadSigningCa({
    stateDirectory: join(directory, 'state'),
    publicDirectory: join(directory, 'public'),
    own: null,
    now: () => new Date(),
    systemRoots: () => [],
  })
  const records: ExchangeRecord[] = []
  const logged: string[] = []
  const tunnels = { open: 0 }
  const leaves = createLeafCache(ca, {
    leavesMax: 1000,
    deniedLeavesMax: 100,
    deniedPerSecondMax: 1000,
    now: () => new Date(),
  })
  const metrics = createMetrics({
    gauges: {
      sessionsActive: () => book.list().length,
      tunnelsOpen: () => tunnels.open,
      streamsOpen: () => 0,
      enforcing: () => true,
      caNotAfterSeconds: () => ca.notAfter.getTime() / 1000,
      auditDropped: () => 0,
      leafCache: () => leaves.stats(),
    },
  })
  const credentials = credentialBook(options)
  let policy: Policy | null = null
  const book = new SessionBook({
    store: createMemoryStore(),
    grantFor: () => (policy === null ? null : { policy, mode: policy.mode, placeholders: new Map() }),
    log: (message) => logged.push(message),
    now: Date.now,
    random: randomBytes,
    sweepMs: 60_000,
  })
  const limits = { ...quick, ...options.limits }
  const dial = createDial({ timeoutMs: 1500, attemptMs: 500 })
  const deadlines = new Deadlines(20)
  const proxyPort = { value: 0 }
  let decision = 0
  const rooms: Rooms = {
    identify: (proof) => identify(book, proof),
    intercept: createIntercept({ leaves, handshakeTimeoutMs: 800 }),
    equip: createEquip(credentials),
    resolve: createResolve({
      servers: [dns.address],
      hosts: new Map(),
      hostsFile: null,
      namesMax: 1000,
      timeoutMs: 300,
    }),
    isOwn: createOwnEndpoints(() => [{ address: '127.0.0.1', port: proxyPort.value }]),
    dial,
    poolsOf: poolsOf({
      dial,
      roots: [originCa.certificate],
      handshakeTimeoutMs: 1000,
      keepAliveMs: 30_000,
      headTimeoutMs: 3000,
      bodyIdleMs: 3000,
      headBytesMax: 65_536,
      connectionsPerOriginMax: 64,
      poolsPerSessionMax: 64,
      ...options.upstream,
    }),
    sink: {
      accepting: () => true,
      append: (record) => {
        records.push(record)
        metrics.observe(record)
      },
    },
    loopDelayMs: () => 0,
    serve: (connection, early) => door.serve(connection, early),
    trust: createClientTrust(),
    denials: new RecentDenials(),
    deadlines,
    limits,
    nextDecisionId: () => `d-${decision++}`,
    now: Date.now,
    tunnels,
  }
  const door = createHttpDoor(rooms, { headBytesMax: 32_768, pipelinedMax: 32 })
  const listener = await listenForProxy({
    address: '127.0.0.1:0',
    session: null,
    limits,
    serve: rooms.serve,
    connections: { open: 0, max: 1000 },
  })
  const ports = { proxy: (listener.bound as AddressInfo).port, http: http.port, https: https.port }
  proxyPort.value = ports.proxy
  policy = compile(options, ports, credentials)

  return {
    ports,
    caCertificate: ca.certificatePem,
    originCa,
    http,
    https,
    dns,
    records,
    logged,
    decisions: async () => decisionsIn(await metrics.text()),
    newSession: () => newSession(book),
    async [Symbol.asyncDispose]() {
      for (const session of book.list()) await book.revoke(session.id)
      await listener.close()
      door.close()
      deadlines.close()
      leaves.close()
      await Promise.all([http[Symbol.asyncDispose](), https[Symbol.asyncDispose](), dns[Symbol.asyncDispose]()])
      await rm(directory, { recursive: true, force: true })
    },
  }
}

function credentialBook({ credentials = [], secrets = {} }: WorldOptions): CredentialBook {
  const parsed = parseCredentials(credentials)
  if (parsed.kind === 'issues') throw new Error(JSON.stringify(parsed.issues))
  return new CredentialBook({
    credentials: parsed.credentials,
    placeholderKey: randomBytes(32),
    world: { variable: (name) => secrets[name], now: () => performance.now() },
    log: () => undefined,
  })
}

function compile(options: WorldOptions, ports: WorldPorts, credentials: CredentialBook): Policy {
  const source = parsePolicy(
    { version: 1, name: 'hostile', mode: options.mode ?? 'enforce', rules: options.rules(ports) },
    () => ({ file: 'hostile.yaml', line: 0, column: 0 }),
  )
  if (Array.isArray(source)) throw new Error(JSON.stringify(source))
  const policy = compilePolicy(source, {
    sources: new Map([[source.name, source]]),
    credentials: credentials.hosts(),
    presets: new Set(),
    version: 1,
    label: source.name,
  })
  if (Array.isArray(policy)) throw new Error(JSON.stringify(policy))
  return policy
}

function poolsOf(options: PoolOptions): (session: LiveSession) => SessionPools {
  const secureContext = createUpstreamContext(options.roots)
  const known = new WeakMap<LiveSession, SessionPools>()
  return (session) => {
    const pools = known.get(session) ?? new SessionPools(options, secureContext)
    if (!known.has(session)) {
      known.set(session, pools)
      session.open.add({ stillAllowed: () => true, cut: () => pools.destroy() })
    }
    return pools
  }
}

async function newSession(book: SessionBook): Promise<WorldSession> {
  const created = await book.create({
    policy: { name: 'hostile' },
    mode: null,
    labels: {},
    credentials: {},
    refusal: 'auto',
    sources: null,
    idempotencyKey: null,
    owner: 'test',
    ttlMs: 3_600_000,
  })
  if (created.kind === 'refused') throw new Error(created.reason)
  const { id } = created.session
  const pair = Buffer.from(`${id}:${created.token}`).toString('base64')
  return {
    id,
    authorization: `Basic ${pair}`,
    revoke: async () => void (await book.revoke(id)),
  }
}

function decisionsIn(text: string): ReadonlyMap<string, number> {
  const decisions = new Map<string, number>()
  for (const [, labels = '', value = ''] of text.matchAll(/^sallyport_decisions_total\{([^}]*)\} (\S+)$/gm)) {
    const label = (name: string): string => new RegExp(`${name}="([^"]*)"`).exec(labels)?.[1] ?? ''
    const key = `${label('outcome')} ${label('reason')}`
    decisions.set(key, (decisions.get(key) ?? 0) + Number(value))
  }
  return decisions
}
