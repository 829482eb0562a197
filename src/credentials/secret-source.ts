/**
 * Contract of a secret source: where the value of a credential comes from.
 *
 * Promises of every source (held by test/conformance/secret-source.suite.ts): a value that vanished or went bad is null at
 * the next read, never the value from before; a problem is told without the value.
 */

import type { TObject } from 'typebox'
import type { HttpsPlace, OwnNetwork } from './own-request.ts'
import type { Secret, SecretRules } from './secret.ts'
import type { Parsed } from './shape-problems.ts'

export type SecretSource = {
  /** Null: not available, and `problem` says why. Never rejects; a promise only where the value is not at hand. */
  readonly read: () => Promise<Secret | null> | Secret | null
  /** For the operator, after the last read; null when it gave a secret. */
  readonly problem: () => string | null
  /** For a source that keeps what it fetched: an origin did not take the value, so it is fetched again, once. */
  readonly refused?: () => void
  readonly close: () => void
}

/** What sources may know of the world. */
export type SecretWorld = {
  readonly variable: (name: string) => string | undefined
  /** Milliseconds, never backwards. */
  readonly now: () => number
  /** Absent where no secret will be read. */
  readonly network?: OwnNetwork
}

export type SecretSourceKind<Spec> = {
  /** The key under `secret:` that chooses it. */
  readonly key: string
  /** All keys under `secret:`, that one among them. */
  readonly schema: TObject
  /** Turns those keys into a Spec, or says everything that is wrong with them. */
  readonly parse: (raw: unknown) => Parsed<Spec>
  /** Names of the gateway's variables that hold a secret: no child of ours gets them. */
  readonly variables: (spec: Spec) => readonly string[]
  /** Files that hold one: hidden from a child that has a view of its own. */
  readonly files?: (spec: Spec) => readonly string[]
  /** Where secrets are kept, and no sandbox may get to. */
  readonly vault?: (spec: Spec) => HttpsPlace
  readonly open: (spec: Spec, rules: SecretRules, world: SecretWorld) => SecretSource
}

/** A source with its spec: all that a credential needs of it. */
export type SecretReference = {
  readonly source: string
  readonly variables: readonly string[]
  readonly files: readonly string[]
  readonly vault: HttpsPlace | null
  readonly open: (rules: SecretRules, world: SecretWorld) => SecretSource
}

/** A source whose spec nobody outside it sees, so that sources of different specs fit one list. */
export type AnySecretSourceKind = {
  readonly key: string
  readonly schema: TObject
  readonly parse: (raw: unknown) => Parsed<SecretReference>
}

export function sealSource<Spec>(kind: SecretSourceKind<Spec>): AnySecretSourceKind {
  return {
    key: kind.key,
    schema: kind.schema,
    parse: (raw) => {
      const parsed = kind.parse(raw)
      if (parsed.kind === 'problems') return parsed
      const { spec } = parsed
      return {
        kind: 'parsed',
        spec: {
          source: kind.key,
          variables: kind.variables(spec),
          files: kind.files?.(spec) ?? [],
          vault: kind.vault?.(spec) ?? null,
          open: (rules, world) => kind.open(spec, rules, world),
        },
      }
    },
  }
}
