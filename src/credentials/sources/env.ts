/** `secret: { env: NAME }`: a variable of the gateway's own environment, which is handed in. */

import { type Static, Type } from 'typebox'
import { kindKeys, parseKeys } from '../credential-kind.ts'
import { parseSecret, type Secret } from '../secret.ts'
import type { SecretSourceKind } from '../secret-source.ts'

const schema = kindKeys({
  env: Type.String({
    pattern: '^[A-Za-z_][A-Za-z0-9_]{0,255}$',
    description: 'the name of a variable of the gateway',
  }),
})

export const envSource: SecretSourceKind<Static<typeof schema>> = {
  key: 'env',
  schema,
  parse: (raw) => parseKeys(schema, raw),
  variables: ({ env }) => [env],
  open: ({ env: name }, rules, { variable }) => {
    let problem: string | null = null
    let last: { readonly value: string | undefined; readonly secret: Secret | string } | null = null
    return {
      read: () => {
        const value = variable(name)
        // The same text is the same secret: it is not looked through again for every request.
        if (last === null || last.value !== value)
          last = { value, secret: value === undefined ? 'is not set' : parseSecret(value, rules) }
        const { secret } = last
        problem = typeof secret === 'string' ? `variable ${name} ${secret}` : null
        return typeof secret === 'string' ? null : secret
      },
      problem: () => problem,
      close: () => undefined,
    }
  },
}
