/** Which variables a configuration reads secrets from. Pure. */

import type { Config } from '../config/config-schema.ts'

export function secretVariablesOf({ credentials, control, sessions, upstream }: Config): Set<string> {
  const names = new Set<string>()
  for (const { secret } of credentials) for (const variable of secret.variables) names.add(variable)
  for (const { secret } of control.tokens) if ('env' in secret) names.add(secret.env)
  if (sessions.secretKey !== null && 'env' in sessions.secretKey) names.add(sessions.secretKey.env)
  for (const { token } of sessions.static) if (token !== null) names.add(token.env)
  for (const variable of upstream.proxy?.login?.secret.variables ?? []) names.add(variable)
  return names
}
