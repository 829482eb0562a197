/** `Authorization: Basic base64(username:secret)` (RFC 7617 §2). The secret is the password; `username` may be empty. */

import { type Static, Type } from 'typebox'
import { withField } from '../../net/outbound-head.ts'
import { type CredentialKind, kindKeys, parseKeys } from '../credential-kind.ts'

const schema = kindKeys({
  // No colon: it would move the border between name and password (RFC 7617 §2).
  username: Type.String({
    pattern: '^[ -9;-~]*$',
    maxLength: 256,
    description: 'a user name without a colon; for git hosts often x-access-token',
  }),
})

export const basic: CredentialKind<Static<typeof schema>> = {
  kind: 'basic',
  schema,
  parse: (raw) => parseKeys(schema, raw),
  owns: () => ({ fields: ['authorization'], parameters: [] }),
  apply: (head, { username }, secret) => {
    const pair = Buffer.from(`${username}:${secret.reveal()}`, 'latin1').toString('base64')
    return withField(head, 'Authorization', `Basic ${pair}`)
  },
}
