/**
 * What may be said outside the file: the closed table of `SALLYPORT_*` variables, and the same settings as flags
 * (decision 8).
 *
 * Promises: a `SALLYPORT_*` variable that looks like a misspelt setting is an error: it must not be a setting that
 * silently does nothing. One that is like none is somebody else's, and a warning says that it was passed over.
 */

import type { Issue } from '../policy/issue.ts'
import { nearest } from '../policy/schema-issues.ts'
import { processLimitKeys } from './process-limits.ts'

export type Environment = Readonly<Record<string, string | undefined>>

type SettingKind = 'flag' | 'list' | 'listener' | 'path' | 'text'

/** Path in the configuration to its variable and how its text becomes a value. */
export const settings: ReadonlyMap<string, { readonly variable: string; readonly kind: SettingKind }> = new Map([
  ['audit.file', { variable: 'SALLYPORT_AUDIT_FILE', kind: 'path' }],
  ['audit.fsync', { variable: 'SALLYPORT_AUDIT_FSYNC', kind: 'text' }],
  ['audit.stdout', { variable: 'SALLYPORT_AUDIT_STDOUT', kind: 'flag' }],
  ['control.address', { variable: 'SALLYPORT_CONTROL_ADDRESS', kind: 'text' }],
  ['control.hosts', { variable: 'SALLYPORT_CONTROL_HOSTS', kind: 'list' }],
  ['listeners', { variable: 'SALLYPORT_LISTEN', kind: 'listener' }],
  ['log.format', { variable: 'SALLYPORT_LOG_FORMAT', kind: 'text' }],
  ['log.level', { variable: 'SALLYPORT_LOG_LEVEL', kind: 'text' }],
  ['policies', { variable: 'SALLYPORT_POLICIES', kind: 'path' }],
  ['publicDirectory', { variable: 'SALLYPORT_PUBLIC_DIRECTORY', kind: 'path' }],
  ['sessions.defaultTtl', { variable: 'SALLYPORT_SESSIONS_DEFAULT_TTL', kind: 'text' }],
  ['sessions.store', { variable: 'SALLYPORT_SESSIONS_STORE', kind: 'text' }],
  ['stateDirectory', { variable: 'SALLYPORT_STATE_DIRECTORY', kind: 'path' }],
  ['upstream.dns.servers', { variable: 'SALLYPORT_UPSTREAM_DNS_SERVERS', kind: 'list' }],
  ['upstream.extraCa', { variable: 'SALLYPORT_UPSTREAM_EXTRA_CA', kind: 'path' }],
  ['upstream.roots', { variable: 'SALLYPORT_UPSTREAM_ROOTS', kind: 'text' }],
  ...processLimitKeys.map((key) => [`limits.${key}`, { variable: limitVariable(key), kind: 'text' }] as const),
])

/** Names the file itself. */
export const configVariable = 'SALLYPORT_CONFIG'

/** What the commands that talk to a gateway read; nothing to a gateway. */
const clientVariables = ['SALLYPORT_ADMIN_TOKEN', 'SALLYPORT_CONTROL_TOKEN', 'SALLYPORT_CONTROL_URL', 'SALLYPORT_TOKEN']

export type Override = {
  readonly path: string
  readonly value: unknown
  readonly origin: 'env' | 'flag'
  /** The variable or flag, for complaints. */
  readonly source: string
}

/** `secretVariables` are named as sources of secrets in the file, and exempt. */
export function environmentOverrides(
  environment: Environment,
  secretVariables: ReadonlySet<string>,
): { readonly overrides: Override[]; readonly issues: Issue[]; readonly warnings: string[] } {
  const overrides: Override[] = []
  const issues: Issue[] = []
  const warnings: string[] = []
  const byVariable = new Map([...settings].map(([path, { variable, kind }]) => [variable, { path, kind }]))
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith('SALLYPORT_') || text === undefined || name === configVariable) continue
    const setting = byVariable.get(name)
    if (setting !== undefined) add(overrides, issues, setting, text, { origin: 'env', source: name })
    else if (!clientVariables.includes(name) && !secretVariables.has(name)) {
      const meant = nearest(name, [...byVariable.keys(), ...clientVariables])
      if (meant === null) warnings.push(`${name} is no setting: it changes nothing here`)
      else issues.push(issue(name, 'is no setting', `did you mean ${meant}?`))
    }
  }
  return { overrides, issues, warnings }
}

/** Flags by the path of their setting. A path outside the table is a bug of the command that gave it. */
export function flagOverrides(flags: Readonly<Record<string, string | undefined>>): {
  readonly overrides: Override[]
  readonly issues: Issue[]
} {
  const overrides: Override[] = []
  const issues: Issue[] = []
  for (const [path, text] of Object.entries(flags)) {
    if (text === undefined) continue
    const setting = settings.get(path)
    if (setting === undefined) throw new Error(`no such setting: ${path}`)
    add(overrides, issues, { path, kind: setting.kind }, text, { origin: 'flag', source: `flag for ${path}` })
  }
  return { overrides, issues }
}

function add(
  overrides: Override[],
  issues: Issue[],
  { path, kind }: { readonly path: string; readonly kind: SettingKind },
  text: string,
  from: Pick<Override, 'origin' | 'source'>,
): void {
  // An empty variable is one that a script meant to fill.
  if (text.trim() === '') issues.push(issue(from.source, 'is empty', 'give it a value, or unset it'))
  else if (kind === 'flag' && text !== 'true' && text !== 'false')
    issues.push(issue(from.source, `${JSON.stringify(text)} is neither true nor false`, 'write true or false'))
  else overrides.push({ path, value: valueOf(kind, text), ...from })
}

function valueOf(kind: SettingKind, text: string): unknown {
  switch (kind) {
    case 'flag':
      return text === 'true'
    case 'list':
      return text.split(',').map((part) => part.trim())
    case 'listener':
      return text.split(',').map((part) => ({ address: part.trim() }))
    case 'path':
    case 'text':
      return text
  }
}

function limitVariable(key: string): string {
  return `SALLYPORT_LIMITS_${key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
}

function issue(file: string, message: string, fix: string): Issue {
  return { file, line: 0, column: 0, path: '', message, fix }
}
