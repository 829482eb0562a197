/** A policy as the API shows it, and to whom. */

import type { Static } from 'typebox'
import type { Policy } from '../policy/policy.ts'
import { isVisible } from './ceiling.ts'
import type { ControlOptions } from './control-options.ts'
import type { ControlToken } from './control-token.ts'
import type { PolicyView } from './schemas.ts'

export function mayMeet({ ceiling }: ControlToken, name: string): boolean {
  return ceiling === null || ceiling.policies.has(name) || ceiling.extends.has(name)
}

/** Live sessions by the policy they are made of, of those this token may see. */
export function sessionCounts({ sessions }: ControlOptions, token: ControlToken): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const session of sessions.list()) {
    const { policy } = session.stored
    if (!('name' in policy) || sessions.isExpired(session) || !isVisible(token.labels, session.current.labels)) continue
    counts.set(policy.name, (counts.get(policy.name) ?? 0) + 1)
  }
  return counts
}

export function viewPolicy(
  { policies, shelf }: Pick<ControlOptions, 'policies' | 'shelf'>,
  policy: Policy,
  counts: ReadonlyMap<string, number>,
  name = policy.name,
): Static<typeof PolicyView> {
  const uses = policies.usesOf(policy)
  const isOfFile = policies.get(name) !== null && shelf.documentOf(name) === null
  return {
    name,
    version: policy.version,
    mode: policy.mode,
    rules: policy.rules.length,
    extends: [...uses.extends],
    credentials: [...uses.credentials],
    addresses: [...uses.addresses].map((block) => block.text),
    origin: isOfFile ? 'file' : 'api',
    sessions: counts.get(name) ?? 0,
  }
}
