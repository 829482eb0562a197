/** A control API on loopback over a real session book and real policies; only the windows on the gateway are stand-ins. */

import { randomBytes } from 'node:crypto'
import type { ControlOptions, DecisionFilter, FallenDecision } from '../../../src/control/control-options.ts'
import { type ControlToken, type ControlTokenSpec, parseControlToken } from '../../../src/control/control-token.ts'
import type { CreatedSession, SessionView } from '../../../src/control/schemas.ts'
import { type ControlAddress, type ControlServer, createControlServer } from '../../../src/control/server.ts'
import { createSecretSeal } from '../../../src/credentials/sealed-secret.ts'
import type { ExchangeRecord } from '../../../src/exchange/record.ts'
import { PolicyShelf } from '../../../src/gateway/policy-shelf.ts'
import { parseDomainPattern } from '../../../src/policy/domain-pattern.ts'
import { parsePolicy, type PolicySource } from '../../../src/policy/parse-policy.ts'
import { PolicyBook } from '../../../src/policy/policy-book.ts'
import { type Grant, Policy } from '../../../src/policy/policy.ts'
import { createMemoryStore } from '../../../src/sessions/memory-store.ts'
import { SessionBook } from '../../../src/sessions/session-book.ts'
import type { SessionStore, StoredSession } from '../../../src/sessions/session-store.ts'
import { defaultLimits } from '../sessions/limits.ts'

export function tokenOf(spec: Partial<ControlTokenSpec> & { name: string }): ControlToken {
  const parsed = parseControlToken({ scopes: ['sessions'], secret: { env: 'X' }, ...spec }, secretOf(spec.name))
  if (Array.isArray(parsed)) throw new Error(JSON.stringify(parsed))
  return parsed
}

export function secretOf(name: string): string {
  return `${name}-0123456789abcdef`
}

const tokens = [
  tokenOf({ name: 'platform', scopes: ['admin'] }),
  tokenOf({
    name: 'team-a',
    labels: { team: 'a' },
    ceiling: { policies: ['dev'], credentials: ['anthropic'], modes: ['enforce'] },
  }),
  tokenOf({
    name: 'team-b',
    labels: { team: 'b' },
    ceiling: {
      policies: ['dev', 'inline'],
      extends: ['corp'],
      addresses: ['10.2.0.0/16'],
      sources: ['10.9.0.0/16'],
      modes: ['audit', 'enforce'],
    },
  }),
  tokenOf({ name: 'lead-a', scopes: ['admin'], labels: { team: 'a' } }),
  tokenOf({ name: 'reader-a', scopes: ['read'], labels: { team: 'a' } }),
  tokenOf({ name: 'bare' }),
  tokenOf({ name: 'viewer', scopes: ['read'] }),
  tokenOf({ name: 'prometheus', scopes: ['metrics'] }),
]

function sourceOf(raw: object): PolicySource {
  const parsed = parsePolicy({ version: 1, ...raw }, () => ({ file: 'test.yaml', line: 1, column: 1 }))
  if (Array.isArray(parsed)) throw new Error(JSON.stringify(parsed))
  return parsed
}

function policyBook(): { book: PolicyBook; files: PolicySource[] } {
  const anthropic = parseDomainPattern('api.anthropic.com')
  if (typeof anthropic === 'string') throw new Error(anthropic)
  const hosts = { hosts: [anthropic], unsafeWildcardHosts: false }
  const book = new PolicyBook({
    presets: [],
    credentials: new Map([
      ['anthropic', hosts],
      ['other-account', hosts],
    ]),
  })
  const files = [
    sourceOf({ name: 'dev', rules: [{ host: 'example.org', methods: ['GET'] }] }),
    sourceOf({ name: 'model', rules: [{ host: 'api.anthropic.com', credential: 'anthropic' }] }),
    sourceOf({ name: 'corp', rules: [{ host: 'git.corp.example', addresses: ['10.2.0.0/16'] }] }),
    sourceOf({ name: 'corp-wide', extends: ['corp'], rules: [{ host: 'x.corp.example', addresses: ['10.0.0.0/8'] }] }),
    sourceOf({ name: 'watching', mode: 'audit', rules: [{ host: 'example.org' }] }),
  ]
  const issues = book.replace(files)
  if (issues.length > 0) throw new Error(JSON.stringify(issues))
  return { book, files }
}

type Call = {
  readonly as?: string
  readonly body?: unknown
  readonly raw?: string
  readonly headers?: Readonly<Record<string, string>>
}

export type ControlBench = {
  readonly url: string
  readonly server: ControlServer
  readonly book: SessionBook
  readonly policies: PolicyBook
  readonly records: ExchangeRecord[]
  readonly listeners: Set<(fallen: FallenDecision) => void>
  readonly logged: unknown[]
  problems: string[]
  now: number
  /** The store of policies fails. */
  full: boolean
  call(method: string, path: string, call?: Call): Promise<Answer>
  close(): Promise<void>
}

/** All that any answer has. A test reads what it expects of the one at hand. */
type AnswerBody = CreatedSession &
  SessionView & {
    readonly code: string
    readonly decisions: readonly ExchangeRecord[]
    readonly issues: readonly { readonly path: string; readonly message: string }[]
    readonly next: string | null
    readonly openapi: string
    readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>
    readonly policies: readonly { readonly name: string }[]
    readonly problems: readonly string[]
    readonly sessions: readonly SessionView[]
    readonly status: string
    readonly type: string
    readonly verdict: string
  }

type Answer = {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly body: AnswerBody
}

export async function createControlBench(
  changes: Partial<ControlOptions> & { readonly store?: SessionStore; readonly address?: ControlAddress } = {},
): Promise<ControlBench> {
  const { book: policies, files } = policyBook()
  const records: ExchangeRecord[] = []
  const listeners = new Set<(fallen: FallenDecision) => void>()
  const logged: unknown[] = []
  const grantFor = (stored: StoredSession): Grant | null => {
    const policy =
      'name' in stored.policy ? policies.get(stored.policy.name) : policies.compileInline(stored.policy.inline)
    return policy instanceof Policy ? { policy, mode: stored.mode ?? policy.mode, placeholders: new Map() } : null
  }
  const { store = createMemoryStore(), address = { host: '127.0.0.1', port: 0 }, ...options } = changes
  const bench = { problems: [] as string[], now: 1_800_000_000_000, full: false }
  const book = new SessionBook({
    store,
    grantFor,
    limits: defaultLimits,
    log: (message) => logged.push(message),
    now: () => bench.now,
    random: randomBytes,
    sweepMs: 3_600_000,
  })
  const shelf = new PolicyShelf({
    book: policies,
    files,
    made: new Map(),
    keep: async () => {
      if (bench.full) throw new Error('disk /var/secret is full')
    },
    inUse: () => new Set(book.list().flatMap(({ stored }) => ('name' in stored.policy ? [stored.policy.name] : []))),
  })
  policies.onChange(() => book.refresh())
  const seal = createSecretSeal(Buffer.alloc(32, 7))
  const server = await createControlServer({
    tokens,
    hosts: ['sallyport.example'],
    sessions: book,
    policies,
    shelf,
    doors: { open: () => Promise.resolve({ detail: 'none here' }), close: () => Promise.resolve(false) },
    decisions: (filter: DecisionFilter) =>
      records.filter((one) => filter.visible(one) && (filter.host ?? one.host) === one.host).slice(0, filter.limit),
    subscribe: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    decisionsAfter: (place, passes) => ({
      fallen: records.filter(passes).map((record) => ({ record, line: JSON.stringify(record), place: 'run-9' })),
      complete: place === 'run-1',
    }),
    metricsText: async () => ({ contentType: 'text/plain; version=0.0.4; charset=utf-8', text: 'sallyport_up 1\n' }),
    ready: () => ({ ready: bench.problems.length === 0, problems: bench.problems }),
    proxyUrlFor: (id, token) => `http://${id}:${token}@127.0.0.1:3128`,
    environmentFor: (session, token) => ({ HTTPS_PROXY: `http://${session.id}:${token}@127.0.0.1:3128` }),
    caCertificate: '-----BEGIN CERTIFICATE-----\n',
    credentials: {
      names: new Set(['anthropic', 'other-account']),
      judgeValue: (_name, value) => (value.length < 16 ? 'is too short' : null),
      seal: seal.seal,
    },
    defaultTtlSeconds: 3600,
    tokenFailuresPerMinute: 10_000,
    now: () => bench.now,
    log: (message, error) => logged.push([message, error]),
    ...options,
  })
  const url = `http://${await server.listen(address)}`
  const call = async (method: string, path: string, { as, body, raw, headers = {} }: Call = {}): Promise<Answer> => {
    const sent = raw ?? (body === undefined ? undefined : JSON.stringify(body))
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(as === undefined ? {} : { authorization: `Bearer ${secretOf(as)}` }),
        ...(sent === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(sent === undefined ? {} : { body: sent }),
    })
    const text = await response.text()
    const isJson = /json/.test(response.headers.get('content-type') ?? '')
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: JSON.parse(isJson && text !== '' ? text : '{}') as AnswerBody,
    }
  }
  return Object.assign(bench, {
    url,
    server,
    book,
    policies,
    records,
    listeners,
    logged,
    call,
    close: () => server.close(),
  })
}

export function recordOf(changes: Partial<ExchangeRecord> = {}): ExchangeRecord {
  return {
    event: 'final',
    time: '2027-01-15T08:00:00.000Z',
    decisionId: 'd-1',
    session: 's-1',
    labels: {},
    listener: '127.0.0.1:3128',
    client: '127.0.0.1',
    policy: 'dev',
    policyVersion: 1,
    policyLabel: 'dev',
    rule: null,
    ruleHost: null,
    kind: 'request',
    scheme: 'https',
    host: 'example.org',
    port: 443,
    method: 'GET',
    path: '/',
    outcome: 'allow',
    reason: null,
    detail: null,
    status: 200,
    address: '192.0.2.1',
    bytesUp: 1,
    bytesDown: 1,
    durations: { total: 1, decide: 1, connect: 1, firstByte: 1 },
    credentials: [],
    redactions: 0,
    bodyPlaceholders: 0,
    nearLimits: [],
    repeated: 1,
    ...changes,
  }
}
