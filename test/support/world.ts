/**
 * A world for one test file: the whole gateway, two recording origins (plain and TLS) and a recording resolver, all on
 * loopback, up with one call and down with one.
 *
 * Everything of the gateway is the real thing; only names, roots, credentials and deadlines are the test's.
 */

import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config } from '../../src/config/config-schema.ts'
import {
  parseProcessLimit,
  processLimitKeys,
  processLimits,
  type ProcessLimits,
} from '../../src/config/process-limits.ts'
import { parseCredentials } from '../../src/credentials/credential-schema.ts'
import type { ExchangeRecord } from '../../src/exchange/record.ts'
import { type Gateway, startGateway } from '../../src/gateway.ts'
import type { Mode, Policy } from '../../src/policy/policy.ts'
import type { SessionLimits } from '../../src/sessions/session-store.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { type DnsStandIn, type DnsTable, startDnsStandIn } from './dns-stand-in.ts'
import { type RawOrigin, startRawOrigin } from './raw-origin.ts'
import { createTestCa, type TestCa } from './test-ca.ts'

export type WorldPorts = {
  readonly proxy: number
  readonly control: number
  readonly http: number
  readonly https: number
}

export type WorldOptions = {
  /** Rules as a policy file has them; asked for when the ports are known. */
  readonly rules: (ports: WorldPorts) => readonly object[]
  readonly dns?: DnsTable
  readonly mode?: Mode
  /** Entries of `credentials:`; secrets of source `env` come from `secrets`. */
  readonly credentials?: ((ports: Pick<WorldPorts, 'http' | 'https'>) => readonly object[]) | readonly object[]
  readonly secrets?: Readonly<Record<string, string>>
  readonly limits?: Partial<ProcessLimits>
  /** Entries of `control.tokens:`; their secrets come from `secrets` too. */
  readonly tokens?: Config['control']['tokens']
  /** Default: one on a free port. */
  readonly listeners?: Config['listeners']
  readonly sessionDoors?: Config['sessions']['doors']
  readonly statics?: Config['sessions']['static']
  /** A folder, for the policies of statics. */
  readonly policies?: string
  /** What the gateway itself goes out through. */
  readonly parent?: Config['upstream']['proxy']
  /** Who signs for origins, where others than the world's own two need it too. */
  readonly originCa?: TestCa
}

export type WorldSession = {
  readonly id: string
  /** Value of Proxy-Authorization. */
  readonly authorization: string
  readonly revoke: () => Promise<void>
}

export type World = AsyncDisposable & {
  readonly ports: WorldPorts
  readonly gateway: Gateway
  /** What clients trust. */
  readonly caCertificate: string
  readonly originCa: TestCa
  readonly http: RawOrigin
  readonly https: RawOrigin
  readonly dns: DnsStandIn
  /** Every final record, in order. */
  readonly records: readonly ExchangeRecord[]
  /** `outcome reason` to the value of the decisions counter. */
  readonly decisions: () => Promise<ReadonlyMap<string, number>>
  readonly newSession: (limits?: SessionLimits) => Promise<WorldSession>
  /** Every line that the gateway logged. */
  readonly logged: readonly string[]
  /** The audit file as it is now. */
  readonly auditText: () => Promise<string>
}

/** Short enough that a test may wait for them, long enough for a busy machine. */
const quick: Partial<ProcessLimits> = {
  connectAttemptMs: 500,
  connectTimeoutMs: 1500,
  dnsTimeoutMs: 300,
  exchangeIdleMs: 3000,
  firstBytesTimeoutMs: 600,
  handshakeTimeoutMs: 1000,
  headTimeoutMs: 600,
  originHeadTimeoutMs: 3000,
  deniedLeavesPerSecondMax: 1000,
}

export async function createWorld(options: WorldOptions): Promise<World> {
  const originCa = options.originCa ?? createTestCa()
  const [http, https, dns] = await Promise.all([
    startRawOrigin(),
    startRawOrigin(originCa),
    startDnsStandIn(options.dns ?? {}),
  ])
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-world-'))
  const config = configFor(options, directory, dns, originCa, { http: http.port, https: https.port })
  const records: ExchangeRecord[] = []
  const logged: string[] = []
  const gateway = await startGateway(config, {
    log: createLog({ level: 'debug', format: 'json', write: (line) => logged.push(line) }),
    variable: (name) => options.secrets?.[name],
    now: Date.now,
    observe: (record) => {
      if (record.event === 'final') records.push(record)
    },
  })
  const ports = {
    proxy: portOf(gateway.proxies[0] ?? ''),
    control: portOf(gateway.control),
    http: http.port,
    https: https.port,
  }
  const policy = { mode: options.mode ?? 'enforce', rules: options.rules(ports) }

  return {
    ports,
    gateway,
    caCertificate: gateway.ca.certificatePem,
    originCa,
    http,
    https,
    dns,
    records,
    logged,
    decisions: async () => decisionsIn((await gateway.telemetry.metricsText()).text),
    newSession: (limits) => newSession(gateway, policy, limits ?? null),
    auditText: async () => {
      await gateway.telemetry.flush()
      return readFile(config.audit.file ?? '', 'utf8')
    },
    async [Symbol.asyncDispose]() {
      await gateway.stop()
      await Promise.all([http, https, dns].map((one) => one[Symbol.asyncDispose]()))
      await rm(directory, { recursive: true, force: true })
    },
  }
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}

function configFor(
  options: WorldOptions,
  directory: string,
  dns: DnsStandIn,
  originCa: TestCa,
  ports: Pick<WorldPorts, 'http' | 'https'>,
): Config {
  const { credentials: written = [] } = options
  const credentials = parseCredentials(typeof written === 'function' ? written(ports) : written)
  if (credentials.kind === 'issues') throw new Error(JSON.stringify(credentials.issues))
  const defaults = Object.fromEntries(
    processLimitKeys.map((key) => [processLimits[key].to, parseProcessLimit(key, processLimits[key].default)]),
  ) as ProcessLimits
  const stateDirectory = join(directory, 'state')
  return {
    listeners: options.listeners ?? [{ address: '127.0.0.1:0', session: null }],
    control: { address: '127.0.0.1:0', hosts: [], tokens: options.tokens ?? [] },
    stateDirectory,
    publicDirectory: join(stateDirectory, 'public'),
    ca: null,
    stateKey: null,
    policies: options.policies ?? null,
    sessions: {
      store: 'memory',
      defaultTtlMs: 3_600_000,
      secretKey: null,
      static: options.statics ?? [],
      ...(options.sessionDoors === undefined ? {} : { doors: options.sessionDoors }),
    },
    credentials: credentials.credentials,
    upstream: {
      proxy: options.parent ?? null,
      roots: 'bundled',
      extraCa: originCa.certificate,
      dns: { servers: [dns.address], hosts: new Map() },
    },
    audit: {
      file: join(directory, 'audit.jsonl'),
      stdout: false,
      fsync: 'never',
      bytesMax: 2 ** 30,
      filesMax: 2,
      queueBytesMax: 2 ** 24,
    },
    log: { level: 'debug', format: 'json' },
    limits: { ...defaults, ...quick, ...options.limits },
  }
}

async function newSession({ sessions }: Gateway, inline: object, limits: SessionLimits | null): Promise<WorldSession> {
  const policy = sessions.policies.compileInline(inline)
  if (!isPolicy(policy)) throw new Error(JSON.stringify(policy))
  const created = await sessions.book.create({
    policy: { inline },
    mode: null,
    labels: {},
    credentials: sessions.fillingFor(policy),
    refusal: 'auto',
    limits,
    sources: null,
    idempotencyKey: null,
    owner: 'test',
    ttlMs: 3_600_000,
  })
  if (created.kind === 'refused') throw new Error(created.reason)
  const { id } = created.session
  const pair = Buffer.from(`${id}:${created.token}`).toString('base64')
  return { id, authorization: `Basic ${pair}`, revoke: async () => void (await sessions.book.revoke(id)) }
}

function isPolicy(compiled: object): compiled is Policy {
  return 'rulesFor' in compiled
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
