/**
 * A bearer token got with a client secret (RFC 6749 §4.4). The secret is the client's; it goes to the token endpoint and
 * nowhere else.
 */

import { type Static, Type } from 'typebox'
import { withField } from '../../net/outbound-head.ts'
import { type CredentialKind, kindKeys, parseKeys } from '../credential-kind.ts'
import { requestToken } from '../oauth-token.ts'
import { type HttpsPlace, HttpsUrl, OwnAddresses, parseHttpsPlace } from '../own-request.ts'
import type { Problem } from '../shape-problems.ts'

const Words = (description: string) => Type.String({ pattern: '^[ -~]+$', maxLength: 2048, description })

const schema = kindKeys({
  tokenUrl: HttpsUrl,
  clientId: Words('the id of the client; the secret is its secret'),
  authentication: Type.Optional(
    Type.Enum(['basic', 'post'], { description: 'how the client proves itself: basic, or post for form fields' }),
  ),
  scope: Type.Optional(Words('scopes, with spaces between')),
  audience: Type.Optional(Words('the audience, where the endpoint asks for one')),
  resource: Type.Optional(Words('the resource (RFC 8707), where the endpoint asks for one')),
  addresses: Type.Optional(OwnAddresses),
})

type Spec = { readonly place: HttpsPlace; readonly keys: Static<typeof schema> }

export const oauth2ClientCredentials: CredentialKind<Spec> = {
  kind: 'oauth2-client-credentials',
  schema,
  parse: (raw) => {
    const parsed = parseKeys(schema, raw)
    if (parsed.kind === 'problems') return parsed
    const keys = parsed.spec
    const problems: Problem[] = []
    const place = parseHttpsPlace(
      { url: keys.tokenUrl, addresses: keys.addresses },
      { url: 'tokenUrl', addresses: 'addresses' },
      problems,
    )
    return problems.length > 0 || place === null
      ? { kind: 'problems', problems }
      : { kind: 'parsed', spec: { place, keys } }
  },
  owns: () => ({ fields: ['authorization'], parameters: [] }),
  apply: (head, _spec, token) => withField(head, 'Authorization', `Bearer ${token.reveal()}`),
  endpoint: ({ place, keys }) => ({ place, path: place.path, clientId: keys.clientId, dialect: 'oauth' }),
  mint:
    ({ place, keys }, world) =>
    (secret) => {
      const { clientId, authentication = 'basic', scope = null, audience = null, resource = null } = keys
      return requestToken(
        place,
        { grant_type: 'client_credentials', scope, audience, resource },
        { by: authentication, clientId, clientSecret: secret.reveal() },
        world,
      )
    },
}
