/**
 * Which credentials a session would have, and which values of its own: what is asked for, over what it had. Pure but for the
 * seal it is given.
 *
 * Promises: a value is for a credential of the configuration that this session uses, which says its kind and hosts; it
 * leaves here sealed, and no problem repeats it; what is named anew loses the value from before.
 */

import type { ControlCredentials } from './control-options.ts'
import { type Problem, type ProblemIssue, problemOf } from './problem.ts'
import type { CredentialWish } from './schemas.ts'

type Texts = Readonly<Record<string, string>>

export type Bindings = {
  /** Credential name of the policy to the configured one that fills it. */
  readonly credentials: Texts
  /** Configured credential to the sealed value that came with the session; null: none did. */
  readonly secrets: Texts | null
}

export function planCredentials(
  configured: ControlCredentials,
  owner: string,
  slots: ReadonlySet<string>,
  asked: CredentialWish,
  kept: Bindings,
): Bindings | Problem {
  const issues = new Map<'credential_unknown' | 'secret_invalid', ProblemIssue[]>()
  const complain = (code: 'credential_unknown' | 'secret_invalid', path: string, message: string): void => {
    issues.set(code, [...(issues.get(code) ?? []), { path, message }])
  }
  const bound = new Map(Object.entries(kept.credentials))
  const sealed = new Map(Object.entries(kept.secrets ?? {}))
  for (const [slot, filling] of Object.entries(asked)) {
    const path = `/credentials/${slot}`
    const name = typeof filling === 'string' ? filling : slot
    bound.set(slot, name)
    sealed.delete(slot)
    if (!slots.has(slot)) complain('credential_unknown', path, 'the policy has no credential of this name')
    // The text is not repeated: it may be a secret that was written in the wrong place.
    if (filling !== null && !configured.names.has(name)) complain('credential_unknown', path, 'is not configured')
    else if (typeof filling === 'object' && filling !== null) {
      const wrong = configured.judgeValue(name, filling.value)
      if (wrong === null) sealed.set(name, configured.seal(owner, name, filling.value))
      else complain('secret_invalid', `${path}/value`, wrong)
    }
  }
  const [first] = issues
  if (first !== undefined) return problemOf(first[0], 'kinds and hosts of credentials are configured', first[1])
  return settle(configured, slots, bound, sealed, kept.secrets)
}

/** What has lost its slot or its credential since is nobody's mistake and falls away. */
function settle(
  configured: ControlCredentials,
  slots: ReadonlySet<string>,
  bound: ReadonlyMap<string, string>,
  sealed: ReadonlyMap<string, string>,
  before: Texts | null,
): Bindings {
  const credentials: Record<string, string> = {}
  for (const slot of slots) {
    const filling = bound.get(slot) ?? slot
    if (configured.names.has(filling)) credentials[slot] = filling
  }
  const used = new Set(Object.values(credentials))
  const secrets = [...sealed].filter(([name]) => used.has(name))
  if (secrets.length === 0) return { credentials, secrets: null }
  const isAsBefore =
    before !== null &&
    secrets.length === Object.keys(before).length &&
    secrets.every(([name, text]) => before[name] === text)
  return { credentials, secrets: isAsBefore ? before : Object.fromEntries(secrets) }
}
