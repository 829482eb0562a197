/**
 * The whole gateway in this process, as `serve` starts it, and sandboxes whose children get exactly the environment that
 * the control API answered with: what a real client then does is what a user's client does.
 *
 * Only names, roots, policies and secrets are the test's. Audit file, metrics, stores and control API are the real ones.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Config, ListenerConfig, StaticSessionConfig } from '../../src/config/config-schema.ts'
import {
  parseProcessLimit,
  processLimitKeys,
  processLimits,
  type ProcessLimits,
} from '../../src/config/process-limits.ts'
import { parseCredentials } from '../../src/credentials/credential-schema.ts'
import type { ExchangeRecord } from '../../src/exchange/record.ts'
import { type Gateway, startGateway } from '../../src/gateway.ts'
import { type Ip, parseIp } from '../../src/net/ip.ts'
import { createLog } from '../../src/telemetry/log.ts'

export type RealGatewayOptions = {
  /** Policy name to its rules, in the words of a policy file. */
  readonly policies: Readonly<Record<string, readonly object[]>>
  /** Names that resolve to loopback. */
  readonly hosts: readonly string[]
  /** PEM of the CA that origins are verified against. */
  readonly originCa: string
  /** Entries of `credentials:`; `secret` is left out, each is read from a file of its own. */
  readonly credentials?: readonly object[]
  /** Credential name to secret. */
  readonly secrets?: Readonly<Record<string, string>>
  readonly listeners?: readonly ListenerConfig[]
  readonly statics?: readonly (Pick<StaticSessionConfig, 'id' | 'policy'> &
    Partial<Pick<StaticSessionConfig, 'sources'>>)[]
  readonly limits?: Partial<ProcessLimits>
  readonly audit?: Partial<Config['audit']>
  /** Of an earlier gateway: its state is taken over. */
  readonly directory?: string
  /** What it has in common with other replicas. */
  readonly shared?: Pick<Config, 'ca' | 'stateKey'> & { readonly store: Config['sessions']['store'] }
}

type Watched<Result> = {
  readonly result: Result
  /** Final records that came meanwhile, from the audit file. */
  readonly records: readonly ExchangeRecord[]
}

export type CreatedSession = {
  readonly id: string
  readonly token: string
  readonly proxyUrl: string
  readonly env: Readonly<Record<string, string>>
  readonly caCertificate: string
}

export type RealGateway = AsyncDisposable & {
  readonly gateway: Gateway
  readonly directory: string
  readonly auditFile: string
  /** Lines of the gateway's own log. */
  readonly logged: readonly string[]
  readonly secretFile: (credential: string) => string
  readonly writePolicy: (name: string, rules: readonly object[]) => Promise<void>
  /** The control API with the admin token. */
  readonly control: (method: string, path: string, body?: object) => Promise<Response>
  /** Value of Authorization for it. */
  readonly adminToken: string
  readonly createSession: (policy: object | string, more?: object) => Promise<CreatedSession>
  readonly sandbox: (policy: object | string, more?: object) => Promise<Sandbox>
  /** Sum over all series of a metric whose labels hold these. */
  readonly metric: (name: string, labels?: Readonly<Record<string, string>>) => Promise<number>
  /** Every line of the audit file. */
  readonly audit: () => Promise<readonly ExchangeRecord[]>
  /**
   * Runs `deed` and waits for so many final records; fails if there are more or fewer, or if the counter of decisions
   * did not go up by exactly their number, outcome by outcome.
   */
  readonly watch: <Result>(count: number, deed: () => Promise<Result>) => Promise<Watched<Result>>
}

export async function startRealGateway(options: RealGatewayOptions): Promise<RealGateway> {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'sallyport-real-')))
  const policies = join(directory, 'policies')
  const secrets = join(directory, 'secrets')
  await Promise.all([policies, secrets].map((path) => mkdir(path, { recursive: true, mode: 0o700 })))
  const writePolicy = async (name: string, rules: readonly object[]): Promise<void> =>
    writeFile(join(policies, `${name}.yaml`), JSON.stringify({ version: 1, name, rules }))
  for (const [name, rules] of Object.entries(options.policies)) await writePolicy(name, rules)
  const secretFile = (name: string): string => join(secrets, name)
  for (const [name, secret] of Object.entries(options.secrets ?? {})) await writeFile(secretFile(name), secret)

  const logged: string[] = []
  const log = createLog({ level: 'info', format: 'json', write: (line) => logged.push(line) })
  const config = configFor(options, directory, policies, secretFile)
  const gateway = await startGateway(config, { log, variable: () => undefined, now: Date.now }).catch(async (error) => {
    if (options.directory === undefined) await rm(directory, { recursive: true, force: true })
    throw error
  })
  const admin = (await readFile(gateway.adminTokenPath ?? '', 'utf8')).trim()
  const auditFile = config.audit.file ?? ''

  const control: RealGateway['control'] = (method, path, body) =>
    fetch(`http://${gateway.control}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${admin}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  const createSession: RealGateway['createSession'] = async (policy, more = {}) => {
    const response = await control('POST', '/v1/sessions', { policy, ...more })
    const created = (await response.json()) as CreatedSession
    expect(response.status, JSON.stringify(created)).toBe(201)
    return created
  }
  const readAudit = async (from: number): Promise<ExchangeRecord[]> => {
    await gateway.telemetry.flush()
    return linesOf((await readFile(auditFile)).subarray(from).toString('latin1'))
  }
  const metricsText = async (): Promise<string> => (await control('GET', '/metrics')).text()

  return {
    gateway,
    directory,
    auditFile,
    logged,
    secretFile,
    writePolicy,
    control,
    adminToken: `Bearer ${admin}`,
    createSession,
    sandbox: async (policy, more) => createSandbox(await createSession(policy, more), directory),
    metric: async (name, labels = {}) => sumOf(await metricsText(), name, labels),
    audit: () => readAudit(0),
    watch: async (count, deed) => {
      await gateway.telemetry.flush()
      const from = (await readFile(auditFile)).length
      const before = outcomesIn(await metricsText())
      const result = await deed()
      const finals = async (): Promise<ExchangeRecord[]> =>
        (await readAudit(from)).filter(({ event }) => event === 'final')
      await until(async () => (await finals()).length >= count, `${count} records`).catch(() => undefined)
      // One too many would come at once.
      await delay(30)
      const records = await finals()
      expect(records.map(worded), 'one record for each exchange').toHaveLength(count)
      expect(differenceOf(before, outcomesIn(await metricsText()))).toEqual(tally(records))
      return { result, records }
    },
    async [Symbol.asyncDispose]() {
      await gateway.stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

function configFor(
  options: RealGatewayOptions,
  directory: string,
  policies: string,
  secretFile: (name: string) => string,
): Config {
  const parsed = parseCredentials(
    (options.credentials ?? []).map((entry) => ({
      ...entry,
      secret: { file: secretFile('name' in entry ? String(entry.name) : '') },
    })),
  )
  if (parsed.kind === 'issues') throw new Error(JSON.stringify(parsed.issues))
  const stateDirectory = join(directory, 'state')
  return {
    listeners: options.listeners ?? [{ address: '127.0.0.1:0', session: null }],
    control: { address: '127.0.0.1:0', hosts: [], tokens: [] },
    stateDirectory,
    publicDirectory: join(stateDirectory, 'public'),
    ca: options.shared?.ca ?? null,
    stateKey: options.shared?.stateKey ?? null,
    policies,
    sessions: {
      store: options.shared?.store ?? 'file',
      defaultTtlMs: 3_600_000,
      secretKey: null,
      static: (options.statics ?? []).map((one) => ({
        mode: null,
        labels: {},
        credentials: {},
        refusal: 'auto',
        sources: null,
        token: null,
        ...one,
      })),
    },
    credentials: parsed.credentials,
    upstream: {
      proxy: null,
      roots: 'bundled',
      extraCa: options.originCa,
      dns: { servers: ['127.0.0.1:9'], hosts: new Map(options.hosts.map((name) => [name, [loopback]])) },
    },
    audit: {
      file: join(directory, 'audit.jsonl'),
      stdout: false,
      fsync: 'never',
      bytesMax: 100_000_000,
      filesMax: 3,
      queueBytesMax: 16_000_000,
      ...options.audit,
    },
    log: { level: 'info', format: 'json' },
    limits: { ...defaultLimits(), ...options.limits },
  }
}

const loopback: Ip = parseIp('127.0.0.1') ?? expect.fail('127.0.0.1 is an address')

function defaultLimits(): ProcessLimits {
  return Object.fromEntries(
    processLimitKeys.map((key) => [processLimits[key].to, parseProcessLimit(key, processLimits[key].default)]),
  ) as ProcessLimits
}

export type Ran = {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** Both, as a person sees them. */
  readonly said: string
}

type RunOptions = {
  /** Beside the environment of the session; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly input?: string
  readonly timeoutMs?: number
}

export type Sandbox = CreatedSession & {
  /** Its own, and its home. */
  readonly directory: string
  readonly run: (tool: string, args: readonly string[], options?: RunOptions) => Promise<Ran>
  /** Value of Proxy-Authorization. */
  readonly authorization: string
}

/** A directory and an environment in which nothing of this machine's user is left. */
export async function createSandbox(session: CreatedSession, directory: string): Promise<Sandbox> {
  const home = await mkdtemp(join(directory, 'home-'))
  return {
    ...session,
    directory: home,
    authorization: `Basic ${Buffer.from(`${session.id}:${session.token}`).toString('base64')}`,
    run: (tool, args, options = {}) => runIn(home, session.env, tool, args, options),
  }
}

/** Node's own directory first: scripts that ask for `node` get the one the tests run on. */
export const searchPath = `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`

async function runIn(
  home: string,
  env: Readonly<Record<string, string>>,
  tool: string,
  args: readonly string[],
  options: RunOptions,
): Promise<Ran> {
  const child = spawn(tool, args, {
    cwd: home,
    env: { PATH: searchPath, HOME: home, ...env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: options.timeoutMs ?? 20_000,
    killSignal: 'SIGKILL',
  })
  let [stdout, stderr, said] = ['', '', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    said += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    said += text
  })
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input)
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return { code, signal, stdout, stderr, said }
}

/** Until it holds; fails after five seconds. */
export async function until(holds: () => Promise<boolean> | boolean, what: string, timeoutMs = 5000): Promise<void> {
  const end = performance.now() + timeoutMs
  while (!(await holds())) {
    if (performance.now() > end) expect.fail(`waited in vain for ${what}`)
    await delay(10)
  }
}

/** Every line must be whole. */
export function linesOf(text: string): ExchangeRecord[] {
  if (text === '') return []
  expect(text.endsWith('\n'), 'the last line has an end').toBe(true)
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line) as ExchangeRecord)
}

function worded({ kind, outcome, reason, method, host, path, detail }: ExchangeRecord): string {
  return `${outcome} ${reason} ${kind} ${method} ${host}${path} ${detail}`
}

type Tally = Readonly<Record<string, number>>

function tally(records: readonly ExchangeRecord[]): Tally {
  const counts: Record<string, number> = {}
  for (const { outcome, reason, repeated } of records) {
    const key = `${outcome} ${reason ?? 'none'}`
    counts[key] = (counts[key] ?? 0) + repeated
  }
  return counts
}

function outcomesIn(text: string): Tally {
  const counts: Record<string, number> = {}
  for (const [labels, value] of seriesOf(text, 'sallyport_decisions_total')) {
    const key = `${labels['outcome']} ${labels['reason']}`
    counts[key] = (counts[key] ?? 0) + value
  }
  return counts
}

function differenceOf(before: Tally, after: Tally): Tally {
  const changes = Object.entries(after).map(([key, value]) => [key, value - (before[key] ?? 0)] as const)
  return Object.fromEntries(changes.filter(([, change]) => change !== 0))
}

function sumOf(text: string, name: string, wanted: Readonly<Record<string, string>>): number {
  return seriesOf(text, name)
    .filter(([labels]) => Object.entries(wanted).every(([label, value]) => labels[label] === value))
    .reduce((sum, [, value]) => sum + value, 0)
}

function seriesOf(text: string, name: string): [labels: Record<string, string>, value: number][] {
  return [...text.matchAll(new RegExp(`^${name}(?:\\{(.*)\\})? (\\S+)$`, 'gm'))].map(([, labels = '', value]) => [
    Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', text = '']) => [key, text])),
    Number(value),
  ])
}
