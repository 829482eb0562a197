/**
 * A bearer token got with a refresh token (RFC 6749 §6). The secret is the refresh token; or a group in JSON with
 * `refresh_token` and, for clients that have one, `client_secret`, as Google's tools store it.
 *
 * Promises: where the endpoint gives a new refresh token for the old one, the new one is used from then on, for as long as
 * the configured one stays as it is; the operator is told, because it is kept in memory only.
 */

import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { withField } from '../../net/outbound-head.ts'
import { type CredentialKind, kindKeys, parseKeys } from '../credential-kind.ts'
import type { Mint, MintWorld } from '../minted-source.ts'
import { type ClientProof, requestToken } from '../oauth-token.ts'
import { type HttpsPlace, HttpsUrl, OwnAddresses, parseHttpsPlace } from '../own-request.ts'
import type { Secret } from '../secret.ts'
import type { Problem } from '../shape-problems.ts'

const Words = (description: string) => Type.String({ pattern: '^[ -~]+$', maxLength: 2048, description })

const schema = kindKeys({
  tokenUrl: HttpsUrl,
  clientId: Words('the id of the client that the refresh token was given to'),
  authentication: Type.Optional(
    Type.Enum(['basic', 'post'], { description: 'how a client with a secret proves itself: basic, or post' }),
  ),
  scope: Type.Optional(Words('scopes, with spaces between, where fewer are wanted than were granted')),
  addresses: Type.Optional(OwnAddresses),
})

type Spec = {
  readonly place: HttpsPlace
  readonly clientId: string
  readonly authentication: 'basic' | 'post'
  readonly scope: string | null
}

export const oauth2Refresh: CredentialKind<Spec> = {
  kind: 'oauth2-refresh',
  schema,
  secretShape: 'lines',
  parse: (raw) => {
    const parsed = parseKeys(schema, raw)
    if (parsed.kind === 'problems') return parsed
    const { tokenUrl, addresses, clientId, authentication = 'post', scope = null } = parsed.spec
    const problems: Problem[] = []
    const place = parseHttpsPlace({ url: tokenUrl, addresses }, { url: 'tokenUrl', addresses: 'addresses' }, problems)
    return problems.length > 0 || place === null
      ? { kind: 'problems', problems }
      : { kind: 'parsed', spec: { place, clientId, authentication, scope } }
  },
  owns: () => ({ fields: ['authorization'], parameters: [] }),
  apply: (head, _spec, token) => withField(head, 'Authorization', `Bearer ${token.reveal()}`),
  endpoint: ({ place, clientId }) => ({ place, path: place.path, clientId, dialect: 'oauth' }),
  mint: createMint,
}

function createMint({ place, clientId, authentication, scope }: Spec, world: MintWorld): Mint {
  let rotated: { readonly from: string; readonly token: Secret } | null = null
  return async (secret) => {
    const configured = secret.reveal()
    const grant = parseGrant(configured)
    if (grant === null) return 'is neither a refresh token nor JSON with a refresh_token'
    const { refreshToken, clientSecret } = grant
    const proof: ClientProof = clientSecret === null ? { by: 'none' } : { by: authentication, clientId, clientSecret }
    const form = {
      grant_type: 'refresh_token',
      refresh_token: rotated?.from === configured ? rotated.token.reveal() : refreshToken,
      scope,
      client_id: clientSecret === null ? clientId : null,
    }
    const got = await requestToken(place, form, proof, world)
    if (typeof got === 'string') return got
    if (got.refreshToken !== null && got.refreshToken.reveal() !== form.refresh_token) {
      if (rotated?.from !== configured)
        world.note(
          'its refresh token was replaced by the endpoint; the new one is kept in memory and lost at a restart',
        )
      rotated = { from: configured, token: got.refreshToken }
    }
    return got
  }
}

type RefreshGrant = { readonly refreshToken: string; readonly clientSecret: string | null }

const Stored = Type.Object({
  refresh_token: Type.String({ pattern: '^[!-~]+$' }),
  client_secret: Type.Optional(Type.String({ pattern: '^[!-~]+$' })),
})

function parseGrant(text: string): RefreshGrant | null {
  if (!text.startsWith('{')) return /^[!-~]+$/.test(text) ? { refreshToken: text, clientSecret: null } : null
  try {
    const stored: unknown = JSON.parse(text)
    if (!Value.Check(Stored, stored)) return null
    return { refreshToken: stored.refresh_token, clientSecret: stored.client_secret ?? null }
  } catch {
    return null
  }
}
