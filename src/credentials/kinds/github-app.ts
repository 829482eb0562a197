/**
 * An installation token of a GitHub App, got with its private key: Bearer at API hosts, and where git is spoken Basic with
 * the user name `x-access-token`. The secret is the key in PEM.
 */

import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import { hostField } from '../../net/authority.ts'
import { type OutboundHead, withField } from '../../net/outbound-head.ts'
import { type CredentialKind, kindKeys, parseKeys } from '../credential-kind.ts'
import type { Minted, MintWorld } from '../minted-source.ts'
import {
  below,
  type HttpsPlace,
  HttpsUrl,
  jsonOf,
  OwnAddresses,
  type OwnAnswer,
  parseHttpsPlace,
} from '../own-request.ts'
import { parseSecret, type Secret } from '../secret.ts'
import type { Problem } from '../shape-problems.ts'
import { signJwt } from '../signed-jwt.ts'

const apiUrlDefault = 'https://api.github.com'
/** GitHub takes ten minutes at most, and clocks differ. */
const proofSeconds = { before: 60, after: 540 } as const
const lifetimeMsMax = 3_600_000

const schema = kindKeys({
  appId: Type.Union([Type.Integer({ minimum: 1 }), Type.String({ pattern: '^[A-Za-z0-9._-]{1,64}$' })], {
    description: 'the id of the app, or its client id',
  }),
  installationId: Type.Union([Type.Integer({ minimum: 1 }), Type.String({ pattern: '^[0-9]{1,20}$' })], {
    description: 'the id of the installation',
  }),
  repositories: Type.Optional(
    Type.Array(Type.String({ pattern: '^[A-Za-z0-9._-]{1,100}$' }), {
      minItems: 1,
      maxItems: 500,
      description: 'names of repositories, without the owner, where the token is for these only',
    }),
  ),
  permissions: Type.Optional(
    Type.Record(Type.String({ pattern: '^[a-z_]{1,64}$' }), Type.Enum(['admin', 'read', 'write']), {
      description: 'such as { contents: read }, where the token may do less than the app',
    }),
  ),
  apiUrl: Type.Optional(HttpsUrl),
  addresses: Type.Optional(OwnAddresses),
})

type Spec = {
  readonly place: HttpsPlace
  /** As a Host field says it: where git is spoken. */
  readonly gitHost: string
  readonly appId: string
  readonly installationId: string
  readonly narrowed: Pick<Static<typeof schema>, 'permissions' | 'repositories'>
}

export const githubApp: CredentialKind<Spec> = {
  kind: 'github-app',
  schema,
  secretShape: 'lines',
  parse: (raw) => {
    const parsed = parseKeys(schema, raw)
    if (parsed.kind === 'problems') return parsed
    const { apiUrl = apiUrlDefault, addresses, appId, installationId, repositories, permissions } = parsed.spec
    const problems: Problem[] = []
    const place = parseHttpsPlace({ url: apiUrl, addresses }, { url: 'apiUrl', addresses: 'addresses' }, problems)
    if (problems.length > 0 || place === null) return { kind: 'problems', problems }
    const narrowed = {
      ...(repositories === undefined ? {} : { repositories }),
      ...(permissions === undefined ? {} : { permissions }),
    }
    // api.github.com serves github.com; a server of one's own serves both under one name.
    const gitHost = hostField(place.authority, 'https').replace(/^api\./, '')
    return {
      kind: 'parsed',
      spec: { place, gitHost, appId: String(appId), installationId: String(installationId), narrowed },
    }
  },
  owns: () => ({ fields: ['authorization'], parameters: [] }),
  apply: (head, spec, token) =>
    withField(head, 'Authorization', isGit(head, spec) ? basicOf(token) : `Bearer ${token.reveal()}`),
  endpoint: (spec) => ({ place: spec.place, path: tokenPath(spec), clientId: null, dialect: 'github-app' }),
  mint: (spec, world) => async (secret) => {
    const { place, appId, narrowed } = spec
    const now = Math.floor(world.epochMs() / 1000)
    const claims = { iss: appId, iat: now - proofSeconds.before, exp: now + proofSeconds.after }
    const proof = await signJwt(secret.reveal(), claims, null)
    if (proof === null) return 'is no RSA key in PEM'
    const answer = await world.ask({
      place,
      method: 'POST',
      path: tokenPath(spec),
      fields: [
        'Authorization',
        `Bearer ${proof}`,
        'Accept',
        'application/vnd.github+json',
        'Content-Type',
        'application/json',
        'User-Agent',
        'sallyport',
        'X-GitHub-Api-Version',
        '2022-11-28',
      ],
      body: JSON.stringify(narrowed),
    })
    return typeof answer === 'string' ? `GitHub cannot be asked for a token: ${answer}` : parseToken(answer, world)
  },
}

function tokenPath({ place, installationId }: Spec): string {
  return below(place, `/app/installations/${installationId}/access_tokens`)
}

function isGit({ host, target }: OutboundHead, { gitHost }: Spec): boolean {
  return host === gitHost && !target.startsWith('/api/')
}

function basicOf(token: Secret): string {
  return `Basic ${Buffer.from(`x-access-token:${token.reveal()}`, 'latin1').toString('base64')}`
}

const Answer = Type.Object({ token: Type.String(), expires_at: Type.String() })

function parseToken(answer: OwnAnswer, { epochMs, rules }: MintWorld): Minted | string {
  if (answer.status !== 201) return `GitHub answered ${answer.status} where it was asked for a token`
  const said = jsonOf(answer)
  if (!Value.Check(Answer, said)) return 'GitHub answered without a token'
  const token = parseSecret(said.token, rules)
  if (typeof token === 'string') return `GitHub gave a token that ${token}`
  const lifetimeMs = Math.min(Date.parse(said.expires_at) - epochMs(), lifetimeMsMax)
  return lifetimeMs > 0 ? { token, lifetimeMs } : 'GitHub gave a token that has ended; do the clocks agree?'
}
