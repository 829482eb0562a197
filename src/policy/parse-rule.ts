/**
 * One rule: from what the file says to values. Pure.
 *
 * Promises: every text of the rule becomes a value here or an issue with its fix; defaults are filled in here and
 * nowhere else. Values of a wrong type are the schema's complaint and are passed over.
 */

import { type Cidr, parseCidr, parseIp } from '../net/ip.ts'
import { knownMethods } from '../net/request-head.ts'
import { isNeverBlock } from './address-class.ts'
import { type DomainPattern, parseDomainPattern } from './domain-pattern.ts'
import type { IssueList } from './issue.ts'
import { parseBody, parseHeaders, parseSet } from './parse-conditions.ts'
import { parsePathPattern, type PathPattern } from './path-pattern.ts'
import type { ForeignCredentials, Rule, TlsChoice } from './policy.ts'
import { sharedSuffixAt } from './public-suffix.ts'

const methodNames: ReadonlySet<string> = new Set(knownMethods)

// Shared by all rules that say nothing about ports.
const webPorts: ReadonlySet<number> = new Set([80, 443])
const tlsPort: ReadonlySet<number> = new Set([443])
const neverMatching: DomainPattern = { kind: 'exact', text: '', host: '' }

/** True, false or null to some readers of YAML, text to others (POL-19). */
const yamlWords = /^(?:y|n|yes|no|on|off|true|false|null)$/i

export type RawRule = Readonly<Record<string, unknown>>
type Path = readonly (string | number)[]

export function parseRule(raw: RawRule, id: string, path: Path, issues: IssueList): Rule {
  const action = raw['action'] === 'deny' || raw['action'] === 'set' ? raw['action'] : 'allow'
  const credential = typeof raw['credential'] === 'string' ? raw['credential'] : null
  const rule: Rule = {
    id,
    action,
    host: parseHostPattern(raw, action, path, issues),
    ports: parsePorts(raw['ports'], action, credential),
    methods: parseMethods(raw['methods'], path, issues),
    paths: parsePaths(raw['paths'], path, issues),
    query: parseQuery(raw['query'], path, issues),
    headers: parseHeaders(raw['headers'], path, issues),
    body: parseBody(raw['body'], path, issues),
    set: parseSet(raw['set'], path, issues),
    unsafeUncheckedBody: raw['unsafeUncheckedBody'] === true,
    addresses: parseAddresses(raw['addresses'], path, issues),
    tls: parseTls(raw['tls']),
    credential,
    foreignCredentials: parseForeign(raw['foreignCredentials']),
    ranges: raw['ranges'] === true,
    cookies: raw['cookies'] === 'jar' ? 'jar' : 'strip',
  }
  checkTogether(raw, rule, path, issues)
  return rule
}

function parseHostPattern(raw: RawRule, action: Rule['action'], path: Path, issues: IssueList): DomainPattern {
  const written = raw['host']
  const at = [...path, 'host']
  if (typeof written !== 'string' || written === '') return neverMatching
  const pattern = parseDomainPattern(written)
  if (typeof pattern === 'string') {
    issues.add(at, `"${written.slice(0, 300)}" ${pattern}`, hostFix(written))
    return neverMatching
  }
  if (yamlWords.test(written))
    issues.add(at, `"${written}" is a word that YAML readers disagree on`, 'write the full name of the host')
  // What another rule than an allow spans narrows; only what is allowed must not span strangers.
  if (action !== 'allow') return pattern
  if (pattern.kind === 'any' && raw['unsafeAnyHost'] !== true)
    issues.add(at, '"*" allows every host there is', 'name the hosts, or add "unsafeAnyHost: true" to the rule')
  if (pattern.kind !== 'any' && raw['unsafeAnyHost'] === true)
    issues.add([...path, 'unsafeAnyHost'], 'means something beside host "*" only', 'drop the line')
  if (pattern.kind === 'below' || pattern.kind === 'label') {
    const shared = sharedSuffixAt(pattern.base)
    if (shared !== null)
      issues.add(at, `"${written}" spans a public suffix: ${shared}`, 'name the domain you mean, one owner only')
  }
  return pattern
}

function hostFix(written: string): string {
  const scheme = /^[a-z]+:\/\/([^/:]+)/i.exec(written)
  if (scheme !== null) return `write the host alone: "${scheme[1]}"`
  if (parseIp(written) !== null && written.includes(':'))
    return `write it in brackets, "[${written}]"; if it ends in a port, that belongs under "ports"`
  const ported = /^(.+):([0-9]{1,5})$/.exec(written)
  if (ported !== null && !ported[1]?.includes(':')) return `write host: "${ported[1]}" and ports: [${ported[2]}]`
  if (written.includes(':')) return 'write an address in brackets, like "[2001:db8::1]", and ports under "ports"'
  if (written.includes('/')) return 'write the host alone; what follows it belongs under "paths"'
  if (written.includes('*')) return 'write "*.example.org", "**.example.org" or "api-*.example.org"'
  return 'write a name like "example.org", or an address in its plain spelling'
}

function parsePorts(raw: unknown, action: Rule['action'], credential: string | null): ReadonlySet<number> | null {
  if (Array.isArray(raw)) return new Set(raw.filter((port) => typeof port === 'number'))
  if (action !== 'allow') return null
  return credential === null ? webPorts : tlsPort
}

function parseMethods(raw: unknown, path: Path, issues: IssueList): ReadonlySet<string> | null {
  if (!Array.isArray(raw)) return null
  const methods = texts(raw)
  for (const [index, method] of methods) {
    if (methodNames.has(method)) continue
    const upper = method.trim().toUpperCase()
    const fix = methodNames.has(upper) ? `write "${upper}"` : `write one of ${knownMethods.join(', ')}`
    issues.add([...path, 'methods', index], `"${method}" is not a method of this proxy`, fix)
  }
  return new Set(methods.map(([, method]) => method))
}

function parsePaths(raw: unknown, path: Path, issues: IssueList): readonly PathPattern[] | null {
  if (!Array.isArray(raw)) return null
  const patterns: PathPattern[] = []
  for (const [index, text] of texts(raw)) {
    const pattern = parsePathPattern(text)
    if (typeof pattern === 'string') {
      issues.add([...path, 'paths', index], `"${text}" ${pattern}`, pathFix(text))
    } else patterns.push(pattern)
  }
  return patterns
}

function pathFix(text: string): string {
  const question = text.indexOf('?')
  if (question >= 0) return `write "${text.slice(0, question)}" here and the parameters under "query: { name: value }"`
  return text.startsWith('/') ? 'write the path as it is sent, like "/v1/messages" or "/files/**"' : `write "/${text}"`
}

/** Compared with the query as it is sent, so both must be spelled as they are sent. */
function parseQuery(raw: unknown, path: Path, issues: IssueList): ReadonlyMap<string, string> | null {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return null
  const query = new Map<string, string>()
  for (const [name, value] of Object.entries(raw)) {
    if (typeof value !== 'string') continue
    if (!/^[A-Za-z0-9._~-]+$/.test(name))
      issues.add(
        [...path, 'query', name],
        `"${name}" is not a plain parameter name`,
        'use letters, digits and . _ ~ - only',
      )
    if (!/^[!$%'-*,-:<-~]*$/.test(value))
      issues.add(
        [...path, 'query', name],
        `"${value}" cannot stand in a query as it is`,
        'write it percent-encoded, as it is sent',
      )
    query.set(name, value)
  }
  return query
}

function parseAddresses(raw: unknown, path: Path, issues: IssueList): readonly Cidr[] | null {
  if (!Array.isArray(raw)) return null
  const blocks: Cidr[] = []
  for (const [index, text] of texts(raw)) {
    const at = [...path, 'addresses', index]
    const block = parseCidr(text)
    if (block === null) issues.add(at, `"${text}" is not a CIDR block`, addressFix(text))
    else if (isNeverBlock(block))
      issues.add(
        at,
        `"${text}" is metadata, link-local, multicast or unspecified space, which no policy opens`,
        'remove it',
      )
    else blocks.push(block)
  }
  return blocks
}

function addressFix(text: string): string {
  const ip = parseIp(text)
  if (ip !== null) return `for this one address write "${ip.text}/${ip.bits}"`
  const match = /^(.*)\/([0-9]{1,3})$/.exec(text)
  const base = parseIp(match?.[1] ?? '')
  const length = Number(match?.[2])
  if (base === null || length > base.bits) return 'write it like "10.2.0.0/16" or "fd00:1::/32"'
  return `it has bits beyond its prefix; for the one address write "${base.text}/${base.bits}"`
}

function parseTls(raw: unknown): TlsChoice {
  return raw === 'intercept' || raw === 'tunnel' ? raw : 'auto'
}

function parseForeign(raw: unknown): ForeignCredentials | null {
  return raw === 'allow' || raw === 'deny' || raw === 'strip' ? raw : null
}

function checkTogether(raw: RawRule, rule: Rule, path: Path, issues: IssueList): void {
  if (rule.action !== 'allow') {
    const says = rule.action === 'deny' ? 'a deny rule allows nothing' : 'a set rule allows nothing'
    for (const key of [
      'addresses',
      'cookies',
      'credential',
      'foreignCredentials',
      'ranges',
      'tls',
      'unsafeAnyHost',
      'unsafeUncheckedBody',
    ]) {
      if (raw[key] !== undefined) issues.add([...path, key], `${says}, so it cannot say how`, 'drop the line')
    }
  }
  if (rule.action === 'allow' && rule.ranges && rule.credential === null)
    issues.add([...path, 'ranges'], 'means something beside a credential only', 'drop the line: ranges pass anyway')
  if (rule.action === 'allow' && raw['cookies'] !== undefined && rule.credential === null)
    issues.add(
      [...path, 'cookies'],
      'means something beside a credential only',
      'drop the line; without a credential "foreignCredentials" says whether cookies pass',
    )
  if (rule.action === 'deny' && raw['set'] !== undefined)
    issues.add([...path, 'set'], 'a deny rule allows nothing, so it cannot say how', 'drop the line')
  if (rule.action === 'set' && raw['set'] === undefined)
    issues.add(path, 'sets nothing', 'add "set: { X-Name: value }"')
  if (rule.action === 'set' && raw['body'] !== undefined)
    issues.add([...path, 'body'], 'a set rule does not look at bodies', 'drop the line')
  if (rule.tls !== 'tunnel') return
  for (const key of ['methods', 'paths', 'query', 'headers', 'body', 'set', 'credential', 'foreignCredentials']) {
    if (raw[key] === undefined || raw[key] === 'allow') continue
    issues.add(
      [...path, key],
      `"tls: tunnel" shows host and port only, so "${key}" could never be kept`,
      `drop "${key}", or write "tls: intercept"`,
    )
  }
}

function texts(raw: readonly unknown[]): [number, string][] {
  return [...raw.entries()].flatMap(([index, value]): [number, string][] =>
    typeof value === 'string' ? [[index, value]] : [],
  )
}
