/**
 * The shape of a policy file and of an inline policy. One source for validation, for the API and for editors.
 *
 * Promises: unknown keys are errors, everything is bounded, and what the schema lets pass still has to become values in
 * `parse-policy.ts`.
 */

import { type Static, Type } from 'typebox'
import { knownMethods } from '../net/request-head.ts'

const closed = { additionalProperties: false }

/** A name that is safe in a file name, a metric label and a shell: `coding-agent`, `team.a_2`. */
export const nameText = '^[a-z0-9][a-z0-9._-]{0,63}$'
const Name = Type.String({ pattern: nameText, description: 'Lower-case letters, digits, dots, dashes, underscores.' })

const text = (maxLength: number, description: string) => Type.String({ minLength: 1, maxLength, description })

const pattern = text(2048, 'Text; * stands for any text, a leading ! for all texts but these.')
const Patterns = Type.Array(pattern, { minItems: 1, maxItems: 100 })

const PolicyRule = Type.Object(
  {
    action: Type.Optional(
      Type.Enum(['allow', 'deny', 'set'], {
        description: 'Default: allow. Deny beats allow; set says what allowed requests go out with.',
      }),
    ),
    host: text(300, 'example.org, *.example.org (below), **.example.org (both), api-*.example.org, or an IP literal.'),
    ports: Type.Optional(
      Type.Array(Type.Integer({ minimum: 1, maximum: 65535 }), {
        minItems: 1,
        maxItems: 1000,
        description: 'Default: 80 and 443; 443 with a credential; all for a deny rule.',
      }),
    ),
    methods: Type.Optional(
      Type.Array(Type.String({ maxLength: 64 }), {
        minItems: 1,
        maxItems: 64,
        description: `Default: all. Of ${knownMethods.join(', ')}.`,
      }),
    ),
    paths: Type.Optional(
      Type.Array(text(2048, '* inside a segment, ** across segments, nothing else special.'), {
        minItems: 1,
        maxItems: 1000,
      }),
    ),
    query: Type.Optional(
      Type.Record(Type.String(), Type.String({ maxLength: 2048 }), {
        minProperties: 1,
        maxProperties: 32,
        description: 'Parameters that must be there exactly once with exactly this value.',
      }),
    ),
    headers: Type.Optional(
      Type.Record(Type.String(), Patterns, {
        minProperties: 1,
        maxProperties: 32,
        description:
          'Header fields and the values they may have: { x-amz-acl: [private] }; all of the fields must fit.',
      }),
    ),
    body: Type.Optional(
      Type.Record(Type.String(), Patterns, {
        minProperties: 1,
        maxProperties: 32,
        description: 'Fields of a JSON body and the values they must have: { "tools.*.type": [mcp, "web_*"] }.',
      }),
    ),
    set: Type.Optional(
      Type.Record(Type.String(), Type.Unsafe<string | null>({ type: ['string', 'null'], maxLength: 4096 }), {
        minProperties: 1,
        maxProperties: 32,
        description:
          "Header fields that go out with this value, or, with null, do not go out: the client's own never do.",
      }),
    ),
    addresses: Type.Optional(
      Type.Array(text(64, 'CIDR block: 10.2.0.0/16.'), {
        minItems: 1,
        maxItems: 1000,
        description: 'Every address of the host must lie in these blocks.',
      }),
    ),
    tls: Type.Optional(Type.Enum(['auto', 'intercept', 'tunnel'])),
    credential: Type.Optional(Name),
    foreignCredentials: Type.Optional(Type.Enum(['allow', 'deny', 'strip'])),
    ranges: Type.Optional(
      Type.Boolean({
        description: 'Default: false, an answer to a request with a credential comes whole. For storage hosts.',
      }),
    ),
    cookies: Type.Optional(
      Type.Enum(['jar', 'strip'], {
        description:
          'Beside a credential. Default: strip. jar: cookies that the origin set in this session go back to it.',
      }),
    ),
    unsafeUncheckedBody: Type.Optional(
      Type.Boolean({ description: 'Bodies are not looked through for credentials, and may be as large as they like.' }),
    ),
    unsafeAnyHost: Type.Optional(Type.Boolean({ description: 'Needed beside host: "*".' })),
  },
  closed,
)

const count = (description: string) => Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000_000, description }))
// Numbers stay numbers only so that the complaint can name the unit that is missing.
const amount = (description: string) =>
  Type.Optional(Type.Unsafe<number | string>({ type: ['integer', 'string'], maxLength: 32, description }))

const spending = {
  uploadBytes: amount('Bytes: 50MiB, 2GB, 4096.'),
  downloadBytes: amount('Bytes: 50MiB, 2GB, 4096.'),
  requestsPerMinute: count('Requests in any minute.'),
}

export const PolicyLimits = Type.Object(
  {
    ...spending,
    concurrentConnections: count('Connections open at once.'),
    distinctHosts: count('Different hosts in the life of the session.'),
    idleTimeout: amount('Duration: 30s, 10m, 1h.'),
    tunnelDuration: amount('Duration: 30s, 10m, 1h.'),
    perHost: Type.Optional(
      Type.Object(spending, { ...closed, description: 'Of these, what may be spent on any one host.' }),
    ),
  },
  closed,
)

const PolicyExpectation = Type.Object(
  {
    allow: Type.Optional(text(4096, 'POST https://host/path')),
    deny: Type.Optional(text(4096, 'POST https://host/path')),
    because: Type.Optional(text(64, 'The reason a denial must have.')),
    headers: Type.Optional(
      Type.Record(Type.String({ maxLength: 128 }), Type.String({ maxLength: 4096 }), {
        description: 'Further header fields of the request.',
      }),
    ),
    body: Type.Optional(Type.Unknown({ description: 'Its body, sent as JSON.' })),
  },
  closed,
)

const body = {
  description: Type.Optional(Type.String({ maxLength: 4096 })),
  extends: Type.Optional(Type.Array(Name, { maxItems: 100, description: 'Policies whose rules are joined to these.' })),
  mode: Type.Optional(Type.Enum(['enforce', 'audit'])),
  rules: Type.Optional(Type.Array(PolicyRule, { maxItems: 200_000 })),
  limits: Type.Optional(PolicyLimits),
  tests: Type.Optional(Type.Array(PolicyExpectation, { maxItems: 10_000 })),
}

/** A policy file. */
export const PolicyFile = Type.Object({ version: Type.Literal(1), name: Name, ...body }, closed)
export type PolicyFile = Static<typeof PolicyFile>

/** A policy given inline over the API. */
export const PolicyBody = Type.Object(
  { version: Type.Optional(Type.Literal(1)), name: Type.Optional(Name), ...body },
  closed,
)
export type PolicyBody = Static<typeof PolicyBody>
