/** `secret: { session: required }`: no value of the gateway's own; each session brings one, or the credential is not available. */

import { type Static, Type } from 'typebox'
import { kindKeys, parseKeys } from '../credential-kind.ts'
import type { SecretSourceKind } from '../secret-source.ts'

const schema = kindKeys({
  session: Type.Literal('required', { description: '"required": the value is given with each session' }),
})

export const sessionSource: SecretSourceKind<Static<typeof schema>> = {
  key: 'session',
  schema,
  parse: (raw) => parseKeys(schema, raw),
  variables: () => [],
  open: () => ({
    read: () => null,
    problem: () => 'has no value but what a session brings',
    close: () => undefined,
  }),
}
