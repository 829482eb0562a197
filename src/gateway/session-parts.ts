/**
 * Sessions, the policies they are made of and the credentials that are put on for them.
 *
 * Promises: a session's grant is compiled from what is loaded now; when policies change every session is judged anew, and
 * what its new policy does not allow is cut.
 */

import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Config } from '../config/config-schema.ts'
import { CredentialBook } from '../credentials/credential-book.ts'
import { createSealedCookies, type SealedCookies } from '../credentials/sealed-cookies.ts'
import type { OwnNetwork } from '../credentials/own-request.ts'
import { createSecretSeal, type SecretSeal } from '../credentials/sealed-secret.ts'
import { Policy, type Grant } from '../policy/policy.ts'
import type { PolicyBook } from '../policy/policy-book.ts'
import { SessionBook, type StaticSession } from '../sessions/session-book.ts'
import type { LimitDefaults } from '../sessions/session-limits.ts'
import type { SessionStore, StoredSession } from '../sessions/session-store.ts'
import { sessionStores } from '../sessions/index.ts'
import { deriveKey } from '../sessions/state-key.ts'
import { type GatewayWorld, StartError } from '../gateway.ts'
import type { GatewayPolicies } from './policy-parts.ts'
import type { PolicyShelf } from './policy-shelf.ts'
import type { ReplicaParts } from './replica-parts.ts'

export type GatewaySessions = {
  readonly book: SessionBook
  readonly policies: PolicyBook
  readonly shelf: PolicyShelf
  readonly credentials: CredentialBook
  readonly cookies: SealedCookies
  /** Closes over values that sessions bring. */
  readonly seal: SecretSeal
  /** What fills each credential name of the policy when nobody says otherwise: the configured one of the same name. */
  readonly fillingFor: (policy: Policy) => Record<string, string>
  readonly close: () => Promise<void>
}

/** What expired is cut within a second, with room to do it in. */
const sweepMs = 500
/** Of text: a key that can be guessed seals nothing. */
const operatorKeyMin = 32

export async function openSessions(
  config: Config,
  world: GatewayWorld,
  { network, stateKey, redis }: Pick<ReplicaParts, 'redis' | 'stateKey'> & { readonly network: OwnNetwork },
  loadPolicies: (
    credentials: ReturnType<CredentialBook['hosts']>,
    inUse: () => ReadonlySet<string>,
  ) => Promise<GatewayPolicies>,
): Promise<GatewaySessions> {
  const warn = (message: string): void => world.log.warn({}, message)
  const operatorKey = await readOperatorKey(config, world)
  const seal = createSecretSeal(deriveKey(operatorKey ?? stateKey, 'secrets'))
  const credentials = new CredentialBook({
    credentials: config.credentials,
    placeholderKey: deriveKey(stateKey, 'placeholders'),
    seal,
    world: { variable: world.variable, now: () => performance.now(), network },
    log: warn,
  })
  // Policies are loaded before there are sessions, and changed when there are.
  const late: { list: SessionBook['list'] } = { list: () => [] }
  const inUse = (): ReadonlySet<string> => {
    const names = new Set<string>()
    for (const { stored } of late.list()) if ('name' in stored.policy) names.add(stored.policy.name)
    return names
  }
  const { book: policies, shelf, settled } = await loadPolicies(credentials.hosts(), inUse)
  const { store: kind } = config.sessions
  const store = await sessionStores[typeof kind === 'string' ? kind : 'redis']({
    directory: config.stateDirectory,
    key: deriveKey(stateKey, 'sessions'),
    log: warn,
    ...(redis === null ? {} : { redis }),
  })
  const book = new SessionBook({
    store,
    grantFor: (stored) => grantFor(policies, credentials, stored),
    limits: sessionDefaults(config.limits),
    log: warn,
    now: world.now,
    random: randomBytes,
    sweepMs,
    sessionsMax: config.limits.sessionsMax,
  })
  late.list = () => book.list()
  const fillingFor = (policy: Policy): Record<string, string> =>
    Object.fromEntries(
      policies
        .usesOf(policy)
        .credentials.flatMap((slot) => (credentials.get(slot) === undefined ? [] : [[slot, slot]])),
    )
  addStatics(config, world, { book, policies, fillingFor })
  await loadBook(book, store)
  const unwatch = policies.onChange((names) => {
    const changed = new Set(names)
    book.refresh({ concerns: ({ stored, current }) => isMadeOf(policies, stored, current.policy, changed) })
  })
  return {
    book,
    policies,
    shelf,
    credentials,
    cookies: createSealedCookies(deriveKey(stateKey, 'cookies')),
    seal,
    fillingFor,
    close: async () => {
      unwatch()
      await Promise.all([book.close(), settled()])
      credentials.close()
    },
  }
}

async function loadBook(book: SessionBook, store: SessionStore): Promise<void> {
  try {
    await book.load()
  } catch (error) {
    await store.close()
    throw error
  }
}

/** What holds where neither a session nor its policy says. */
function sessionDefaults(limits: Config['limits']): LimitDefaults {
  return {
    uploadBytes: limits.uploadBytesPerSessionMax,
    downloadBytes: limits.downloadBytesPerSessionMax,
    requestsPerMinute: limits.requestsPerMinutePerSessionMax,
    concurrentConnections: limits.connectionsPerSessionMax,
    distinctHosts: limits.hostsPerSessionMax,
    // Those of the process hold beside it, one for each kind of silence.
    idleTimeoutMs: Math.max(limits.exchangeIdleMs, limits.tunnelIdleMs),
    tunnelDurationMs: limits.tunnelDurationMs,
  }
}

/** What extends a changed policy is changed itself, and named; of inline ones only they know. */
function isMadeOf(book: PolicyBook, stored: StoredSession, policy: Policy, changed: ReadonlySet<string>): boolean {
  if ('name' in stored.policy) return changed.has(stored.policy.name)
  return book.extendsOf(policy).some((name) => changed.has(name))
}

/** Null while the policy does not resolve: the session then refuses everything. */
function grantFor(policies: PolicyBook, credentials: CredentialBook, stored: StoredSession): Grant | null {
  const policy =
    'name' in stored.policy ? policies.get(stored.policy.name) : policies.compileInline(stored.policy.inline)
  if (!(policy instanceof Policy)) return null
  const slots = new Map(Object.entries(stored.credentials))
  return {
    policy,
    mode: stored.mode ?? policy.mode,
    placeholders: credentials.placeholdersFor(stored.id, slots),
    clientIds: credentials.clientIdsFor(slots),
  }
}

/** Null: none is configured. */
async function readOperatorKey({ sessions: { secretKey } }: Config, world: GatewayWorld): Promise<Buffer | null> {
  if (secretKey === null) return null
  const text = 'env' in secretKey ? world.variable(secretKey.env) : await readKeyFile(secretKey.file)
  if (text === undefined || text.length < operatorKeyMin)
    throw new StartError(
      `sessions.secretKey: needs ${operatorKeyMin} characters or more, 32 random bytes in hexadecimal`,
    )
  return Buffer.from(text, 'utf8')
}

async function readKeyFile(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).replace(/\r?\n$/, '')
  } catch {
    return undefined
  }
}

function addStatics(
  config: Config,
  world: GatewayWorld,
  sessions: Pick<GatewaySessions, 'book' | 'fillingFor' | 'policies'>,
): void {
  const problems: string[] = []
  for (const written of config.sessions.static) {
    const policy = sessions.policies.get(written.policy)
    if (policy === null) {
      problems.push(`sessions.static: ${written.id}: there is no policy "${written.policy}"`)
      continue
    }
    const spec: StaticSession = {
      id: written.id,
      policy: { name: written.policy },
      mode: written.mode,
      labels: written.labels,
      credentials: { ...sessions.fillingFor(policy), ...written.credentials },
      refusal: written.refusal,
      sources: written.sources,
      certificate: written.certificate ?? null,
      token: written.token === null ? null : readToken(written.token, world),
    }
    const added = sessions.book.addStatic(spec)
    if ('kind' in added) problems.push(`sessions.static: ${written.id}: ${added.reason} (${added.detail})`)
  }
  if (problems.length > 0) throw new StartError(problems.join('\n'))
}

function readToken(source: { readonly env: string }, world: GatewayWorld): string {
  const token = world.variable(source.env)
  if (token === undefined || token.length < 32)
    throw new StartError(`the token of a static session needs 32 characters or more in ${source.env}`)
  return token
}
