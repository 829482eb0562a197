/**
 * One question to an OAuth 2 token endpoint (RFC 6749 §4 to §6), and what its answer says.
 *
 * Promises: of an answer only a bearer token, its life and a new refresh token are taken; of a refusal only a code that the
 * RFC knows is told, so that nothing an endpoint echoes gets into a log.
 */

import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import type { Minted, MintWorld } from './minted-source.ts'
import { type HttpsPlace, jsonOf, type OwnAnswer } from './own-request.ts'
import { parseSecret, type Secret, type SecretRules } from './secret.ts'

/** `basic` and `post` of RFC 6749 §2.3.1. `none`: the request says who asks in another way, or need not. */
export type ClientProof =
  | { readonly by: 'basic' | 'post'; readonly clientId: string; readonly clientSecret: string }
  | { readonly by: 'none' }

/** Empty values are left out. */
export type TokenForm = Readonly<Record<string, string | null>>

export type OAuthToken = Minted & { readonly refreshToken: Secret | null }

/** Where an endpoint does not say how long its token lives. */
const lifetimeSecondsDefault = 300
/** What lives longer is made anew all the same. */
const lifetimeSecondsMax = 86_400

const Answer = Type.Object({
  access_token: Type.String(),
  token_type: Type.Optional(Type.String()),
  expires_in: Type.Optional(Type.Union([Type.Number(), Type.String({ pattern: '^[0-9]{1,9}$' })])),
  refresh_token: Type.Optional(Type.String()),
})

/** RFC 6749 §5.2. */
const refusals: ReadonlySet<unknown> = new Set([
  'invalid_client',
  'invalid_grant',
  'invalid_request',
  'invalid_scope',
  'invalid_target',
  'unauthorized_client',
  'unsupported_grant_type',
])

export async function requestToken(
  place: HttpsPlace,
  form: TokenForm,
  proof: ClientProof,
  { ask, rules }: Pick<MintWorld, 'ask' | 'rules'>,
): Promise<OAuthToken | string> {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(form)) if (value !== null) parameters.set(name, value)
  const fields = ['Content-Type', 'application/x-www-form-urlencoded', 'Accept', 'application/json']
  if (proof.by === 'basic') fields.push('Authorization', basicOf(proof.clientId, proof.clientSecret))
  if (proof.by === 'post') {
    parameters.set('client_id', proof.clientId)
    parameters.set('client_secret', proof.clientSecret)
  }
  const answer = await ask({ place, method: 'POST', path: place.path || '/', fields, body: parameters.toString() })
  return typeof answer === 'string' ? `its token endpoint cannot be asked: ${answer}` : parseToken(answer, rules)
}

/** Both halves are form-encoded before they are joined (RFC 6749 §2.3.1). */
function basicOf(id: string, secret: string): string {
  const encoded = (text: string): string => new URLSearchParams({ '': text }).toString().slice(1)
  return `Basic ${Buffer.from(`${encoded(id)}:${encoded(secret)}`, 'latin1').toString('base64')}`
}

function parseToken(answer: OwnAnswer, rules: SecretRules): OAuthToken | string {
  const said = jsonOf(answer)
  if (answer.status !== 200) return `its token endpoint answered ${answer.status}${refusalIn(said)}`
  if (!Value.Check(Answer, said)) return 'its token endpoint answered without a token'
  if (said.token_type !== undefined && said.token_type.toLowerCase() !== 'bearer')
    return 'its token endpoint gave a token that is no bearer token'
  const token = parseSecret(said.access_token, rules)
  if (typeof token === 'string') return `its token endpoint gave a token that ${token}`
  const refreshToken = said.refresh_token === undefined ? null : parseSecret(said.refresh_token, rules)
  if (typeof refreshToken === 'string') return `its token endpoint gave a refresh token that ${refreshToken}`
  return { token, lifetimeMs: lifetimeOf(said) * 1000, refreshToken }
}

function refusalIn(said: unknown): string {
  const error = typeof said === 'object' && said !== null && 'error' in said ? said.error : null
  return refusals.has(error) ? ` (${String(error)})` : ''
}

function lifetimeOf({ expires_in: seconds = lifetimeSecondsDefault }: Static<typeof Answer>): number {
  const counted = Number(seconds)
  return counted > 0 ? Math.min(counted, lifetimeSecondsMax) : lifetimeSecondsDefault
}
