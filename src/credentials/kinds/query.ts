/** A query parameter: `?key=<secret>`, for origins that take it nowhere else. */

import { type Static, Type } from 'typebox'
import { withQueryParameter } from '../../net/outbound-head.ts'
import { type CredentialKind, kindKeys, parseKeys } from '../credential-kind.ts'

const schema = kindKeys({
  parameter: Type.String({ pattern: '^[A-Za-z0-9._~-]{1,128}$', description: 'the name of a query parameter' }),
})

export const query: CredentialKind<Static<typeof schema>> = {
  kind: 'query',
  schema,
  parse: (raw) => parseKeys(schema, raw),
  owns: ({ parameter }) => ({ fields: [], parameters: [parameter] }),
  apply: (head, { parameter }, secret) => withQueryParameter(head, parameter, secret.reveal()),
}
