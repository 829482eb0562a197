/** `Authorization: Bearer <secret>` (RFC 6750 §2.1). */

import type { Static } from 'typebox'
import { withField } from '../../net/outbound-head.ts'
import { type CredentialKind, kindKeys, parseKeys } from '../credential-kind.ts'

const schema = kindKeys({})

export const bearer: CredentialKind<Static<typeof schema>> = {
  kind: 'bearer',
  schema,
  parse: (raw) => parseKeys(schema, raw),
  owns: () => ({ fields: ['authorization'], parameters: [] }),
  apply: (head, _spec, secret) => withField(head, 'Authorization', `Bearer ${secret.reveal()}`),
}
