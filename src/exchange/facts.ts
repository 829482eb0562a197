/**
 * What is known of an exchange while it walks: filled in room by room, read once at the end.
 *
 * Promises: each exchange ends in one record, made here from its facts and its outcome, whatever happened between.
 */

import type { Authority, Scheme } from '../net/authority.ts'
import type { Deny } from '../policy/decision.ts'
import type { DenyReason } from '../policy/deny-reason.ts'
import type { Policy, Rule } from '../policy/policy.ts'
import type { LimitName } from '../sessions/budget.ts'
import { noCredentials } from '../sessions/identify.ts'
import type { LiveSession } from '../sessions/session.ts'
import type { FailureCode } from '../upstream/failure.ts'
import type { Outcome } from './outcome.ts'
import type { ExchangeRecord, RecordOutcome } from './record.ts'

/** Times are `performance.now()`, milliseconds. */
export class Facts {
  readonly decisionId: string
  readonly startedAt: number
  readonly wallStart: number
  readonly listener: string
  readonly client: string | null
  kind: ExchangeRecord['kind']
  session: LiveSession | null = null
  /** The policy as it was when it decided. */
  policy: Policy | null = null
  rule: Rule | null = null
  scheme: Scheme | null = null
  authority: Authority | null = null
  method: string | null = null
  path: string | null = null
  /** In audit mode: the refusal that was let through. */
  wouldDeny: Deny | null = null
  address: string | null = null
  /** What the parent proxy was asked for, where one lies between. */
  via: string | null = null
  bytesUp = 0
  bytesDown = 0
  decidedAt: number | null = null
  connectMs: number | null = null
  firstByteAt: number | null = null
  credentials: readonly string[] = []
  redactions = 0
  bodyPlaceholders = 0
  /** Limits that the session came near meanwhile. */
  nearLimits: readonly LimitName[] = noLimits
  /** Whether the `open` line was written. */
  opened = false

  constructor(start: Pick<Facts, 'client' | 'decisionId' | 'kind' | 'listener' | 'startedAt' | 'wallStart'>) {
    this.decisionId = start.decisionId
    this.startedAt = start.startedAt
    this.wallStart = start.wallStart
    this.listener = start.listener
    this.client = start.client
    this.kind = start.kind
  }

  /** Whether the session has come near a limit since one of its records said so: this one's next does. */
  nearsLimits(): boolean {
    const news = this.session?.budget.takeNews() ?? noLimits
    this.nearLimits = news
    return news.length > 0
  }

  /** The line that says an exchange is under way. */
  openRecord(now: number): ExchangeRecord {
    return this.#record(
      'open',
      this.wouldDeny === null ? 'allow' : 'audit',
      this.wouldDeny?.reason ?? null,
      null,
      null,
      now,
    )
  }

  finalRecord(outcome: Outcome, status: number | null, now: number): ExchangeRecord {
    const { said, reason, detail } = wordsOf(outcome, this.wouldDeny)
    this.nearsLimits()
    const record = this.#record('final', said, reason, detail ?? this.via, status, now)
    // A refusal names the rule that refused, or came nearest.
    return outcome.kind === 'deny' && outcome.rule !== null ? { ...record, rule: outcome.rule } : record
  }

  #record(
    event: ExchangeRecord['event'],
    outcome: RecordOutcome,
    reason: DenyReason | FailureCode | null,
    detail: string | null,
    status: number | null,
    now: number,
  ): ExchangeRecord {
    const { startedAt } = this
    return {
      event,
      time: textOfTime(this.wallStart),
      decisionId: this.decisionId,
      session: this.session?.id ?? null,
      labels: this.session?.current.labels ?? noLabels,
      listener: this.listener,
      client: this.client,
      policy: this.policy?.name ?? null,
      policyVersion: this.policy?.version ?? null,
      policyLabel: this.policy?.label ?? null,
      rule: this.rule?.id ?? null,
      ruleHost: this.rule?.host.text ?? null,
      kind: this.kind,
      scheme: this.scheme,
      host: this.authority?.host.name ?? null,
      port: this.authority?.port ?? null,
      method: this.method,
      path: this.path,
      outcome,
      reason,
      detail,
      status,
      address: this.address,
      bytesUp: this.bytesUp,
      bytesDown: this.bytesDown,
      durations: {
        total: rounded(now - startedAt),
        decide: this.decidedAt === null ? null : rounded(this.decidedAt - startedAt),
        connect: this.connectMs === null ? null : rounded(this.connectMs),
        firstByte: this.firstByteAt === null ? null : rounded(this.firstByteAt - startedAt),
      },
      credentials: this.credentials,
      redactions: this.redactions,
      bodyPlaceholders: this.bodyPlaceholders,
      nearLimits: this.nearLimits,
      repeated: 1,
    }
  }
}

type Words = {
  readonly said: RecordOutcome
  readonly reason: DenyReason | FailureCode | null
  readonly detail: string | null
}

function wordsOf(outcome: Outcome, wouldDeny: Deny | null): Words {
  switch (outcome.kind) {
    case 'abandoned':
      return { said: 'abandoned', reason: null, detail: outcome.detail }
    case 'interrupted':
      return { said: 'interrupted', reason: outcome.reason, detail: outcome.detail }
    case 'completed':
      return wouldDeny === null
        ? { said: 'allow', reason: null, detail: null }
        : { said: 'audit', reason: wouldDeny.reason, detail: wouldDeny.detail }
    case 'deny':
      // The first request of a client that waits to be asked is no refusal (decision 40).
      return {
        said: outcome.detail === noCredentials ? 'challenge' : 'deny',
        reason: outcome.reason,
        detail: outcome.detail,
      }
    case 'failed':
      return { said: 'failed', reason: outcome.code, detail: describe(outcome.cause) }
    case 'fault':
      return { said: 'fault', reason: null, detail: describe(outcome.error) }
  }
}

/** Many exchanges begin in the same millisecond. */
let lastTime = { milliseconds: 0, text: '1970-01-01T00:00:00.000Z' }

function textOfTime(milliseconds: number): string {
  if (milliseconds !== lastTime.milliseconds) lastTime = { milliseconds, text: new Date(milliseconds).toISOString() }
  return lastTime.text
}

const noLimits: readonly LimitName[] = Object.freeze([])
const noLabels: Readonly<Record<string, string>> = Object.freeze({})

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 100) / 100
}
