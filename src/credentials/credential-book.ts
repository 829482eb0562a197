/**
 * The configured credentials of this gateway: who they are for, where their secrets come from, what sandboxes hold instead.
 *
 * Promises: a secret is read when a permitted request needs it and not before; a problem is logged once, when it begins
 * and when it ends, and never with the value. Where a session brought a value of its own, no other is ever given for it.
 */

import { type DomainPattern, matchesPattern } from '../policy/domain-pattern.ts'
import type { Credential } from './credential-schema.ts'
import { createMintedSource } from './minted-source.ts'
import { makePlaceholder } from './placeholder.ts'
import type { SealedSecrets, SecretSeal } from './sealed-secret.ts'
import { parseSecret, type Secret } from './secret.ts'
import type { SecretSource, SecretWorld } from './secret-source.ts'

export type CredentialHosts = { readonly hosts: readonly DomainPattern[]; readonly unsafeWildcardHosts: boolean }

/** Where a rule may use it: the hosts it is sent to, and the one where its tokens are answered. */
export function ruleHostsOf({ hosts, unsafeWildcardHosts, presentation }: Credential): CredentialHosts {
  const { endpoint } = presentation
  if (endpoint === null) return { hosts, unsafeWildcardHosts }
  const { host } = endpoint.place.authority
  const isAmong = hosts.some((pattern) => matchesPattern(pattern, host))
  const own: DomainPattern = { kind: 'exact', text: host.text, host: host.name }
  return { hosts: isAmong ? hosts : [...hosts, own], unsafeWildcardHosts }
}

export type CredentialHealth = {
  readonly name: string
  readonly kind: string
  readonly available: boolean
  /** For the operator; null when it is available. */
  readonly problem: string | null
}

export type CredentialBookOptions = {
  readonly credentials: readonly Credential[]
  /** 32 bytes that stay the same over restarts and replicas: placeholders are made from it. */
  readonly placeholderKey: Buffer
  /** Opens what sessions brought; null: none of that opens. */
  readonly seal?: SecretSeal | null
  readonly world: SecretWorld
  readonly log: (message: string) => void
}

type Entry = { readonly credential: Credential; readonly source: SecretSource; told: string | null }

export class CredentialBook {
  readonly #entries: ReadonlyMap<string, Entry>
  readonly #placeholderKey: Buffer
  readonly #log: (message: string) => void
  readonly #seal: SecretSeal | null
  readonly #world: SecretWorld
  /** What sessions brought, opened when first needed; it goes when nobody holds the sealed ones any more. */
  readonly #brought = new WeakMap<SealedSecrets, Map<string, Entry>>()

  constructor({ credentials, placeholderKey, seal = null, world, log }: CredentialBookOptions) {
    this.#placeholderKey = placeholderKey
    this.#log = log
    this.#seal = seal
    this.#world = world
    this.#entries = new Map(
      credentials.map((credential) => {
        const source = openSource(credential, credential.secret.open(credential, world), world, log)
        return [credential.name, { credential, source, told: null }]
      }),
    )
  }

  get(name: string): Credential | undefined {
    return this.#entries.get(name)?.credential
  }

  names(): readonly string[] {
    return [...this.#entries.keys()]
  }

  /** For the policy compiler: a rule may only use a credential on these. */
  hosts(): ReadonlyMap<string, CredentialHosts> {
    return new Map([...this.#entries].map(([name, { credential }]) => [name, ruleHostsOf(credential)]))
  }

  /** Slot of the session's policy to the user name that clients write beside its placeholder; most have none. */
  clientIdsFor(slots: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
    const ids = new Map<string, string>()
    for (const [slot, name] of slots) {
      const endpoint = this.get(name)?.presentation.endpoint ?? null
      const clientId = endpoint?.clientId ?? null
      if (clientId !== null) ids.set(slot, clientId)
    }
    return ids
  }

  /** What to put on requests as it is now, the secret or the token made of it; null when there is none to be had. */
  secretOf(name: string, brought: SealedSecrets | null = null): Promise<Secret | null> | Secret | null {
    const entry = this.#entryOf(name, brought)
    if (entry === undefined) return null
    const read = entry.source.read()
    return read instanceof Promise ? read.then((secret) => this.#tell(entry, secret)) : this.#tell(entry, read)
  }

  /** An origin answered 401 to it: what is kept of it is fetched or made anew, once. */
  refused(name: string, brought: SealedSecrets | null = null): void {
    this.#entryOf(name, brought)?.source.refused?.()
  }

  /** What is wrong with a value that a session brings, without the value; null: nothing. */
  judgeValue(name: string, value: string): string | null {
    const credential = this.get(name)
    const parsed = credential === undefined ? 'is for no credential' : parseSecret(value, credential)
    return typeof parsed === 'string' ? parsed : null
  }

  #entryOf(name: string, brought: SealedSecrets | null): Entry | undefined {
    const entry = this.#entries.get(name)
    if (entry === undefined || brought === null || !Object.hasOwn(brought, name)) return entry
    const opened = this.#brought.get(brought) ?? new Map<string, Entry>()
    this.#brought.set(brought, opened)
    const known = opened.get(name)
    if (known !== undefined) return known
    const { credential } = entry
    const text = this.#seal?.open(name, brought[name] ?? '') ?? null
    const secret = text === null ? 'of a session does not open with this key' : parseSecret(text, credential)
    const made = { credential, source: openSource(credential, heldSource(secret), this.#world, this.#log), told: null }
    opened.set(name, made)
    return made
  }

  #tell(entry: Entry, secret: Secret | null): Secret | null {
    const problem = secret === null ? (entry.source.problem() ?? 'is not available') : null
    if (problem !== entry.told) this.#log(`credential ${entry.credential.name}: ${problem ?? 'available again'}`)
    entry.told = problem
    return secret
  }

  /** Slot of the session's policy to what its sandbox holds there; slots that nothing fills have none. */
  placeholdersFor(sessionId: string, slots: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
    const placeholders = new Map<string, string>()
    for (const [slot, name] of slots) {
      const placeholder = this.#placeholder(sessionId, name)
      if (placeholder !== null) placeholders.set(slot, placeholder)
    }
    return placeholders
  }

  /** Variables of the sandbox that hold placeholders. `names`: the credentials the session has; of two for one variable the first. */
  environmentFor(sessionId: string, names: Iterable<string> = this.#entries.keys()): ReadonlyMap<string, string> {
    const environment = new Map<string, string>()
    for (const name of names) {
      const variable = this.get(name)?.placeholder?.env
      const placeholder = this.#placeholder(sessionId, name)
      if (variable !== undefined && placeholder !== null && !environment.has(variable))
        environment.set(variable, placeholder)
    }
    return environment
  }

  /** Reads every secret once. */
  async health(): Promise<readonly CredentialHealth[]> {
    const health: CredentialHealth[] = []
    for (const [name, { credential, source }] of this.#entries) {
      const available = (await this.secretOf(name)) !== null
      health.push({ name, kind: credential.kind, available, problem: available ? null : source.problem() })
    }
    return health
  }

  close(): void {
    for (const { source } of this.#entries.values()) source.close()
  }

  #placeholder(sessionId: string, name: string): string | null {
    const shape = this.get(name)?.placeholder?.shape
    return shape === undefined ? null : makePlaceholder(shape, this.#placeholderKey, sessionId, name)
  }
}

/** A value that is at hand, or why there is none. */
function heldSource(secret: Secret | string): SecretSource {
  return {
    read: () => (typeof secret === 'string' ? null : secret),
    problem: () => (typeof secret === 'string' ? secret : null),
    close: () => undefined,
  }
}

function openSource(
  credential: Credential,
  source: SecretSource,
  world: SecretWorld,
  log: CredentialBookOptions['log'],
): SecretSource {
  const { mint } = credential.presentation
  if (mint === null) return source
  const { network, now } = world
  if (network === undefined) return createMintedSource(source, () => Promise.resolve('cannot be asked for here'), now)
  const note = (message: string): void => log(`credential ${credential.name}: ${message}`)
  // The secret's own shape is no matter of the token's, which is a line as any other that goes on requests.
  const rules = { unsafeShortSecret: credential.unsafeShortSecret }
  return createMintedSource(source, mint({ ...network, rules, note }), now)
}
