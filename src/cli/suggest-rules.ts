/**
 * The rules that would have allowed what a run was denied. Pure.
 *
 * Promises: each of them loads; each is as narrow as what was seen: this host, this port, these methods, these paths; for
 * what no rule should allow (explicit denies, addresses, framing) there is none.
 */

import { parsePolicy } from '../policy/parse-policy.ts'
import { meansOnlyItself } from '../policy/path-pattern.ts'
import type { Group } from './run-tally.ts'

export type SuggestedRule = {
  readonly host: string
  readonly ports?: readonly number[]
  readonly methods: readonly string[]
  readonly paths?: readonly string[]
}

export type Suggestions = {
  readonly rules: readonly SuggestedRule[]
  /** Denied, but no rule of these would help. */
  readonly without: readonly Group[]
}

/** Denials that say "no rule allows it", and no more. */
const ruleHelps: ReadonlySet<string> = new Set([
  'host_not_allowed',
  'method_not_allowed',
  'path_not_allowed',
  'port_not_allowed',
])
/** As many as a rule may have. */
const pathsMax = 1000
/** More on a terminal is not reviewed by anybody. */
const pathsShown = 20
/** What one reads with. */
const reading = ['GET', 'HEAD'] as const

type Wish = {
  readonly host: string
  readonly port: number | null
  readonly methods: Set<string>
  readonly paths: Set<string> | null
}

export function suggestRules(denied: readonly Group[]): Suggestions {
  const wishes = new Map<string, Wish>()
  const without: Group[] = []
  for (const group of denied) {
    if (group.reason === null || !ruleHelps.has(group.reason) || rulesOf(wishOf(group)).length === 0) {
      without.push(group)
      continue
    }
    const wish = wishOf(group)
    const key = JSON.stringify([wish.host, wish.port, wish.paths === null ? null : [...wish.methods]])
    const before = wishes.get(key)
    if (before === undefined) wishes.set(key, wish)
    else {
      for (const method of wish.methods) before.methods.add(method)
      for (const path of wish.paths ?? []) before.paths?.add(path)
    }
  }
  return { rules: [...wishes.values()].flatMap(rulesOf), without }
}

/** As lines to paste under `rules:` of a policy file. */
export function rulesYaml(rules: readonly SuggestedRule[]): string {
  return rules
    .map(({ host, ports, methods, paths }) => {
      const lines = [
        `  - host: ${JSON.stringify(host)}`,
        ...(ports === undefined ? [] : [`    ports: [${ports.join(', ')}]`]),
        `    methods: [${methods.join(', ')}]`,
        ...pathLines(paths ?? []),
      ]
      return `${lines.join('\n')}\n`
    })
    .join('')
}

function pathLines(paths: readonly string[]): string[] {
  if (paths.length === 0) return []
  const more = paths.length - pathsShown
  const listed = paths.slice(0, pathsShown).map((path) => `      - ${JSON.stringify(path)}`)
  return ['    paths:', ...listed, ...(more > 0 ? [`      # and ${more} more; --report has them all`] : [])]
}

function wishOf({ host, port, method, path, reason }: Group): Wish {
  const isUsualPort = port === null || port === 80 || port === 443
  const isOfPath = reason === 'method_not_allowed' || reason === 'path_not_allowed'
  const isReading = method === null || method === 'GET' || method === 'HEAD'
  return {
    host,
    port: isUsualPort ? null : port,
    methods: new Set(isReading ? reading : [method]),
    paths: isOfPath && path !== null ? new Set([path]) : null,
  }
}

/** A path that no pattern can say is left out: the rule is then for the host. Nothing loads: there is no rule. */
function rulesOf({ host, port, methods, paths }: Wish): SuggestedRule[] {
  const rule = { host, ...(port === null ? {} : { ports: [port] }), methods: [...methods] }
  if (paths === null) return loads(rule) ? [rule] : []
  const good = [...paths]
    .filter((path) => meansOnlyItself(path) && loads({ ...rule, paths: [path] }))
    .slice(0, pathsMax)
  return good.length === 0 ? [] : [{ ...rule, paths: good }]
}

function loads(rule: SuggestedRule): boolean {
  return !Array.isArray(parsePolicy({ rules: [rule] }, () => ({ file: '', line: 0, column: 0 }), { name: 'inline' }))
}
