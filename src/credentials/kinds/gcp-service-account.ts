/**
 * A bearer token of a Google service account, got with its key (RFC 7523 §2.1). The secret is the key file in JSON; where
 * it says to send its proof is not believed, because the endpoint is configured here.
 */

import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { withField } from '../../net/outbound-head.ts'
import { type CredentialKind, kindKeys, parseKeys } from '../credential-kind.ts'
import { requestToken } from '../oauth-token.ts'
import { type HttpsPlace, HttpsUrl, OwnAddresses, parseHttpsPlace, urlOf } from '../own-request.ts'
import type { Problem } from '../shape-problems.ts'
import { signJwt } from '../signed-jwt.ts'

const tokenUrlDefault = 'https://oauth2.googleapis.com/token'
const proofSeconds = 600

const schema = kindKeys({
  scopes: Type.Array(Type.String({ pattern: '^[!-~]+$', maxLength: 512 }), {
    minItems: 1,
    maxItems: 50,
    description: 'a list of scopes such as https://www.googleapis.com/auth/devstorage.read_only',
  }),
  subject: Type.Optional(
    Type.String({ pattern: '^[!-~]+$', maxLength: 256, description: 'the user it acts for, where the domain lets it' }),
  ),
  tokenUrl: Type.Optional(HttpsUrl),
  addresses: Type.Optional(OwnAddresses),
})

type Spec = { readonly place: HttpsPlace; readonly scope: string; readonly subject: string | null }

const KeyFile = Type.Object({
  type: Type.Literal('service_account'),
  client_email: Type.String({ pattern: '^[!-~]+$' }),
  private_key: Type.String(),
  private_key_id: Type.Optional(Type.String()),
})

export const gcpServiceAccount: CredentialKind<Spec> = {
  kind: 'gcp-service-account',
  schema,
  secretShape: 'lines',
  parse: (raw) => {
    const parsed = parseKeys(schema, raw)
    if (parsed.kind === 'problems') return parsed
    const { scopes, subject = null, tokenUrl = tokenUrlDefault, addresses } = parsed.spec
    const problems: Problem[] = []
    const place = parseHttpsPlace({ url: tokenUrl, addresses }, { url: 'tokenUrl', addresses: 'addresses' }, problems)
    return problems.length > 0 || place === null
      ? { kind: 'problems', problems }
      : { kind: 'parsed', spec: { place, scope: scopes.join(' '), subject } }
  },
  owns: () => ({ fields: ['authorization'], parameters: [] }),
  apply: (head, _spec, token) => withField(head, 'Authorization', `Bearer ${token.reveal()}`),
  endpoint: ({ place }) => ({ place, path: place.path, clientId: null, dialect: 'assertion' }),
  mint:
    ({ place, scope, subject }, world) =>
    async (secret) => {
      const key = parseKeyFile(secret.reveal())
      if (key === null) return 'is not the key file of a service account'
      const now = Math.floor(world.epochMs() / 1000)
      const claims = { iss: key.client_email, scope, aud: urlOf(place), iat: now, exp: now + proofSeconds }
      const proof = { ...claims, ...(subject === null ? {} : { sub: subject }) }
      const assertion = await signJwt(key.private_key, proof, key.private_key_id ?? null)
      if (assertion === null) return 'holds no RSA key that can sign'
      const form = { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion }
      return requestToken(place, form, { by: 'none' }, world)
    },
}

function parseKeyFile(text: string) {
  try {
    const key: unknown = JSON.parse(text)
    return Value.Check(KeyFile, key) ? key : null
  } catch {
    return null
  }
}
