/**
 * All policies of the gateway by name. Pure: what is read from files is handed in.
 *
 * Promises: a set of sources is taken as a whole or not at all; a policy that did not change stays the very same value;
 * versions of a name only ever count up.
 */

import { createHash } from 'node:crypto'
import type { Cidr } from '../net/ip.ts'
import { type CredentialHosts, type Expanded, expandPolicy, type Surroundings } from './compile-policy.ts'
import { type Issue, parsePolicy, type PlaceOf, type PolicySource } from './parse-policy.ts'
import { type Mode, Policy, type Rule } from './policy.ts'

/** What a policy makes use of, all of `extends` included: compared with the ceiling of whoever wants to use it. */
export type PolicyUses = {
  readonly extends: readonly string[]
  readonly credentials: readonly string[]
  readonly addresses: readonly Cidr[]
  readonly mode: Mode
}

/** Names of policies that are new, changed or gone. */
export type ChangeListener = (names: readonly string[]) => void

/** By name: the last version that there was, and of what. */
export type PolicyVersions = ReadonlyMap<string, { readonly version: number; readonly fingerprint: string }>

type Kept = { readonly policy: Policy; readonly fingerprint: string; readonly source: PolicySource }

const noPlace: PlaceOf = () => ({ file: 'inline', line: 0, column: 0 })

export class PolicyBook {
  readonly #presets: readonly PolicySource[]
  readonly #credentials: ReadonlyMap<string, CredentialHosts>
  #around: Surroundings
  #kept: ReadonlyMap<string, Kept> = new Map()
  /** Outlives the policies: a name that comes back does not count from 1 again. */
  readonly #versions: Map<string, { readonly version: number; readonly fingerprint: string }>
  readonly #joined = new WeakMap<Policy, readonly string[]>()
  readonly #listeners = new Set<ChangeListener>()

  /** Empty, and so allowing nothing, until the first `replace`. */
  constructor(parts: {
    readonly presets: readonly PolicySource[]
    readonly credentials: ReadonlyMap<string, CredentialHosts>
    /** From before this process; absent: there was none. */
    readonly versions?: PolicyVersions
  }) {
    this.#versions = new Map(parts.versions)
    this.#presets = parts.presets
    this.#credentials = parts.credentials
    this.#around = { sources: new Map(), credentials: parts.credentials, presets: new Set() }
  }

  get(name: string): Policy | null {
    return this.#kept.get(name)?.policy ?? null
  }

  /** By name, in order. */
  list(): Policy[] {
    return [...this.#kept.values()].map(({ policy }) => policy).sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  versions(): PolicyVersions {
    return new Map(this.#versions)
  }

  /** As it was written: description and tests. */
  sourceOf(name: string): PolicySource | null {
    return this.#kept.get(name)?.source ?? null
  }

  /**
   * Takes these beside the shipped ones, in place of all before. Any issue, and nothing changes. A name `inUse` that is
   * no longer there is an issue too: sessions do not lose their policy by a deleted file (decision 19).
   */
  replace(sources: readonly PolicySource[], inUse: ReadonlySet<string> = new Set()): Issue[] {
    const { around, expanded, issues } = this.#expand(sources, inUse)
    if (issues.length === 0) this.#take(around, expanded)
    return issues
  }

  /** What `replace` would find. */
  check(sources: readonly PolicySource[], inUse: ReadonlySet<string> = new Set()): Issue[] {
    return this.#expand(sources, inUse).issues
  }

  #expand(
    sources: readonly PolicySource[],
    inUse: ReadonlySet<string>,
  ): { readonly around: Surroundings; readonly expanded: ReadonlyMap<string, Expanded>; readonly issues: Issue[] } {
    const { all, issues } = this.#named(sources)
    for (const name of inUse) {
      if (!all.has(name) && this.#kept.has(name))
        issues.push({ ...(this.#kept.get(name)?.source.place ?? noPlace([])), path: '', ...goneButUsed(name) })
    }
    const around = {
      sources: all,
      credentials: this.#credentials,
      presets: new Set(this.#presets.map(({ name }) => name)),
    }
    const expanded = new Map<string, Expanded>()
    for (const [name, source] of all) {
      const found = expandPolicy(source, around)
      if (Array.isArray(found)) issues.push(...found)
      else expanded.set(name, found)
    }
    return { around, expanded, issues: unique(issues) }
  }

  /** A policy given with a session: labelled `inline`, never listed. It may extend the named ones. */
  compileInline(raw: unknown): Policy | Issue[] {
    const source = parsePolicy(raw, noPlace, { name: 'inline' })
    if (Array.isArray(source)) return source
    const expanded = expandPolicy(source, this.#around)
    if (Array.isArray(expanded)) return expanded
    const policy = new Policy({ ...expanded, version: 1, label: 'inline' })
    this.#joined.set(policy, expanded.joined)
    return policy
  }

  usesOf(policy: Policy): PolicyUses {
    const addresses = new Map<string, Cidr>()
    const credentials = new Set<string>()
    for (const rule of policy.rules) {
      if (rule.credential !== null) credentials.add(rule.credential)
      for (const block of rule.addresses ?? []) addresses.set(block.text, block)
    }
    return {
      extends: this.extendsOf(policy),
      credentials: [...credentials],
      addresses: [...addresses.values()],
      mode: policy.mode,
    }
  }

  /** Names of all policies it extends, near and far. */
  extendsOf(policy: Policy): readonly string[] {
    return this.#joined.get(policy) ?? []
  }

  /** The listener is called after each change; the result takes it away again. */
  onChange(listener: ChangeListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #named(sources: readonly PolicySource[]): { all: Map<string, PolicySource>; issues: Issue[] } {
    const all = new Map(this.#presets.map((source) => [source.name, source]))
    const issues: Issue[] = []
    for (const source of sources) {
      const other = all.get(source.name)
      if (other === undefined) all.set(source.name, source)
      else if (other !== source) issues.push({ ...source.place, path: 'name', ...nameTaken(source.name, other) })
    }
    return { all, issues }
  }

  #last(name: string): number {
    return this.#versions.get(name)?.version ?? 0
  }

  #take(around: Surroundings, expanded: ReadonlyMap<string, Expanded>): void {
    const next = new Map<string, Kept>()
    const changed: string[] = []
    for (const [name, content] of expanded) {
      const source = around.sources.get(name)
      if (source === undefined) continue
      const fingerprint = fingerprintOf(content)
      const before = this.#kept.get(name)
      if (before?.fingerprint === fingerprint) {
        next.set(name, { ...before, source })
        continue
      }
      const isAsLast = this.#versions.get(name)?.fingerprint === fingerprint
      const version = isAsLast ? this.#last(name) : this.#last(name) + 1
      const policy = new Policy({ ...content, version, label: name })
      this.#versions.set(name, { version, fingerprint })
      this.#joined.set(policy, content.joined)
      next.set(name, { policy, fingerprint, source })
      changed.push(name)
    }
    for (const name of this.#kept.keys()) if (!next.has(name)) changed.push(name)
    // One that comes back is another one, though it says the same.
    for (const name of changed)
      if (!next.has(name)) this.#versions.set(name, { version: this.#last(name), fingerprint: '' })
    this.#around = around
    this.#kept = next
    if (changed.length > 0) for (const listener of this.#listeners) listener(changed)
  }
}

function goneButUsed(name: string): { message: string; fix: string } {
  return { message: `"${name}" is gone, but sessions use it`, fix: 'put it back, or end the sessions first' }
}

function nameTaken(name: string, other: PolicySource): { message: string; fix: string } {
  return {
    message: `the name "${name}" is taken by ${other.place.file}`,
    fix: 'choose another name, and extend that one',
  }
}

/** The same mistake shows in every policy that extends the one it is in. */
function unique(issues: readonly Issue[]): Issue[] {
  return [...new Map(issues.map((one) => [JSON.stringify(one), one])).values()]
}

/** Everything a decision or a record depends on, the names of the rules included. */
function fingerprintOf(content: Expanded): string {
  const hash = createHash('sha256')
  hash.update(JSON.stringify([content.name, content.mode, content.limits, content.joined]))
  for (const rule of content.rules) hash.update(ruleText(rule))
  return hash.digest('base64')
}

/** A part of a rule that is missing here does not compile: its change would go unnoticed. */
function ruleText(rule: Rule): string {
  const parts: Record<keyof Rule, unknown> = {
    id: rule.id,
    action: rule.action,
    host: rule.host.text,
    ports: rule.ports && [...rule.ports],
    methods: rule.methods && [...rule.methods],
    paths: rule.paths?.map(({ text }) => text),
    query: rule.query && [...rule.query],
    headers: rule.headers?.map(({ name, values }) => [name, values.map(({ text }) => text)]),
    body: rule.body?.map(({ text, values }) => [text, values.map((value) => value.text)]),
    set: rule.set && [...rule.set],
    unsafeUncheckedBody: rule.unsafeUncheckedBody,
    addresses: rule.addresses?.map(({ text }) => text),
    tls: rule.tls,
    credential: rule.credential,
    foreignCredentials: rule.foreignCredentials,
    ranges: rule.ranges,
    cookies: rule.cookies,
  }
  return JSON.stringify(parts)
}
