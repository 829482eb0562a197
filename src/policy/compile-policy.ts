/**
 * From sources to a policy: `extends` expanded, limits joined, rules checked against each other and the credentials. Pure.
 *
 * Promises: a policy that comes out has every rule of every policy it names and no contradiction that could be proven;
 * `mode` is its own, never one of theirs.
 */

import { checkRules, type CredentialHosts, type PlacedRule } from './check-rules.ts'
import type { Issue, Place } from './issue.ts'
import { smallestLimits } from './parse-limits.ts'
import type { PolicySource } from './parse-policy.ts'
import { Policy } from './policy.ts'
import { nearest } from './schema-issues.ts'

export type { CredentialHosts } from './check-rules.ts'

/** What a policy is compiled against. */
export type Surroundings = {
  readonly sources: ReadonlyMap<string, PolicySource>
  readonly credentials: ReadonlyMap<string, CredentialHosts>
  /** Names of the shipped policies. */
  readonly presets: ReadonlySet<string>
}

/** A policy's content before it has a version. `joined` are the names of all policies it extends, near and far. */
export type Expanded = Pick<Policy, 'limits' | 'mode' | 'name' | 'rules'> & { readonly joined: readonly string[] }

export function compilePolicy(
  source: PolicySource,
  around: Surroundings & { readonly version: number; readonly label: string },
): Policy | Issue[] {
  const expanded = expandPolicy(source, around)
  return Array.isArray(expanded) ? expanded : new Policy({ ...expanded, version: around.version, label: around.label })
}

export function expandPolicy(source: PolicySource, around: Surroundings): Expanded | Issue[] {
  const joined = new Set<PolicySource>()
  const issues = join(source, around.sources, [], joined)
  const placed: PlacedRule[] = []
  for (const one of joined) {
    const isPreset = around.presets.has(one.name) && around.sources.get(one.name) === one
    for (const [index, rule] of one.rules.entries()) {
      const places = one.rulePlaces[index] ?? { rule: one.place, credential: null, tls: null }
      placed.push({ rule, places, isPreset })
    }
  }
  for (const found of checkRules(placed, around.credentials)) issues.push(found)
  if (issues.length > 0) return issues
  const others = [...joined].filter((one) => one !== source)
  return {
    name: source.name,
    mode: source.mode,
    rules: placed.map(({ rule }) => rule),
    limits: others.reduce((limits, one) => smallestLimits(limits, one.limits), source.limits),
    joined: others.map(({ name }) => name),
  }
}

/** Adds the source and all it extends, each once; `above` are those being added, so one of them again is a cycle. */
function join(
  source: PolicySource,
  sources: ReadonlyMap<string, PolicySource>,
  above: readonly PolicySource[],
  joined: Set<PolicySource>,
): Issue[] {
  const issues: Issue[] = []
  joined.add(source)
  const path = [...above, source]
  for (const [index, name] of source.extends.entries()) {
    const place = source.extendsPlaces[index] ?? source.place
    const other = sources.get(name)
    if (other === undefined) {
      const meant = nearest(name, [...sources.keys()])
      const fix = meant === null ? `there are: ${[...sources.keys()].join(', ')}` : `did you mean "${meant}"?`
      issues.push(issue(place, index, `there is no policy "${name}"`, fix))
    } else if (path.includes(other)) {
      const circle = [...path.slice(path.indexOf(other)), other].map((one) => one.name).join(' → ')
      issues.push(issue(place, index, `policies extend each other in a circle: ${circle}`, 'take one of them out'))
    } else if (!joined.has(other)) {
      issues.push(...join(other, sources, path, joined))
    }
  }
  return issues
}

function issue(place: Place, index: number, message: string, fix: string): Issue {
  return { ...place, path: `extends[${index}]`, message, fix }
}
