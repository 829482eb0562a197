/**
 * Policies for the commands that need no gateway: files, the shipped ones, and those of a configuration.
 *
 * Promises: they are loaded, checked and compiled by the code that serves them. Without a configuration the credentials
 * a policy names are taken to exist for its hosts, and whoever asks is told so.
 */

import { existsSync } from 'node:fs'
import path from 'node:path'
import { loadPolicyFiles, loadPolicyFolder, loadPresets } from '../config/load-policies.ts'
import { ruleHostsOf } from '../credentials/credential-book.ts'
import { type Issue, issueText } from '../policy/issue.ts'
import type { PolicySource } from '../policy/parse-policy.ts'
import { PolicyBook } from '../policy/policy-book.ts'
import type { Policy } from '../policy/policy.ts'
import { Complaint, misuse, type World } from './world.ts'
import { configFor } from './configuration.ts'

type Credentials = ConstructorParameters<typeof PolicyBook>[0]['credentials']

export type Compiled = {
  readonly kind: 'compiled'
  readonly book: PolicyBook
  readonly sources: readonly PolicySource[]
  readonly assumed: readonly string[]
}
export type Uncompiled = {
  readonly kind: 'issues'
  readonly issues: readonly Issue[]
  readonly assumed: readonly string[]
}

/** The files, beside the shipped policies and those of the configuration if one is named. */
export async function compileFiles(
  files: readonly string[],
  options: { readonly config?: string },
  world: World,
): Promise<Compiled | Uncompiled> {
  const config = options.config === undefined ? null : await configFor(world, { config: options.config })
  const wanted = files.map((file) => path.resolve(world.cwd, file))
  const [presets, loaded] = [await loadPresets(), await loadPolicyFiles([...new Set(wanted)])]
  const folder =
    config === null || config.policies === null ? [] : await folderSources(config.policies, new Set(wanted))
  if (presets.kind === 'issues') throw new Complaint(issuesText(presets.issues))
  if (loaded.kind === 'issues') return { kind: 'issues', issues: shown(loaded.issues, world), assumed: [] }

  const own = loaded.sources.filter(({ place }) => !presets.sources.some((preset) => preset.place.file === place.file))
  const all = [...own, ...folder]
  const assumed = config === null ? credentialNames(all) : []
  const credentials =
    config === null ? assumeCredentials(all) : new Map(config.credentials.map((one) => [one.name, ruleHostsOf(one)]))
  const book = new PolicyBook({ presets: presets.sources, credentials })
  const issues = book.replace(all)
  if (issues.length > 0) return { kind: 'issues', issues: shown(issues, world), assumed }
  return { kind: 'compiled', book, sources: loaded.sources, assumed }
}

/** A policy by its name, or by its file if it looks like one. */
export async function findPolicy(
  written: string,
  options: { readonly config?: string },
  world: World,
): Promise<{ readonly policy: Policy; readonly assumed: readonly string[] }> {
  const isFile = looksLikeFile(written)
  const compiled = await compileFiles(isFile ? [written] : [], options, world)
  if (compiled.kind === 'issues') throw new Complaint(issuesText(compiled.issues))
  const name = isFile ? compiled.sources[0]?.name : written
  const policy = name === undefined ? null : compiled.book.get(name)
  if (policy !== null) return { policy, assumed: compiled.assumed }
  const names = compiled.book.list().map((one) => one.name)
  const hint = existsSync(path.resolve(world.cwd, written))
    ? `for the file write ./${written}`
    : `there are: ${names.join(', ')}`
  throw misuse(`there is no policy "${written}"; ${hint}`)
}

/** `./dev.yaml` and `dev.yaml` are files, `dev` is a name. */
export function looksLikeFile(written: string): boolean {
  return written.includes('/') || /\.(?:json|ya?ml)$/.test(written)
}

export function assumedNote(names: readonly string[]): string {
  return `credentials are taken to be configured for these hosts: ${names.join(', ')}; check them with --config FILE\n`
}

export function issuesText(issues: readonly Issue[]): string {
  return issues.map(issueText).join('\n')
}

async function folderSources(folder: string, besides: ReadonlySet<string>): Promise<PolicySource[]> {
  const loaded = await loadPolicyFolder(folder)
  if (loaded.kind === 'issues') throw new Complaint(issuesText(loaded.issues))
  return loaded.sources.filter(({ place }) => !besides.has(path.resolve(place.file)))
}

function credentialNames(sources: readonly PolicySource[]): string[] {
  return [...new Set(sources.flatMap(({ rules }) => rules.flatMap(({ credential }) => credential ?? [])))].sort()
}

/** Enough to find what two rules do to each other; what depends on the real ones is not found. */
function assumeCredentials(sources: readonly PolicySource[]): Credentials {
  const used = sources.flatMap(({ rules }) => rules.filter(({ credential }) => credential !== null))
  return new Map(
    credentialNames(sources).map((name) => {
      const hosts = used.flatMap((rule) => (rule.credential === name ? rule.host : []))
      return [name, { hosts, unsafeWildcardHosts: true }]
    }),
  )
}

/** Files as the person wrote them, not as we resolved them. */
function shown(issues: readonly Issue[], world: World): Issue[] {
  return issues.map((issue) => ({ ...issue, file: relativeTo(world.cwd, issue.file) }))
}

function relativeTo(cwd: string, file: string): string {
  const relative = path.relative(cwd, file)
  return relative.startsWith('..') || path.isAbsolute(relative) ? file : relative
}
