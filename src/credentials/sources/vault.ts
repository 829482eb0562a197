/**
 * `secret: { vault: { address, path, field } }`: one field of a secret in Vault's key-value store, version 2, over https.
 *
 * Promises: what Vault said is given until `ttl` after it was asked and never later; its token is read anew for each
 * question, sent to that address only, and never shown; a version that was deleted is no secret.
 */

import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import { parseDurationMs } from '../../policy/parse-limits.ts'
import { kindKeys, parseKeys } from '../credential-kind.ts'
import { createKeptValue } from '../kept-value.ts'
import {
  below,
  type HttpsPlace,
  HttpsUrl,
  jsonOf,
  OwnAddresses,
  type OwnAnswer,
  parseHttpsPlace,
} from '../own-request.ts'
import { parseSecret, type Secret, type SecretRules } from '../secret.ts'
import type { SecretReference, SecretSource, SecretSourceKind, SecretWorld } from '../secret-source.ts'
import { sealSource } from '../secret-source.ts'
import { type Problem, problem } from '../shape-problems.ts'
import { envSource } from './env.ts'
import { fileSource } from './file.ts'

const ttlMsDefault = 300_000
const ttlMsMin = 1000
const ttlMsMax = 86_400_000

const env = sealSource(envSource)
const file = sealSource(fileSource)
/** What Vault's own tools read. */
const plainToken = { env: 'VAULT_TOKEN' }

const schema = kindKeys({
  vault: kindKeys({
    address: HttpsUrl,
    path: Type.String({
      pattern: '^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*/data(/[A-Za-z0-9_.@ -]+)+$',
      maxLength: 512,
      description: 'mount, "data" and name, such as secret/data/team/anthropic',
    }),
    field: Type.String({ minLength: 1, maxLength: 256, description: 'the name of one of its fields' }),
    token: Type.Optional(
      Type.Union([env.schema, file.schema], { description: '{ env: NAME } or { file: PATH }; else VAULT_TOKEN' }),
    ),
    namespace: Type.Optional(
      Type.String({ pattern: '^[A-Za-z0-9_./-]+$', maxLength: 256, description: 'the namespace it is in' }),
    ),
    ttl: Type.Optional(Type.String({ maxLength: 32, description: 'how long its answer holds, as in 5m' })),
    addresses: Type.Optional(OwnAddresses),
  }),
})

type Spec = {
  readonly place: HttpsPlace
  readonly path: string
  readonly field: string
  readonly token: SecretReference
  readonly namespace: string | null
  readonly ttlMs: number
}

export const vaultSource: SecretSourceKind<Spec> = {
  key: 'vault',
  schema,
  parse: (raw) => {
    const parsed = parseKeys(schema, raw)
    if (parsed.kind === 'problems') return parsed
    const { vault } = parsed.spec
    const found: Problem[] = []
    const place = parseHttpsPlace(
      { url: vault.address, addresses: vault.addresses },
      { url: 'address', addresses: 'addresses' },
      found,
    )
    const ttlMs = vault.ttl === undefined ? ttlMsDefault : parseDurationMs(vault.ttl)
    if (ttlMs === null || ttlMs < ttlMsMin || ttlMs > ttlMsMax)
      found.push(problem(['ttl'], 'is no duration from 1s to 1d', 'write it with its unit, as in 5m'))
    if (vault.path.split('/').some((segment) => /^\.\.?$/.test(segment)))
      found.push(problem(['path'], 'has a segment of dots', 'write it such as secret/data/team/anthropic'))
    const token = parseToken(vault.token ?? plainToken)
    const problems = found.map(({ path, ...said }) => ({ path: ['vault', ...path], ...said }))
    if (problems.length > 0 || place === null || ttlMs === null || token.kind === 'problems')
      return { kind: 'problems', problems }
    const { path, field, namespace = null } = vault
    return { kind: 'parsed', spec: { place, path, field, token: token.spec, namespace, ttlMs } }
  },
  variables: ({ token }) => token.variables,
  files: ({ token }) => token.files,
  vault: ({ place }) => place,
  open: openVault,
}

function parseToken(raw: NonNullable<Static<typeof schema>['vault']['token']>) {
  return 'env' in raw ? env.parse(raw) : file.parse(raw)
}

function openVault(spec: Spec, rules: SecretRules, world: SecretWorld): SecretSource {
  const token = spec.token.open({ unsafeShortSecret: true }, world)
  return createKeptValue({
    ttlMs: spec.ttlMs,
    now: world.now,
    obtain: async () => {
      const secret = await read(spec, await token.read(), rules, world)
      return typeof secret === 'string' ? `vault ${spec.path} ${secret}` : secret
    },
    close: () => token.close(),
  })
}

/** The secret, or what went wrong, in words that hold nothing of what Vault said. */
async function read(
  { place, path, field, namespace }: Spec,
  token: Secret | null,
  rules: SecretRules,
  { network }: SecretWorld,
): Promise<Secret | string> {
  if (network === undefined) return 'cannot be asked from here'
  if (token === null) return 'cannot be asked: its token is not available'
  const answer = await network.ask({
    place,
    method: 'GET',
    path: below(place, `/v1/${path.split('/').map(encodeURIComponent).join('/')}`),
    fields: [
      'X-Vault-Token',
      token.reveal(),
      'X-Vault-Request',
      'true',
      ...(namespace === null ? [] : ['X-Vault-Namespace', namespace]),
    ],
    body: null,
  })
  if (typeof answer === 'string') return `cannot be read: ${answer}`
  return parseAnswer(answer, field, rules)
}

const Answer = Type.Object({ data: Type.Object({ data: Type.Record(Type.String(), Type.Unknown()) }) })

function parseAnswer(answer: OwnAnswer, field: string, rules: SecretRules): Secret | string {
  const { status } = answer
  if (status === 404) return 'is not there, or its version was deleted'
  if (status === 403) return 'is not for this token'
  if (status !== 200) return `cannot be read: vault answered ${status}`
  const said = jsonOf(answer)
  if (said === undefined) return 'was answered with something that is not JSON'
  if (!Value.Check(Answer, said)) return 'was answered in a form that is not version 2 of the store'
  const { data } = said.data
  const value = Object.hasOwn(data, field) ? data[field] : undefined
  if (typeof value !== 'string') return `has no text in its field ${field}`
  const secret = parseSecret(value, rules)
  return typeof secret === 'string' ? `field ${field} ${secret}` : secret
}
