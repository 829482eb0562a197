/** A query parameter: `?key=<secret>`, for origins that take it nowhere else. */

import type { Static } from 'typebox'
import { withQueryParameter } from '../../net/outbound-head.ts'
import { type CredentialKind, kindKeys, parseKeys } from '../credential-kind.ts'
import { ParameterName } from '../parameter-name.ts'

const schema = kindKeys({
  parameter: ParameterName,
})

export const query: CredentialKind<Static<typeof schema>> = {
  kind: 'query',
  schema,
  parse: (raw) => parseKeys(schema, raw),
  owns: ({ parameter }) => ({ fields: [], parameters: [parameter] }),
  apply: (head, { parameter }, secret) => withQueryParameter(head, parameter, secret.reveal()),
}
