/**
 * The operator's ceiling: what the sessions of one control token may use (decision 1). Pure.
 *
 * Promises: what is judged is the expanded policy, inline ones too, so nothing is reached by way of `extends`; a list
 * that is missing allows nothing; every breach is named at once.
 */

import { type Cidr, contains } from '../net/ip.ts'
import type { Mode } from '../policy/policy.ts'

export type Ceiling = {
  /** Policies a session may have; `inline` among them allows policies given in the call. */
  readonly policies: ReadonlySet<string>
  /** Configured credentials, whatever slot of a policy they fill. */
  readonly credentials: ReadonlySet<string>
  /** Blocks that hold every `addresses` entry of the expanded policy. */
  readonly addresses: readonly Cidr[]
  readonly sources: readonly Cidr[]
  readonly modes: ReadonlySet<Mode>
  /** What an inline policy may extend, beside `policies`. */
  readonly extends: ReadonlySet<string>
}

/** What a session would have, after `extends` is expanded and credential slots are filled. */
export type SessionUse = {
  /** Null: given inline. */
  readonly policy: string | null
  /** Direct and indirect ones. */
  readonly extends: readonly string[]
  readonly credentials: readonly string[]
  readonly addresses: readonly Cidr[]
  readonly sources: readonly Cidr[]
  readonly mode: Mode
}

export type Breach = {
  readonly of: keyof Ceiling | 'labels'
  /** What was asked for and is not allowed. */
  readonly asked: string
}

/** Null is no ceiling. An empty list: allowed. */
export function decideCeiling(ceiling: Ceiling | null, use: SessionUse): readonly Breach[] {
  if (ceiling === null) return []
  const breaches: Breach[] = []
  const check = (of: Breach['of'], asked: string, allowed: boolean): void => {
    if (!allowed) breaches.push({ of, asked })
  }
  check('policies', use.policy ?? 'inline', ceiling.policies.has(use.policy ?? 'inline'))
  // A named policy is the operator's whole: what its file extends was reviewed with it. An inline one is not.
  if (use.policy === null) {
    for (const name of use.extends) check('extends', name, ceiling.extends.has(name) || ceiling.policies.has(name))
  }
  for (const name of use.credentials) check('credentials', name, ceiling.credentials.has(name))
  for (const block of use.addresses) check('addresses', block.text, holds(ceiling.addresses, block))
  for (const block of use.sources) check('sources', block.text, holds(ceiling.sources, block))
  check('modes', use.mode, ceiling.modes.has(use.mode))
  return breaches
}

/** Whether one of the blocks holds the whole of the asked one. Two halves do not make a whole: write the whole. */
function holds(allowed: readonly Cidr[], asked: Cidr): boolean {
  const first = { bits: asked.bits, value: asked.base, text: asked.text }
  return allowed.some((block) => block.length <= asked.length && contains(block, first))
}

export type Labels = Readonly<Record<string, string>>

/** Whether a session or record carries every label of the token: then, and only then, the token sees it. */
export function isVisible(tokenLabels: Labels, labels: Labels): boolean {
  return Object.entries(tokenLabels).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value)
}

/** The labels of a new session: the token's are forced on it, and asking for another value of one is a breach. */
export function decideLabels(
  tokenLabels: Labels,
  asked: Labels,
): { readonly labels: Labels; readonly breaches: readonly Breach[] } {
  const breaches = Object.entries(tokenLabels)
    .filter(([key, value]) => Object.hasOwn(asked, key) && asked[key] !== value)
    .map(([key]): Breach => ({ of: 'labels', asked: `${key}=${asked[key]}` }))
  return { labels: { ...asked, ...tokenLabels }, breaches }
}
