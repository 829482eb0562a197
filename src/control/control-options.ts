/** What the control API is given. It reaches the rest of the gateway through these functions and nothing else. */

import type { ExchangeRecord, RecordOutcome } from '../exchange/record.ts'
import type { Issue } from '../policy/issue.ts'
import type { PolicyBook } from '../policy/policy-book.ts'
import type { BookedSession } from '../sessions/booked-session.ts'
import type { SessionBook } from '../sessions/session-book.ts'
import type { ControlToken } from './control-token.ts'

type ControlSessions = Pick<
  SessionBook,
  'create' | 'dropToken' | 'get' | 'isExpired' | 'list' | 'patch' | 'revoke' | 'rotate' | 'shared'
>

type ControlPolicies = Pick<PolicyBook, 'compileInline' | 'get' | 'list' | 'usesOf'>

/** Policies that are made over the API, beside those of files, which are changed in their files. */
type ControlShelf = {
  readonly count: number
  /** As it was given; null: no policy of the API. */
  readonly documentOf: (name: string) => object | null
  /** What is wrong with it, also for the policies that extend it. */
  readonly check: (name: string, document: object) => readonly Issue[]
  /** Kept and in force when it resolves without an issue. `still` is asked when its turn has come; null: it said no. */
  readonly put: (name: string, document: object, still: () => boolean) => Promise<readonly Issue[] | null>
  readonly remove: (name: string, still: () => boolean) => Promise<readonly Issue[] | null>
}

export type ControlCredentials = {
  readonly names: ReadonlySet<string>
  /** What is wrong with a value for this credential, without the value; null: nothing. */
  readonly judgeValue: (name: string, value: string) => string | null
  /** `owner`: the control token it came with. */
  readonly seal: (owner: string, name: string, value: string) => string
}

/** Undefined: no condition. */
export type DecisionFilter = {
  readonly session?: string | undefined
  readonly outcome?: RecordOutcome | undefined
  readonly host?: string | undefined
  /** RFC 3339: what began at this time or later. */
  readonly since?: string | undefined
  readonly limit: number
  /** What the caller may see at all; the limit counts only these. */
  readonly visible: (record: ExchangeRecord) => boolean
  /** Labels that all of it carries. */
  readonly labels: Readonly<Record<string, string>>
}

/** A record as it fell: `line` is its JSON, `place` says where a reader was. */
export type FallenDecision = { readonly record: ExchangeRecord; readonly line: string; readonly place: string }

/** Listeners of single sessions. */
type ControlDoors = {
  /** Where it listens, or why it does not. */
  readonly open: (session: BookedSession, kind: 'port' | 'unix') => Promise<string | { readonly detail: string }>
  /** False: there was none. */
  readonly close: (id: string) => Promise<boolean>
}

export type ControlOptions = {
  readonly tokens: readonly ControlToken[]
  /** Names the API answers to, beside loopback and the configured address. */
  readonly hosts: readonly string[]
  readonly sessions: ControlSessions
  readonly policies: ControlPolicies
  readonly shelf: ControlShelf
  readonly doors: ControlDoors
  /** Newest first. */
  readonly decisions: (filter: DecisionFilter) => readonly ExchangeRecord[]
  /** Every record from now on; what is returned ends it. */
  readonly subscribe: (listener: (fallen: FallenDecision) => void) => () => void
  /** What fell behind a place, oldest first, at most so many bytes of the newest; `complete`: all of it. */
  readonly decisionsAfter: (
    place: string,
    passes: (record: ExchangeRecord) => boolean,
    bytesMax: number,
  ) => { readonly fallen: readonly FallenDecision[]; readonly complete: boolean }
  readonly metricsText: () => Promise<{ readonly contentType: string; readonly text: string }>
  /** `problems` are codes from a closed set: anyone may read them. */
  readonly ready: () => { readonly ready: boolean; readonly problems: readonly string[] }
  readonly proxyUrlFor: (id: string, token: string) => string
  readonly environmentFor: (session: BookedSession, token: string) => Readonly<Record<string, string>>
  /** PEM. */
  readonly caCertificate: string
  readonly credentials: ControlCredentials
  readonly defaultTtlSeconds: number
  readonly now: () => number
  readonly log: (message: string, error: unknown) => void
  readonly heartbeatMs?: number
  /** Wrong tokens of one address in a minute, before the next are answered with 429. */
  readonly tokenFailuresPerMinute?: number
  readonly streamsMax?: number
  readonly streamsPerTokenMax?: number
  readonly streamStalledMs?: number
}
