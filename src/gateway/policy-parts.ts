/** The policies of the configuration and of the control API, loaded at start and again when their files change. */

import { loadPolicyFolder, loadPresets } from '../config/load-policies.ts'
import type { Config } from '../config/config-schema.ts'
import { StartError } from '../gateway.ts'
import { type Issue, issueText } from '../policy/issue.ts'
import { PolicyBook } from '../policy/policy-book.ts'
import type { Log } from '../telemetry/log.ts'
import { createForgottenPolicies, createKeptPolicies } from './kept-policies.ts'
import { createForgottenVersions, createKeptVersions } from './kept-versions.ts'
import { PolicyShelf } from './policy-shelf.ts'
import type { GatewaySessions } from './session-parts.ts'
import type { GatewayTelemetry } from './telemetry-parts.ts'

export type GatewayPolicies = {
  readonly book: PolicyBook
  readonly shelf: PolicyShelf
  /** Nothing of theirs is being written any more. */
  readonly settled: () => Promise<void>
}

export async function loadPolicies(
  config: Config,
  credentials: ConstructorParameters<typeof PolicyBook>[0]['credentials'],
  inUse: () => ReadonlySet<string>,
  log: Log,
): Promise<GatewayPolicies> {
  const presets = await loadPresets()
  const files =
    config.policies === null ? { kind: 'loaded' as const, sources: [] } : await loadPolicyFolder(config.policies)
  const issues = [presets, files].flatMap((loaded) => (loaded.kind === 'issues' ? loaded.issues : []))
  if (presets.kind === 'issues' || files.kind === 'issues') throw startError(issues)
  const kept =
    config.sessions.store === 'memory' ? createForgottenPolicies() : createKeptPolicies(config.stateDirectory)
  const counted =
    config.sessions.store === 'memory' ? createForgottenVersions() : createKeptVersions(config.stateDirectory)
  const book = new PolicyBook({ presets: presets.sources, credentials, versions: await counted.load() })
  const shelf = new PolicyShelf({ book, files: files.sources, made: await kept.load(), keep: kept.keep, inUse })
  const problems = shelf.load()
  if (problems.length > 0) throw startError(problems)
  await counted.keep(() => book.versions())
  let last: Promise<unknown> = Promise.resolve()
  book.onChange(() => {
    last = counted
      .keep(() => book.versions())
      .catch((error: unknown) => log.error({ error }, 'versions of policies not kept'))
  })
  return { book, shelf, settled: async () => void (await last) }
}

/** Every error rejects the whole folder: what was in force stays in force, and says so. */
export async function reloadPolicies(
  config: Config,
  sessions: GatewaySessions,
  telemetry: GatewayTelemetry,
  log: Log,
): Promise<readonly Issue[]> {
  if (config.policies === null) return []
  const loaded = await loadPolicyFolder(config.policies)
  const issues = loaded.kind === 'issues' ? loaded.issues : sessions.shelf.reload(loaded.sources)
  telemetry.policyReload(issues.length === 0 ? 'ok' : 'failed')
  if (issues.length === 0) log.info({ policies: sessions.policies.list().length }, 'policies reloaded')
  else log.error({ problems: issues.map(issueText) }, 'policies not reloaded: the ones from before stay in force')
  return issues
}

function startError(issues: readonly Issue[]): StartError {
  return new StartError(issues.map(issueText).join('\n'))
}
