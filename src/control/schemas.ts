/**
 * What goes in and out of the API, once: Fastify validates with these and `/v1/openapi.json` is made of them.
 *
 * Promises: every object is closed and every text bounded; a secret goes in at one place and comes out at none,
 * and there is no place for where one comes from.
 */

import { type Static, Type } from 'typebox'
import { PolicyBody, PolicyLimits } from '../policy/policy-schema.ts'
import { LabelsSchema } from './control-token.ts'
import { recordOutcomes } from './record-schemas.ts'

const closed = { additionalProperties: false } as const

/** Thirty days: a sandbox that lives longer asks again. */
const ttlSecondsMax = 2_592_000

export const PolicyName = Type.String({ minLength: 1, maxLength: 64 })
const Mode = Type.Union([Type.Literal('audit'), Type.Literal('enforce')])
const Refusal = Type.Union([Type.Literal('auto'), Type.Literal('connect'), Type.Literal('inside')])
const PolicyChoice = Type.Union([
  PolicyName,
  // What is inside is judged by the compiler of policies, which knows more to say about it than a schema does.
  Type.Object({}, { additionalProperties: true, description: 'A policy given inline: see PolicyBody.' }),
])
const CredentialName = Type.String({ pattern: '^[a-z0-9][a-z0-9_.-]{0,63}$' })
const OwnValue = Type.Object(
  { value: Type.String({ minLength: 1, maxLength: 65_536 }) },
  { ...closed, description: 'A value for this session; kind and hosts stay those of the configuration. Never shown.' },
)
const credentialsSay =
  'For a credential name of the policy: which configured credential fills it, or a value for this session.'
const Credentials = Type.Record(CredentialName, Type.Union([CredentialName, OwnValue]), {
  ...closed,
  maxProperties: 64,
  description: credentialsSay,
})
const CredentialChanges = Type.Record(CredentialName, Type.Union([CredentialName, OwnValue, Type.Null()]), {
  ...closed,
  maxProperties: 64,
  description: `${credentialsSay} Null: as configured. What is not named stays.`,
})
/** As in a call; null only in a change. */
export type CredentialWish = Static<typeof CredentialChanges>
const TtlSeconds = Type.Integer({ minimum: 1, maximum: ttlSecondsMax })

export const CreateSession = Type.Object(
  {
    policy: PolicyChoice,
    credentials: Type.Optional(Credentials),
    ttlSeconds: Type.Optional(TtlSeconds),
    mode: Type.Optional(Mode),
    labels: Type.Optional(LabelsSchema),
    limits: Type.Optional(PolicyLimits),
    sources: Type.Optional(
      Type.Array(Type.String({ maxLength: 64 }), {
        minItems: 1,
        maxItems: 64,
        description: 'Blocks of addresses the client must come from, beside having the token.',
      }),
    ),
    refusal: Type.Optional(Refusal),
  },
  closed,
)
export type CreateSession = Static<typeof CreateSession>

export const OpenDoor = Type.Object({ kind: Type.Union([Type.Literal('port'), Type.Literal('unix')]) }, closed)
export type OpenDoor = Static<typeof OpenDoor>

export const OpenedDoor = Type.Object(
  {
    address: Type.String({ description: '`unix:/…` or `host:port`: everyone there is this session.' }),
    proxyUrl: Type.Union([Type.String(), Type.Null()], { description: 'Without credentials; null of a Unix socket.' }),
  },
  closed,
)

export const PatchSession = Type.Object(
  {
    policy: Type.Optional(PolicyChoice),
    credentials: Type.Optional(CredentialChanges),
    ttlSeconds: Type.Optional(TtlSeconds),
    mode: Type.Optional(Type.Union([Mode, Type.Null()], { description: 'Null: as the policy says.' })),
    limits: Type.Optional(Type.Union([PolicyLimits, Type.Null()], { description: 'Null: as the policy says.' })),
  },
  { ...closed, minProperties: 1 },
)
export type PatchSession = Static<typeof PatchSession>

export const Explain = Type.Object(
  {
    policy: Type.Optional(PolicyChoice),
    session: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    method: Type.Optional(Type.String({ pattern: '^[A-Z]{1,32}$', description: 'Default: GET.' })),
    url: Type.String({ minLength: 1, maxLength: 8192 }),
  },
  closed,
)
export type Explain = Static<typeof Explain>

/** Query values are texts; a name that stands twice is a list to the parser and so refused. */
const Limit = Type.String({ pattern: '^(?:[1-9][0-9]{0,2}|1000)$', description: '1 to 1000; default 100.' })

export const SessionQuery = Type.Object(
  { limit: Type.Optional(Limit), cursor: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{1,256}$' })) },
  closed,
)
export type SessionQuery = Static<typeof SessionQuery>

const filter = {
  session: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
  outcome: Type.Optional(Type.Union(recordOutcomes.map((outcome) => Type.Literal(outcome)))),
  host: Type.Optional(Type.String({ minLength: 1, maxLength: 254 })),
}

export const StreamQuery = Type.Object(filter, closed)
export type StreamQuery = Static<typeof StreamQuery>

export const DecisionQuery = Type.Object(
  {
    ...filter,
    since: Type.Optional(
      Type.String({
        pattern: String.raw`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$`,
        description: 'RFC 3339.',
      }),
    ),
    limit: Type.Optional(Limit),
  },
  closed,
)
export type DecisionQuery = Static<typeof DecisionQuery>

/** Judged by the compiler of policies. */
export const PolicyDraft = Type.Record(Type.String(), Type.Unknown())
export type PolicyDraft = Static<typeof PolicyDraft>

export const PutPolicyQuery = Type.Object(
  { dryRun: Type.Optional(Type.Union([Type.Literal('true'), Type.Literal('false')])) },
  closed,
)
export type PutPolicyQuery = Static<typeof PutPolicyQuery>

const Time = Type.String({ description: 'RFC 3339, UTC.' })
const TimeOrNull = Type.Union([Time, Type.Null()])

const Usage = Type.Object({ used: Type.Integer(), limit: Type.Integer() }, closed)

export const SessionView = Type.Object(
  {
    id: Type.String(),
    state: Type.Union([Type.Literal('expired'), Type.Literal('live'), Type.Literal('unresolved')]),
    static: Type.Boolean({ description: 'From the configuration; it cannot be changed here.' }),
    policy: Type.String({ description: 'The name of the policy; of one given inline, the name it has or `inline`.' }),
    policyVersion: Type.Integer(),
    inline: Type.Boolean(),
    mode: Mode,
    labels: Type.Record(Type.String(), Type.String()),
    credentials: Type.Record(Type.String(), Type.String()),
    ownSecrets: Type.Array(Type.String(), { description: 'Credentials whose value came with the session.' }),
    sources: Type.Union([Type.Array(Type.String()), Type.Null()]),
    limits: PolicyLimits,
    refusal: Refusal,
    createdAt: Time,
    expiresAt: TimeOrNull,
    usage: Type.Object(
      {
        uploadBytes: Usage,
        downloadBytes: Usage,
        requestsPerMinute: Usage,
        concurrentConnections: Usage,
        distinctHosts: Usage,
      },
      { ...closed, description: 'What it has spent and holds of what it may, defaults included.' },
    ),
    counters: Type.Object(
      {
        allowed: Type.Integer(),
        denied: Type.Integer(),
        bytesUp: Type.Integer(),
        bytesDown: Type.Integer(),
        redactions: Type.Integer({ description: 'Places masked in answers.' }),
        open: Type.Integer({ description: 'Connections open now; a listener of its own is one of them.' }),
      },
      closed,
    ),
  },
  closed,
)
export type SessionView = Static<typeof SessionView>

export const CreatedSession = Type.Object(
  {
    id: Type.String(),
    token: Type.String({ description: 'Shown this once.' }),
    proxyUrl: Type.String(),
    env: Type.Record(Type.String(), Type.String()),
    caCertificate: Type.String({ description: 'PEM.' }),
    policyVersion: Type.Integer(),
    expiresAt: TimeOrNull,
  },
  closed,
)
export type CreatedSession = Static<typeof CreatedSession>

export const NewToken = Type.Object(
  { token: Type.String(), proxyUrl: Type.String(), env: Type.Record(Type.String(), Type.String()) },
  closed,
)

export const SessionPage = Type.Object(
  { sessions: Type.Array(SessionView), next: Type.Union([Type.String(), Type.Null()]) },
  closed,
)

export const PolicyView = Type.Object(
  {
    name: Type.String(),
    version: Type.Integer(),
    mode: Mode,
    rules: Type.Integer({ description: 'How many, with those of the policies it extends.' }),
    extends: Type.Array(Type.String()),
    credentials: Type.Array(Type.String()),
    addresses: Type.Array(Type.String()),
    origin: Type.Enum(['api', 'file'], { description: 'Where it is changed: shipped ones count as files.' }),
    sessions: Type.Integer({ description: 'Live sessions made of it, of those this token may see.' }),
  },
  closed,
)

export const OnePolicyView = Type.Object(
  {
    ...PolicyView.properties,
    document: Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()], {
      description: 'What was put, of a policy of the API.',
    }),
  },
  closed,
)

export const ProblemView = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  code: Type.String(),
  detail: Type.String(),
  issues: Type.Optional(
    Type.Array(Type.Object({ path: Type.String(), message: Type.String(), fix: Type.Optional(Type.String()) })),
  ),
})

export { PolicyBody }
