/**
 * From what was written to the configuration, or everything that is wrong with it. Reads nothing.
 *
 * Promises: every problem of every section comes at once, with its place and its fix; the parts that depend on each
 * other are checked together: a static session that anyone could claim to be is refused (decision 5).
 */

import { join } from 'node:path'
import type { ControlTokenSpec } from '../control/control-token.ts'
import { type Credential, parseCredentials } from '../credentials/credential-schema.ts'
import { parseBytes, parseDurationMs } from '../policy/parse-limits.ts'
import { type Issue, IssueList, type PlaceOf } from '../policy/issue.ts'
import { isRecord, shapeCheck } from '../policy/schema-issues.ts'
import { type Config, ConfigShape } from './config-schema.ts'
import { checkControl, checkListeners, checkSessions } from './check-doors.ts'
import { parseDns } from './parse-dns.ts'
import { listenerOf } from './parse-listener.ts'
import { parentWarnings, parseParent } from './parse-parent.ts'
import { checkStore, parseStore, placeOf } from './parse-store.ts'
import { parseProcessLimit, type ProcessLimits, processLimitKeys, processLimits } from './process-limits.ts'

const checkShape = shapeCheck(ConfigShape)

export type ParsedConfig = {
  readonly config: Omit<Config, 'upstream'> & { readonly upstream: Omit<Config['upstream'], 'extraCa'> }
  /** The file whose text becomes `upstream.extraCa`. */
  readonly extraCaFile: string | null
  readonly warnings: readonly string[]
}

export type ParseContext = {
  readonly at: PlaceOf
  /** A path of this setting as an absolute one: relative to the file that says it, or to where the command runs. */
  readonly resolvePath: (setting: string, written: string) => string
}

/** `effective` is the file with defaults and overrides in place. */
export function parseConfig(
  effective: Readonly<Record<string, unknown>>,
  context: ParseContext,
): Issue[] | ParsedConfig {
  const issues = new IssueList(context.at)
  checkShape(effective, issues)
  const shapeIsRight = issues.list().length === 0
  const credentials = parseCredentials(effective['credentials'] ?? [], context.at)
  const limits = parseLimits(effective['limits'], issues)
  const dns = parseDns(section(section(effective, 'upstream'), 'dns'), issues)
  const proxy = parseParent(section(effective, 'upstream')['proxy'], issues)
  const amounts = parseAmounts(effective, issues)
  checkListeners(effective, issues)
  checkSessions(effective, issues)
  checkStore(effective, issues)
  const warnings = checkControl(effective, issues)
  checkAudit(effective, issues)
  const found = [...issues.list(), ...(credentials.kind === 'issues' ? credentials.issues : [])]
  // The second half says it to the compiler; without a found issue both are true.
  if (found.length > 0 || !shapeIsRight || credentials.kind === 'issues') return found
  return assemble(parseShape(effective), {
    ...context,
    credentials: credentials.credentials,
    limits,
    upstream: { proxy, dns },
    amounts,
    warnings: [...warnings, ...parentWarnings(proxy)],
  })
}

/** What `checkShape` let pass. Defaults are in place, so nothing is missing. */
function parseShape(effective: Readonly<Record<string, unknown>>): Filled<ConfigShape> {
  return effective as Filled<ConfigShape>
}

type Filled<Shape> = {
  readonly [Key in keyof Shape]-?: FilledSection<NonNullable<Shape[Key]>> | Extract<Shape[Key], null>
}
type FilledSection<Section> = Section extends readonly unknown[] | string ? Section : Required<Section>

type Parsed = Pick<ParseContext, 'resolvePath'> & {
  readonly credentials: readonly Credential[]
  readonly limits: ProcessLimits
  readonly upstream: Pick<Config['upstream'], 'dns' | 'proxy'>
  readonly amounts: Amounts
  readonly warnings: readonly string[]
}

function assemble(written: Filled<ConfigShape>, parsed: Parsed): ParsedConfig {
  const { resolvePath, limits, amounts } = parsed
  const pathOrNull = (setting: string, path: string | null | undefined): string | null =>
    path === null || path === undefined ? null : resolvePath(setting, path)
  const stateDirectory = resolvePath('stateDirectory', written.stateDirectory)
  const { ca, control, sessions, upstream, audit, log } = written
  const auditFile = audit.file === undefined && !audit.stdout ? join(stateDirectory, 'audit.jsonl') : audit.file
  return {
    config: {
      listeners: written.listeners.map((listener) => listenerOf(listener, resolvePath)),
      control: { address: control.address, hosts: control.hosts, tokens: tokensOf(control.tokens, resolvePath) },
      stateDirectory,
      publicDirectory: pathOrNull('publicDirectory', written.publicDirectory) ?? join(stateDirectory, 'public'),
      ca: ca === null ? null : { certificate: resolvePath('ca', ca.certificate), key: resolvePath('ca', ca.key) },
      policies: pathOrNull('policies', written.policies),
      stateKey: placeOf(written.stateKey, (path) => resolvePath('stateKey', path)),
      sessions: {
        store: parseStore(sessions.store, (path) => resolvePath('sessions.store', path)),
        defaultTtlMs: amounts.defaultTtlMs,
        secretKey: secretKeyOf(sessions.secretKey, resolvePath),
        doors: {
          directory: pathOrNull('sessions.doors.directory', sessions.doors?.directory),
          address: sessions.doors?.address ?? null,
        },
        static: sessions.static.map(staticOf),
      },
      credentials: parsed.credentials,
      upstream: { roots: upstream.roots, ...parsed.upstream },
      audit: {
        file: pathOrNull('audit.file', auditFile),
        stdout: audit.stdout,
        fsync: audit.fsync,
        bytesMax: amounts.rotateBytes,
        filesMax: audit.rotatedFiles,
        queueBytesMax: limits.auditQueueBytesMax,
      },
      log: { level: log.level, format: log.format },
      limits,
    },
    extraCaFile: pathOrNull('upstream.extraCa', upstream.extraCa),
    warnings: parsed.warnings,
  }
}

function tokensOf(
  written: NonNullable<NonNullable<ConfigShape['control']>['tokens']>,
  resolvePath: ParseContext['resolvePath'],
): Config['control']['tokens'] {
  return written.flatMap(({ secret, ...token }): ControlTokenSpec[] => {
    if (secret.file !== undefined) return [{ ...token, secret: { file: resolvePath('control', secret.file) } }]
    return secret.env === undefined ? [] : [{ ...token, secret: { env: secret.env } }]
  })
}

function secretKeyOf(
  written: { readonly env?: string; readonly file?: string } | null,
  resolvePath: ParseContext['resolvePath'],
): Config['sessions']['secretKey'] {
  if (written?.file !== undefined) return { file: resolvePath('sessions', written.file) }
  return written?.env === undefined ? null : { env: written.env }
}

function staticOf(written: NonNullable<NonNullable<ConfigShape['sessions']>['static']>[number]) {
  return {
    id: written.id,
    policy: written.policy,
    mode: written.mode ?? null,
    labels: written.labels ?? {},
    credentials: written.credentials ?? {},
    refusal: written.refusal ?? 'auto',
    sources: written.sources ?? null,
    certificate: written.certificate ?? null,
    token: written.token ?? null,
  }
}

function parseLimits(written: unknown, issues: IssueList): ProcessLimits {
  const limits: Record<string, number> = {}
  for (const key of processLimitKeys) {
    const value = isRecord(written) ? written[key] : undefined
    const parsed = parseProcessLimit(key, value ?? processLimits[key].default)
    if (typeof parsed === 'number') limits[processLimits[key].to] = parsed
    // Anything but a number or a text the shape has complained of already.
    else if (typeof value === 'number' || typeof value === 'string')
      issues.add(['limits', key], `${JSON.stringify(value)} is no limit; zero never means unlimited`, parsed)
  }
  return limits as ProcessLimits
}

type Amounts = { readonly defaultTtlMs: number; readonly rotateBytes: number }

const dayMs = 86_400_000
const ttlMaxMs = 90 * dayMs
const rotateBytesMin = 64 * 1024

function parseAmounts(effective: Readonly<Record<string, unknown>>, issues: IssueList): Amounts {
  const ttl = section(effective, 'sessions')['defaultTtl']
  const defaultTtlMs = typeof ttl === 'string' ? parseDurationMs(ttl) : 0
  if (defaultTtlMs === null || defaultTtlMs > ttlMaxMs)
    issues.add(
      ['sessions', 'defaultTtl'],
      `${JSON.stringify(ttl)} is no time to live`,
      'write as in 30m or 12h; 90d at most',
    )
  const size = section(effective, 'audit')['rotateBytes']
  const rotateBytes = typeof size === 'string' || typeof size === 'number' ? parseBytes(size) : rotateBytesMin
  if (rotateBytes === null || rotateBytes < rotateBytesMin)
    issues.add(
      ['audit', 'rotateBytes'],
      `${JSON.stringify(size)} is no size to rotate at`,
      'write 64KiB or more, as in 64MiB',
    )
  return { defaultTtlMs: defaultTtlMs ?? 0, rotateBytes: rotateBytes ?? 0 }
}

function checkAudit(effective: Readonly<Record<string, unknown>>, issues: IssueList): void {
  const audit = section(effective, 'audit')
  if (audit['file'] === null && audit['stdout'] === false)
    issues.add(
      ['audit', 'file'],
      'is null and stdout is false: records would go nowhere',
      'name a file, or "stdout: true"',
    )
}

function section(value: Readonly<Record<string, unknown>>, key: string): Readonly<Record<string, unknown>> {
  const found = value[key]
  return isRecord(found) ? found : {}
}
