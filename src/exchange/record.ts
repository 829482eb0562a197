/**
 * The one description of what happened. Audit line, counters and log are functions of it; no room writes of its own.
 *
 * Never in it: a secret, a body, the values of a query string.
 */

import type { DenyReason } from '../policy/deny-reason.ts'
import type { LimitName } from '../sessions/budget.ts'
import type { FailureCode } from '../upstream/failure.ts'

/**
 * `allow` and `audit` passed, `deny` did not; `challenge` is a first request without proxy credentials (decision 40);
 * `interrupted` was ended by us under way, or by our end.
 */
export type RecordOutcome = 'abandoned' | 'allow' | 'audit' | 'challenge' | 'deny' | 'failed' | 'fault' | 'interrupted'

export type ExchangeRecord = {
  /** `open` when an exchange outlives a second, before more flows; `final` closes it. Only `final` ones are counted. */
  readonly event: 'final' | 'open'
  /** RFC 3339, UTC, milliseconds: when the exchange began. */
  readonly time: string
  readonly decisionId: string
  readonly session: string | null
  readonly labels: Readonly<Record<string, string>>
  /** The listener's address as configured. */
  readonly listener: string
  /** The client's address; null on a Unix socket. */
  readonly client: string | null
  readonly policy: string | null
  readonly policyVersion: number | null
  /** The policy's metric label: its name, or `inline`. */
  readonly policyLabel: string | null
  readonly rule: string | null
  /** The rule's host pattern, the only host that becomes a metric label; null: `other`. */
  readonly ruleHost: string | null
  readonly kind: 'connect' | 'request' | 'tunnel'
  readonly scheme: 'http' | 'https' | null
  readonly host: string | null
  readonly port: number | null
  readonly method: string | null
  /** Without the query. */
  readonly path: string | null
  readonly outcome: RecordOutcome
  /** Why it was denied, would have been (audit), or failed; which budget it was cut for; null otherwise. */
  readonly reason: DenyReason | FailureCode | null
  /** For the operator: what the agent is not told. */
  readonly detail: string | null
  /** What the client was told; null when it left first. */
  readonly status: number | null
  /** The address dialled. */
  readonly address: string | null
  /** Bytes of heads and bodies after decryption; of a tunnel, as they crossed. */
  readonly bytesUp: number
  readonly bytesDown: number
  /** Milliseconds. `decide` is our own work before the network; `connect` name, TCP and TLS; `firstByte` until the answer began. */
  readonly durations: {
    readonly total: number
    readonly decide: number | null
    readonly connect: number | null
    readonly firstByte: number | null
  }
  /** Names of the credentials put on. */
  readonly credentials: readonly string[]
  readonly redactions: number
  /** Placeholders of the session in a body that was judged: they pass, and open nothing there (decision 37). */
  readonly bodyPlaceholders: number
  /** Limits of the session that it came near (80 %) since the record before. */
  readonly nearLimits: readonly LimitName[]
  /** How many equal refusals this line stands for. */
  readonly repeated: number
}

/** Where records go. `accepting` false means that nothing new may be allowed: it could not be recorded. */
export type RecordSink = { readonly accepting: () => boolean; readonly append: (record: ExchangeRecord) => void }
