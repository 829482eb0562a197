/**
 * Policy: what one session may reach, compiled and frozen. Pure.
 *
 * Promises: finding the rules of a host costs the same with ten rules and with a hundred thousand; an exchange sees one
 * policy from its first question to its last.
 */

import type { Cidr } from '../net/ip.ts'
import type { Host } from '../net/host.ts'
import type { BodyCondition } from './body-pattern.ts'
import { DomainIndex, type DomainPattern } from './domain-pattern.ts'
import type { PathPattern } from './path-pattern.ts'
import type { ValuePattern } from './value-pattern.ts'

export type Mode = 'audit' | 'enforce'
export type ForeignCredentials = 'allow' | 'deny' | 'strip'
export type CookieChoice = 'jar' | 'strip'
export type TlsChoice = 'auto' | 'intercept' | 'tunnel'

/** A condition on a header field: the name in lower case, and what its value may be. */
export type HeaderCondition = { readonly name: string; readonly values: readonly ValuePattern[] }

/** One rule as the policy file has it, every text already a value. Null means the file says nothing about it. */
export type Rule = {
  /** `policy#n`, the policy it was written in and its place there from 1: what records and explanations name. */
  readonly id: string
  /** `set` neither allows nor denies: it says what requests that others allow go out with. */
  readonly action: 'allow' | 'deny' | 'set'
  readonly host: DomainPattern
  /** Null: all ports (deny and set rules only; allow rules carry their default). */
  readonly ports: ReadonlySet<number> | null
  readonly methods: ReadonlySet<string> | null
  readonly paths: readonly PathPattern[] | null
  readonly query: ReadonlyMap<string, string> | null
  readonly headers: readonly HeaderCondition[] | null
  /** All must hold, of a body that is JSON. */
  readonly body: readonly BodyCondition[] | null
  /** Header fields of our own on what goes out, by their names as written; null: none of that name goes out. */
  readonly set: ReadonlyMap<string, string | null> | null
  /** Bodies are not looked through for credentials. */
  readonly unsafeUncheckedBody: boolean
  readonly addresses: readonly Cidr[] | null
  readonly tls: TlsChoice
  readonly credential: string | null
  readonly foreignCredentials: ForeignCredentials | null
  /** Whether answers may come in parts, though what is put on the request is then looked for in each part alone. */
  readonly ranges: boolean
  /** `jar`: cookies that the origin set in this session, for this credential, go back to it; all others stay behind. */
  readonly cookies: CookieChoice
}

/** What a session may spend on any one host; null: as much as on all of them together. */
export type HostLimits = {
  readonly uploadBytes: number | null
  readonly downloadBytes: number | null
  readonly requestsPerMinute: number | null
}

/** Section 7 of the product page; null: the default of the gateway. Bytes, milliseconds, counts. */
export type Limits = {
  readonly uploadBytes: number | null
  readonly downloadBytes: number | null
  readonly requestsPerMinute: number | null
  readonly concurrentConnections: number | null
  readonly distinctHosts: number | null
  readonly idleTimeoutMs: number | null
  readonly tunnelDurationMs: number | null
  readonly perHost: HostLimits
}

/** The rules of one host, whatever the port. */
export type HostRules = {
  readonly rules: readonly Rule[]
  /** A credential on any rule of the host pins the whole host to one account. */
  readonly pinned: boolean
}

/** Hosts a policy remembers the rules of. Beyond it the oldest is forgotten and looked up again. */
const rememberedHostsMax = 1024

export class Policy {
  readonly name: string
  /** Counts up when the content changes; 1 for the first. */
  readonly version: number
  readonly mode: Mode
  readonly rules: readonly Rule[]
  readonly limits: Limits
  /** Names and versions in metrics come from files; a policy given inline is `inline` there (decision 46). */
  readonly label: string
  readonly #index = new DomainIndex<Rule>()
  readonly #remembered = new Map<string, HostRules>()

  constructor(content: Pick<Policy, 'name' | 'version' | 'mode' | 'rules' | 'limits' | 'label'>) {
    this.name = content.name
    this.version = content.version
    this.mode = content.mode
    this.rules = Object.freeze([...content.rules])
    this.limits = content.limits
    this.label = content.label
    for (const rule of this.rules) this.#index.add(rule.host, rule)
  }

  rulesFor(host: Host): HostRules {
    const known = this.#remembered.get(host.name)
    if (known !== undefined) return known
    const rules = this.#index.lookup(host)
    const found: HostRules = {
      rules,
      pinned: rules.some((rule) => rule.action === 'allow' && rule.credential !== null),
    }
    if (this.#remembered.size >= rememberedHostsMax) {
      const oldest = this.#remembered.keys().next()
      if (oldest.done !== true) this.#remembered.delete(oldest.value)
    }
    this.#remembered.set(host.name, found)
    return found
  }
}

export function coversPort(rule: Rule, port: number): boolean {
  return rule.ports === null || rule.ports.has(port)
}

/** Whether the rule asks about more than host and port, which a tunnel does not show. */
export function looksInside(rule: Rule): boolean {
  return (
    rule.methods !== null ||
    rule.paths !== null ||
    rule.query !== null ||
    rule.headers !== null ||
    rule.body !== null ||
    rule.set !== null ||
    rule.credential !== null ||
    (rule.foreignCredentials !== null && rule.foreignCredentials !== 'allow')
  )
}

/** What decisions are made from: the compiled policy, the mode in force and the session's own placeholders. */
export type Grant = {
  readonly policy: Policy
  readonly mode: Mode
  /** Credential name to the worthless value this session's sandbox holds in its place. */
  readonly placeholders: ReadonlyMap<string, string>
  /** Credential name to the user name that may stand beside its placeholder in Basic: an OAuth client's id. */
  readonly clientIds?: ReadonlyMap<string, string>
}
