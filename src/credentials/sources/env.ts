/** `secret: { env: NAME }`: a variable of the gateway's own environment, which is handed in. */

import { Type } from 'typebox'
import { parseSecret } from '../secret.ts'
import type { SecretSourceKind } from '../secret-source.ts'

export const envSource: SecretSourceKind = {
  key: 'env',
  schema: Type.String({
    pattern: '^[A-Za-z_][A-Za-z0-9_]{0,255}$',
    description: 'the name of a variable of the gateway',
  }),
  open: (name, rules, { variable }) => {
    let problem: string | null = null
    return {
      read: () => {
        const value = variable(name)
        const secret = value === undefined ? 'is not set' : parseSecret(value, rules)
        problem = typeof secret === 'string' ? `variable ${name} ${secret}` : null
        return Promise.resolve(typeof secret === 'string' ? null : secret)
      },
      problem: () => problem,
      close: () => undefined,
    }
  },
}
