/**
 * The configuration of this process: defaults < file < `SALLYPORT_*` < flags. The only reader of `process.env`.
 *
 * Promises: all problems at once, with file, line, column and fix; every value can be traced to where it was said; what
 * others can write is not obeyed (decision 2), and variables that weaken Node itself are refused (decision 27).
 */

import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Issue, PlaceOf } from '../policy/issue.ts'
import { pathText } from '../policy/issue.ts'
import { isRecord } from '../policy/schema-issues.ts'
import { codeOf, type ConfigChoice, type ConfigText, findConfigFile, readConfigFile } from './config-file.ts'
import { joinLayers, type Origin } from './config-layers.ts'
import type { Config } from './config-schema.ts'
import { configDefaults } from './defaults.ts'
import { absolutePath, homesOf } from './homes.ts'
import { configVariable, type Environment, environmentOverrides, flagOverrides } from './overrides.ts'
import { parseConfig, type ParsedConfig } from './parse-config.ts'
import { isOwnedByAnother, pathProblem } from './path-safety.ts'
import { riskyEnvironment } from './risky-environment.ts'

export { issueText } from '../policy/issue.ts'
export type { ConfigChoice } from './config-file.ts'
export { configJsonSchema } from './config-schema.ts'
export { showConfig } from './show-config.ts'

export type LoadOptions = {
  readonly choice: ConfigChoice
  /** By the path of the setting: `{ 'control.address': '127.0.0.1:0' }`. */
  readonly flags: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Default: the environment of this process. */
  readonly environment?: Environment
}

export type LoadedConfig = {
  readonly config: Config
  /** Path of every setting to who said it. */
  readonly origins: ReadonlyMap<string, Origin>
  readonly warnings: readonly string[]
  /** The file that was read; null: none. */
  readonly file: string | null
  /** As written, everything in place: where secrets come from is in it, no secret is. */
  readonly effective: Readonly<Record<string, unknown>>
  /** Variables, for the sources of secrets. */
  readonly variable: (name: string) => string | undefined
}

/** A copy, for the command that makes an environment for a child. */
export function ownEnvironment(): Environment {
  return { ...process.env }
}

export async function loadConfig(options: LoadOptions): Promise<Issue[] | LoadedConfig> {
  const environment = options.environment ?? ownEnvironment()
  const homes = homesOf(environment, options.cwd)
  const file = await findConfigFile(options.choice, environment[configVariable], homes)
  const text = file === null ? noFile : await readConfigFile(file)
  const { value, at } = Array.isArray(text) ? noFile : text
  const outside = environmentOverrides(environment, secretVariables(value))
  const flags = flagOverrides(options.flags)
  const before = [
    ...riskyEnvironment(environment),
    ...(Array.isArray(text) ? text : []),
    // Of a file that was not read nobody knows which variables it names.
    ...(Array.isArray(text) ? [] : outside.issues),
    ...flags.issues,
  ]
  const overrides = [...outside.overrides, ...flags.overrides]
  const joined = joinLayers({ defaults: configDefaults(homes.stateHome), file: value, overrides }, at)
  const fileFolder = file === null ? homes.cwd : dirname(file)
  const parsed = parseConfig(joined.effective, {
    at: joined.at,
    resolvePath: (setting, written) => {
      const isOutside = ['env', 'flag'].includes(joined.origins.get(setting) ?? 'file')
      return absolutePath(written, homes, isOutside ? homes.cwd : fileFolder)
    },
  })
  if (Array.isArray(parsed)) return [...before, ...parsed]
  const extraCa = await readExtraCa(parsed.extraCaFile, joined.at)
  const issues = [...before, ...pathIssues(parsed, joined.at), ...(isIssue(extraCa) ? [extraCa] : [])]
  if (issues.length > 0 || isIssue(extraCa)) return issues
  return {
    config: { ...parsed.config, upstream: { ...parsed.config.upstream, extraCa } },
    origins: joined.origins,
    warnings: [...outside.warnings, ...parsed.warnings, ...ownerWarnings(file, parsed.config.policies)],
    file,
    effective: joined.effective,
    variable: (name) => environment[name],
  }
}

const noFile: ConfigText = { value: {}, at: () => ({ file: 'configuration', line: 0, column: 0 }) }

const sourceKeys: ReadonlySet<string> = new Set(['secret', 'secretKey', 'stateKey', 'token', 'url'])

/** Names under `env:` of any of these: whatever these variables are called, they are no settings. */
function secretVariables(value: unknown, found: Set<string> = new Set()): Set<string> {
  if (Array.isArray(value)) for (const item of value) secretVariables(item, found)
  if (!isRecord(value)) return found
  for (const [key, inner] of Object.entries(value)) {
    const isSource = sourceKeys.has(key) && isRecord(inner) && typeof inner['env'] === 'string'
    if (isSource) found.add(String(inner['env']))
    else secretVariables(inner, found)
  }
  return found
}

function keyFileOf({ sessions: { secretKey } }: ParsedConfig['config']): string | null {
  return secretKey !== null && 'file' in secretKey ? secretKey.file : null
}

/** The state and policy paths; the file was judged before it was read. */
function pathIssues({ config }: ParsedConfig, at: PlaceOf): Issue[] {
  const paths: [path: string[], folder: string | null][] = [
    [['stateDirectory'], config.stateDirectory],
    [['policies'], config.policies],
    [['ca', 'key'], config.ca?.key ?? null],
    [['sessions', 'secretKey', 'file'], keyFileOf(config)],
  ]
  return paths.flatMap(([path, folder]) => {
    const problem = folder === null ? null : pathProblem(folder)
    return problem === null ? [] : [{ ...at(path), path: pathText(path), ...problem }]
  })
}

function ownerWarnings(...paths: (string | null)[]): string[] {
  return paths.flatMap((path) =>
    path !== null && isOwnedByAnother(path)
      ? [`${path} belongs to another user, who can change it: it must not be the user of a sandbox`]
      : [],
  )
}

async function readExtraCa(file: string | null, at: PlaceOf): Promise<Issue | string | null> {
  if (file === null) return null
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const path = ['upstream', 'extraCa']
    return {
      ...at(path),
      path: pathText(path),
      message: `${file} cannot be read: ${codeOf(error)}`,
      fix: 'correct the path',
    }
  }
}

function isIssue(value: Issue | string | null): value is Issue {
  return typeof value === 'object' && value !== null
}
