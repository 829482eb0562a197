/**
 * The private gateway of one run: its own ports, CA and state, all gone afterwards.
 *
 * Promises: what decides is frozen before the command starts: policies are read once and nothing watches them; of the
 * user's configuration only credentials, policies, upstream and limits count (decision 2); no admin token exists.
 */

import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Config } from '../config/config-schema.ts'
import { type LoadedConfig } from '../config/load-config.ts'
import { loadPolicyFiles, loadPolicyFolder } from '../config/load-policies.ts'
import { sandboxEnvironment } from '../config/sandbox-environment.ts'
import type { ExchangeRecord } from '../exchange/record.ts'
import type { Gateway } from '../gateway.ts'
import { Policy } from '../policy/policy.ts'
import type { PolicySource } from '../policy/parse-policy.ts'
import type { BookedSession } from '../sessions/booked-session.ts'
import type { StoredSession } from '../sessions/session-store.ts'
import { publicFilesIn } from '../tls/public-files.ts'
import { insidePort } from './isolated-child.ts'
import { insideFiles } from './isolation-plan.ts'
import { issuesText, looksLikeFile } from './policy-files.ts'
import { logFor, start } from './start.ts'
import { Complaint, misuse, type World } from './world.ts'

export type RunWish = {
  /** Names and files. */
  readonly policies: readonly string[]
  readonly credentials: Readonly<Record<string, string>>
  readonly mode: 'audit' | 'enforce' | null
  readonly jvm: boolean
  /** The command reaches the gateway by its socket alone, and sees its files where `isolation-plan.ts` puts them. */
  readonly isIsolated: boolean
}

export type RunGateway = {
  readonly session: BookedSession
  readonly environment: Readonly<Record<string, string>>
  /** Outside. */
  readonly places: { readonly directory: string; readonly publicDirectory: string; readonly socket: string }
  /** Resolves when all that happened has been told. */
  readonly stop: () => Promise<void>
}

/** Longer than any run; the session ends with the gateway. */
const sessionMs = 365 * 86_400_000
/** Connections of processes that outlive the command. */
const stopMs = 5000
/** Nobody knows its secret: it stands in the place of the admin token that would be made otherwise. */
const nobody = { name: 'nobody', scopes: ['metrics'], secret: { env: 'SALLYPORT_RUN_NOBODY' } } as const

export async function startRunGateway(
  loaded: LoadedConfig,
  wish: RunWish,
  world: World,
  observe: (record: ExchangeRecord) => void,
): Promise<RunGateway> {
  const frozen = await freezePolicies(loaded.config, wish.policies, world)
  const directory = await mkdtemp(path.join(tmpdir(), 'sallyport-run-'))
  const sweep = (): void => rmSync(directory, { recursive: true, force: true })
  process.once('exit', sweep)
  const places = {
    directory,
    publicDirectory: path.join(directory, 'public'),
    socket: path.join(directory, 'proxy.sock'),
  }
  const config = privateConfig(loaded.config, places, wish.isIsolated)
  const secret = randomBytes(32).toString('hex')
  const variable = (name: string): string | undefined => (name === nobody.secret.env ? secret : loaded.variable(name))
  let gateway: Gateway | null = null
  const stop = async (): Promise<void> => {
    await Promise.race([gateway?.stop(), new Promise((resolve) => setTimeout(resolve, stopMs).unref())])
    await rm(directory, { recursive: true, force: true })
    process.off('exit', sweep)
  }
  try {
    gateway = await start(config, { log: logFor(config, world), variable, now: world.now, observe })
    const issues = gateway.policies.replace(frozen.sources)
    if (issues.length > 0) throw new Complaint(issuesText(issues))
    const { session, token } = await openSession(gateway, frozen.names, wish)
    const environment = sandboxEnvironment({
      proxyUrl: wish.isIsolated
        ? `http://${session.id}:${token}@127.0.0.1:${insidePort}`
        : gateway.proxyUrlFor(session.id, token),
      files: publicFilesIn(wish.isIsolated ? insideFiles : config.publicDirectory),
      placeholders: Object.fromEntries(
        gateway.sessions.credentials.environmentFor(session.id, Object.values(session.stored.credentials)),
      ),
      jvm: wish.jvm,
    })
    return { session, environment, places, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The names of the wished policies, and the sources of all that are not shipped. */
async function freezePolicies(
  config: Config,
  wished: readonly string[],
  world: World,
): Promise<{ names: string[]; sources: PolicySource[] }> {
  const files = wished.filter(looksLikeFile).map((file) => path.resolve(world.cwd, file))
  const folder = config.policies === null ? null : await loadPolicyFolder(config.policies)
  const loaded = await loadPolicyFiles([...new Set(files)])
  const issues = [folder, loaded].flatMap((one) => (one?.kind === 'issues' ? one.issues : []))
  if (issues.length > 0 || loaded.kind === 'issues') throw new Complaint(issuesText(issues))
  const others = folder?.kind === 'loaded' ? folder.sources : []
  const names = wished.map((one) => {
    if (!looksLikeFile(one)) return one
    const file = path.resolve(world.cwd, one)
    return loaded.sources.find(({ place }) => place.file === file)?.name ?? one
  })
  const named = new Set(files)
  return {
    names: [...new Set(names)],
    sources: [...loaded.sources, ...others.filter(({ place }) => !named.has(place.file))],
  }
}

function privateConfig(
  config: Config,
  { directory, publicDirectory, socket }: RunGateway['places'],
  isIsolated: boolean,
): Config {
  return {
    ...config,
    listeners: [{ address: isIsolated ? `unix:${socket}` : '127.0.0.1:0', session: null }],
    control: {
      address: `unix:${path.join(directory, 'control.sock')}`,
      hosts: [],
      tokens: [{ ...nobody, scopes: [...nobody.scopes] }],
    },
    stateDirectory: directory,
    publicDirectory,
    ca: null,
    policies: null,
    sessions: { ...config.sessions, store: 'memory', static: [] },
    // The tally is the record of a run, and standard output is the command's.
    audit: { ...config.audit, file: null, stdout: false },
    log: { level: 'error', format: config.log.format },
  }
}

async function openSession(
  gateway: Gateway,
  names: readonly string[],
  wish: RunWish,
): Promise<{ session: BookedSession; token: string }> {
  const reference = referenceTo(gateway, names)
  const policy =
    'name' in reference ? gateway.policies.get(reference.name) : gateway.policies.compileInline(reference.inline)
  if (!(policy instanceof Policy)) throw new Complaint(policy === null ? 'the policy is gone' : issuesText(policy))
  const made = await gateway.sessions.book.create({
    policy: reference,
    mode: wish.mode,
    limits: null,
    sources: null,
    credentials: { ...gateway.sessions.fillingFor(policy), ...checkedFillings(gateway, policy, wish.credentials) },
    labels: {},
    refusal: 'auto',
    ttlMs: sessionMs,
    idempotencyKey: null,
    owner: 'run',
  })
  if (made.kind === 'refused') throw new Complaint(`the session cannot be made: ${made.reason} (${made.detail})`)
  return made
}

/** One policy is itself; several are joined; none allows nothing. */
function referenceTo({ policies }: Gateway, names: readonly string[]): StoredSession['policy'] {
  const unknown = names.find((name) => policies.get(name) === null)
  if (unknown !== undefined) {
    const known = policies.list().map(({ name }) => name)
    throw misuse(`there is no policy "${unknown}"; there are: ${known.join(', ')}; for a file write ./${unknown}`)
  }
  const [first] = names
  return names.length === 1 && first !== undefined ? { name: first } : { inline: { extends: [...names] } }
}

function checkedFillings(gateway: Gateway, policy: Policy, wished: RunWish['credentials']): RunWish['credentials'] {
  const configured = gateway.sessions.credentials.names()
  const slots = gateway.policies.usesOf(policy).credentials
  for (const [slot, name] of Object.entries(wished)) {
    if (!slots.includes(slot))
      throw misuse(
        `the policy has no credential "${slot}"; ${slots.length === 0 ? 'it has none' : `it has: ${slots.join(', ')}`}`,
      )
    if (!configured.includes(name))
      throw misuse(
        `no credential "${name}" is configured; add it under "credentials:" of your configuration (see config show)`,
      )
  }
  return wished
}
