/**
 * Contract of a secret source: where the value of a credential comes from.
 *
 * Promises of every source (held by test/conformance/secret-source.suite.ts): a value that vanished or went bad is null at
 * the next read, never the value from before; a problem is told without the value.
 */

import type { TSchema } from 'typebox'
import type { Secret, SecretRules } from './secret.ts'

export type SecretSource = {
  /** Null: not available, and `problem` says why. Never rejects; a promise only where the value is not at hand. */
  readonly read: () => Promise<Secret | null> | Secret | null
  /** For the operator, after the last read; null when it gave a secret. */
  readonly problem: () => string | null
  readonly close: () => void
}

/** What sources may know of the world. */
export type SecretWorld = {
  readonly variable: (name: string) => string | undefined
  /** Milliseconds, never backwards. */
  readonly now: () => number
}

export type SecretSourceKind = {
  /** The key under `secret:`. */
  readonly key: string
  readonly schema: TSchema
  readonly open: (reference: string, rules: SecretRules, world: SecretWorld) => SecretSource
}
