/**
 * The `credentials:` of sallyport.yaml: from unknown to values, or everything that is wrong with them.
 *
 * Promises: a secret's value cannot be written here, only where it comes from; no complaint shows a value of the entry;
 * hosts are exact names unless the entry says `unsafeWildcardHosts`.
 */

import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { type DomainPattern, parseDomainPattern } from '../policy/domain-pattern.ts'
import { type Issue, IssueList, type PlaceOf } from '../policy/issue.ts'
import type { AnyCredentialKind, Presentation } from './credential-kind.ts'
import { credentialKinds } from './kinds/index.ts'
import { parsePlaceholderShape, type PlaceholderShape } from './placeholder.ts'
import type { SecretShape } from './secret.ts'
import type { SecretReference } from './secret-source.ts'
import { type Problem, problem, problemsOf } from './shape-problems.ts'
import { secretSources } from './sources/index.ts'

export type Credential = {
  readonly name: string
  readonly kind: string
  readonly presentation: Presentation
  readonly secret: SecretReference
  readonly hosts: readonly DomainPattern[]
  readonly unsafeWildcardHosts: boolean
  readonly unsafeShortSecret: boolean
  readonly secretShape: SecretShape
  /** What the sandbox gets instead, and in which variable; null: nothing. */
  readonly placeholder: { readonly env: string; readonly shape: PlaceholderShape } | null
  /** Whether only requests that hold the placeholder get the secret. */
  readonly requiresPlaceholder: boolean
}

const variableName = Type.String({
  pattern: '^[A-Za-z_][A-Za-z0-9_]{0,255}$',
  description: 'the name of a variable of the sandbox',
})
const closed = { additionalProperties: false }

const placeholderShape = Type.Object(
  {
    env: variableName,
    like: Type.Optional(
      Type.String({ minLength: 1, maxLength: 1024, description: 'fixed text, and {n} for n made letters: "sk-{40}"' }),
    ),
  },
  closed,
)

const common = {
  name: Type.String({
    pattern: '^[a-z0-9][a-z0-9._-]{0,63}$',
    description: 'a name of lower-case letters, digits, dots, dashes and underscores',
  }),
  kind: Type.Enum(credentialKinds.map(({ kind }) => kind)),
  secret: Type.Union(
    secretSources.map(({ schema }) => schema),
    { description: 'where the value comes from; the value itself is never written here' },
  ),
  hosts: Type.Array(Type.String({ minLength: 1, maxLength: 300 }), {
    minItems: 1,
    maxItems: 1000,
    description: 'the hosts it belongs to, at least one: it is never sent to another',
  }),
  placeholder: Type.Optional(placeholderShape),
  require: Type.Optional(
    Type.Literal('placeholder', { description: '"placeholder", to refuse requests that do not hold it' }),
  ),
  unsafeShortSecret: Type.Optional(Type.Boolean({ description: 'true, to take a secret of fewer than 16 bytes' })),
  unsafeWildcardHosts: Type.Optional(Type.Boolean({ description: 'true, to let hosts be wildcards' })),
}

/** What a sandbox gets where the entry does not say what it should look like. */
const plainShape = 'placeholder-{32}'

/** For editors and `config schema`. Validation is `parseCredentials`, which shows no values. */
export const credentialsSchema = Type.Array(Type.Union(credentialKinds.map(entrySchema)), {
  maxItems: 1000,
  description: 'Credentials that stay at the proxy.',
})

function entrySchema({ kind, schema }: AnyCredentialKind) {
  return Type.Object({ ...common, kind: Type.Literal(kind), ...schema.properties }, closed)
}

export type ParsedCredentials =
  | { readonly kind: 'issues'; readonly issues: readonly Issue[] }
  | { readonly kind: 'parsed'; readonly credentials: readonly Credential[] }

const nowhere: PlaceOf = () => ({ file: 'sallyport.yaml', line: 0, column: 0 })

/** `raw` is the value under `credentials:`; paths of issues begin there. */
export function parseCredentials(raw: unknown, at: PlaceOf = nowhere): ParsedCredentials {
  const issues = new IssueList(at)
  const add = (index: number | null, { path, message, fix }: Problem): void =>
    issues.add(['credentials', ...(index === null ? [] : [index]), ...path], message, fix)
  const credentials: Credential[] = []
  const places = new Map<string, number>()
  if (!Array.isArray(raw)) add(null, problem([], 'is not a list', 'write one "- name: …" for each credential'))
  for (const [index, entry] of (Array.isArray(raw) ? raw : []).entries()) {
    const parsed = parseCredential(entry)
    if (isProblems(parsed)) {
      for (const one of parsed) add(index, one)
      continue
    }
    const before = places.get(parsed.name)
    if (before !== undefined)
      add(index, problem(['name'], `is the name of credentials[${before}] too`, 'give it another'))
    places.set(parsed.name, index)
    credentials.push(parsed)
  }
  const found = issues.list()
  return found.length > 0 ? { kind: 'issues', issues: found } : { kind: 'parsed', credentials }
}

/** Checks what every entry has; `secret` is looked at on its own, because a complaint of a union says nothing. */
const commonShape = Type.Object({ ...common, kind: Type.String(), secret: Type.Optional(Type.Unknown()) }, closed)

function parseCredential(raw: unknown): Credential | readonly Problem[] {
  if (!isRecord(raw)) return [problem([], 'is not a group of keys', 'write "name:", "kind:", "secret:" and "hosts:"')]
  const kind = credentialKinds.find((one) => one.kind === raw['kind'])
  if (kind === undefined) {
    const kinds = credentialKinds.map((one) => one.kind).join(', ')
    return [problem(['kind'], 'is not a kind of credential', `write one of ${kinds}`)]
  }
  const { known, own, problems } = splitKeys(raw, kind)
  problems.push(...problemsOf(commonShape, known))
  const secret = parseReference(raw['secret'])
  if (isProblems(secret)) problems.push(...secret)
  const presentation = kind.parse(own)
  if (presentation.kind === 'problems') problems.push(...presentation.problems)
  // What can be read is looked at closer even where the rest cannot: one run tells everything.
  const { hosts: written, placeholder: wanted } = known
  const hosts = Value.Check(common.hosts, written)
    ? parseHosts(written, known['unsafeWildcardHosts'] === true, problems)
    : []
  const placeholder = Value.Check(placeholderShape, wanted) ? parsePlaceholder(wanted, problems) : null
  if (wanted === undefined && (kind.swaps || known['require'] !== undefined))
    problems.push(problem([], '"placeholder" is missing', 'add "placeholder:", which is what clients send'))
  if (problems.length > 0 || isProblems(secret) || presentation.kind === 'problems') return problems
  if (!Value.Check(commonShape, known)) return problems
  const { name, unsafeShortSecret = false, unsafeWildcardHosts = false } = known
  return {
    name,
    kind: kind.kind,
    presentation: presentation.spec,
    secret,
    hosts,
    unsafeWildcardHosts,
    unsafeShortSecret,
    secretShape: kind.secretShape,
    placeholder,
    requiresPlaceholder: known.require !== undefined,
  }
}

function splitKeys(raw: Readonly<Record<string, unknown>>, { kind, schema }: AnyCredentialKind) {
  const keys = Object.keys(schema.properties)
  const known: [string, unknown][] = []
  const own: [string, unknown][] = []
  const problems: Problem[] = []
  for (const [key, value] of Object.entries(raw)) {
    if (Object.hasOwn(common, key)) known.push([key, value])
    else if (keys.includes(key)) own.push([key, value])
    else {
      const all = [...Object.keys(common), ...keys].join(', ')
      problems.push(problem([key], `unknown key "${key}" for kind ${kind}`, `write one of ${all}, or drop it`))
    }
  }
  return { known: Object.fromEntries(known), own: Object.fromEntries(own), problems }
}

/** Exactly one source. Text here is most likely the secret itself, so nothing of it is said. */
function parseReference(raw: unknown): SecretReference | Problem[] {
  const named = isRecord(raw) ? secretSources.filter(({ key }) => Object.hasOwn(raw, key)) : []
  const [source, second] = named
  if (source === undefined || second !== undefined) {
    const keys = secretSources.map(({ key }) => `{ ${key}: … }`).join(' or ')
    return [problem(['secret'], 'does not say where the value comes from', `write ${keys}, never the value itself`)]
  }
  const parsed = source.parse(raw)
  if (parsed.kind === 'parsed') return parsed.spec
  return parsed.problems.map(({ path, ...said }) => ({ path: ['secret', ...path], ...said }))
}

function parseHosts(written: readonly string[], wildcards: boolean, problems: Problem[]): DomainPattern[] {
  return written.flatMap((text, index) => {
    const pattern = parseDomainPattern(text)
    const at = ['hosts', index]
    if (typeof pattern === 'string')
      problems.push(problem(at, pattern, 'write the name of a host, without scheme or port'))
    else if (pattern.kind === 'any')
      problems.push(problem(at, 'would send the secret to any host', 'name the hosts it belongs to'))
    else if (pattern.kind !== 'exact' && !wildcards)
      problems.push(
        problem(
          at,
          'is a wildcard, and whoever gets a name below it gets the secret',
          'name the hosts, or add "unsafeWildcardHosts: true"',
        ),
      )
    else return [pattern]
    return []
  })
}

function parsePlaceholder(
  written: { readonly env: string; readonly like?: string } | undefined,
  problems: Problem[],
): Credential['placeholder'] {
  if (written === undefined) return null
  const shape = parsePlaceholderShape(written.like ?? plainShape)
  if (typeof shape !== 'string') return { env: written.env, shape }
  problems.push(problem(['placeholder', 'like'], shape, 'write for example "sk-{40}"'))
  return null
}

function isProblems(value: object): value is readonly Problem[] {
  return Array.isArray(value)
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
