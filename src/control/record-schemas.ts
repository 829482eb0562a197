/** A decision and a verdict as the API hands them out; the values are made elsewhere, and a test holds the two together. */

import { Type } from 'typebox'
import { limitNames } from '../sessions/budget.ts'

const closed = { additionalProperties: false } as const

const textOrNull = (description?: string) =>
  Type.Union([Type.String(), Type.Null()], description === undefined ? {} : { description })
const numberOrNull = (description?: string) =>
  Type.Union([Type.Number(), Type.Null()], description === undefined ? {} : { description })

export const recordOutcomes = [
  'abandoned',
  'allow',
  'audit',
  'challenge',
  'deny',
  'failed',
  'fault',
  'interrupted',
] as const

export const DecisionView = Type.Object(
  {
    event: Type.Enum(['final', 'open'], { description: '`open` of what outlives a second; `final` closes it.' }),
    time: Type.String({ format: 'date-time', description: 'When the exchange began.' }),
    decisionId: Type.String(),
    session: textOrNull(),
    labels: Type.Record(Type.String(), Type.String()),
    listener: Type.String(),
    client: textOrNull('The address of the client; null on a Unix socket.'),
    policy: textOrNull(),
    policyVersion: numberOrNull(),
    policyLabel: textOrNull('As in metrics: the name of the policy, or `inline`.'),
    rule: textOrNull(),
    ruleHost: textOrNull(),
    kind: Type.Enum(['connect', 'request', 'tunnel']),
    scheme: Type.Union([Type.Literal('http'), Type.Literal('https'), Type.Null()]),
    host: textOrNull(),
    port: numberOrNull(),
    method: textOrNull(),
    path: textOrNull('Without the query.'),
    outcome: Type.Enum([...recordOutcomes]),
    reason: textOrNull('Why it was denied, would have been in audit mode, or failed.'),
    detail: textOrNull('What the sandbox is not told.'),
    status: numberOrNull('What the client was told; null when it left first.'),
    address: textOrNull('The address dialled.'),
    bytesUp: Type.Integer(),
    bytesDown: Type.Integer(),
    durations: Type.Object(
      { total: Type.Number(), decide: numberOrNull(), connect: numberOrNull(), firstByte: numberOrNull() },
      { ...closed, description: 'Milliseconds.' },
    ),
    credentials: Type.Array(Type.String(), { description: 'Names of those put on.' }),
    redactions: Type.Integer(),
    bodyPlaceholders: Type.Integer({ description: 'Placeholders of the session in a body that was judged.' }),
    nearLimits: Type.Array(Type.Enum([...limitNames]), {
      description: 'Limits of the session that it came past 80 % of.',
    }),
    repeated: Type.Integer({ description: 'How many equal refusals this stands for.' }),
  },
  { ...closed, description: 'One exchange, as in the audit log.' },
)

export const VerdictView = Type.Object(
  {
    verdict: Type.Enum(['allow', 'audit', 'deny']),
    rule: textOrNull('The rule that decided; null where none did.'),
    reason: textOrNull('Of a denial, or in audit mode of the denial that would have been.'),
    says: Type.String(),
    route: Type.Union([Type.Literal('intercept'), Type.Literal('plain'), Type.Literal('tunnel'), Type.Null()]),
    credential: textOrNull(),
    misses: Type.Array(
      Type.Object(
        { rule: Type.String(), action: Type.Enum(['allow', 'deny']), host: Type.String(), why: Type.String() },
        closed,
      ),
      { description: 'Rules that did not decide, each with the first thing that did not fit.' },
    ),
  },
  closed,
)
