/**
 * Defaults < file < environment < flags, joined into one configuration, each value with who said it. Pure.
 *
 * Promises: groups are joined key by key, a list replaces a list as a whole; nothing is dropped, so that what is wrong
 * is still there to be complained of.
 */

import type { PlaceOf } from '../policy/issue.ts'
import { isRecord } from '../policy/schema-issues.ts'
import type { Override } from './overrides.ts'

type Group = Readonly<Record<string, unknown>>
export type Origin = 'default' | 'env' | 'file' | 'flag'

export type ConfigLayers = {
  readonly defaults: Group
  readonly file: Group
  /** The later one wins. */
  readonly overrides: readonly Override[]
}

export type JoinedConfig = {
  readonly effective: Group
  /** By the path of the setting, as `control.address`. */
  readonly origins: ReadonlyMap<string, Origin>
  /** `at` of the file, except for what was said elsewhere: that is in the variable or flag. */
  readonly at: PlaceOf
}

export function joinLayers({ defaults, file, overrides }: ConfigLayers, at: PlaceOf): JoinedConfig {
  const sources = new Map(overrides.map(({ path, source }) => [path, source]))
  const saidOutside = overrides.reduce<Group>((group, { path, value }) => join(group, nest(path.split('.'), value)), {})
  const effective = join(join(defaults, file), saidOutside)
  const origins = new Map<string, Origin>()
  for (const path of leaves(effective)) origins.set(path, valueAt(file, path) === undefined ? 'default' : 'file')
  for (const { path, origin } of overrides) origins.set(path, origin)
  return {
    effective,
    origins,
    at: (path) => {
      for (let length = path.length; length > 0; length--) {
        const source = sources.get(path.slice(0, length).join('.'))
        if (source !== undefined) return { file: source, line: 0, column: 0 }
      }
      return at(path)
    },
  }
}

/** Every setting that is no group of others, with its value. */
export function settingsOf(effective: Group): (readonly [path: string, value: unknown])[] {
  return leaves(effective).map((path) => [path, valueAt(effective, path)])
}

function join(below: unknown, above: unknown): Group {
  const [lower, upper] = [isRecord(below) ? below : {}, isRecord(above) ? above : {}]
  const keys = new Set([...Object.keys(lower), ...Object.keys(upper)])
  // Object.fromEntries defines keys where an assignment of `__proto__` would vanish.
  return Object.fromEntries(
    [...keys].map((key) => {
      const [under, over] = [ownValue(lower, key), ownValue(upper, key)]
      if (over === undefined) return [key, under]
      return [key, isRecord(under) && isRecord(over) ? join(under, over) : over]
    }),
  )
}

function nest([first = '', ...rest]: readonly string[], value: unknown): Group {
  return { [first]: rest.length === 0 ? value : nest(rest, value) }
}

function leaves(group: Group, prefix = ''): string[] {
  return Object.entries(group).flatMap(([key, value]) =>
    isRecord(value) && Object.keys(value).length > 0 ? leaves(value, `${prefix}${key}.`) : [`${prefix}${key}`],
  )
}

function valueAt(group: Group, path: string): unknown {
  // Names of hosts hold dots: what is left of a path is tried as one key, too.
  const [first = '', ...rest] = path.split('.')
  if (Object.hasOwn(group, path)) return group[path]
  const inner = ownValue(group, first)
  return rest.length > 0 && isRecord(inner) ? valueAt(inner, rest.join('.')) : undefined
}

function ownValue(group: Group, key: string): unknown {
  return Object.hasOwn(group, key) ? group[key] : undefined
}
