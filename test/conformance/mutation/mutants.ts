/**
 * The checks of the gateway, each with the text that makes it and a text that unmakes it. A check that can go without
 * any case failing is not covered.
 */

import { awsMutants } from './aws-mutants.ts'
import { bodyMutants } from './body-mutants.ts'
import { budgetMutants } from './budget-mutants.ts'
import { replicaMutants } from './replica-mutants.ts'
import { controlMutants } from './control-mutants.ts'
import { credentialMutants } from './credential-mutants.ts'
import { exchangeMutants } from './exchange-mutants.ts'
import { h2Mutants } from './h2-mutants.ts'
import { httpMutants } from './http-mutants.ts'
import { netMutants } from './net-mutants.ts'
import { policyMutants } from './policy-mutants.ts'
import { redactMutants } from './redact-mutants.ts'
import { sandboxMutants } from './sandbox-mutants.ts'
import { webSocketMutants } from './websocket-mutants.ts'

export type Mutant = {
  /** Below `src`. */
  readonly file: string
  /** What is missing when it is applied. */
  readonly without: string
  /** Stands in the file exactly once. */
  readonly from: string
  readonly to: string
  /** Tests of the corpus to run: `framing`, `hosts`, … are `hostile-….test.ts`; others are named in full, with a folder where it is another. */
  readonly corpus: readonly string[]
  /** Pattern of the names of cases that should see it; all of the files where it is absent. */
  readonly cases?: string
  /** Unit tests that are asked when no case saw it, below `test/unit`. */
  readonly unit?: string
}

export const mutants: readonly Mutant[] = [
  ...netMutants,
  ...controlMutants,
  ...policyMutants,
  ...httpMutants,
  ...h2Mutants,
  ...exchangeMutants,
  ...redactMutants,
  ...webSocketMutants,
  ...sandboxMutants,
  ...credentialMutants,
  ...bodyMutants,
  ...awsMutants,
  ...budgetMutants,
  ...replicaMutants,
]
