/**
 * The configuration: its shape in the file, its values once parsed, and its defaults. It composes what the folders
 * declare for themselves.
 *
 * Promises: unknown keys are errors; no place for a secret's value exists, only for where it comes from.
 */

import { type Static, Type } from 'typebox'
import { ControlTokenSpec, LabelsSchema } from '../control/control-token.ts'
import { type Credential, credentialsSchema } from '../credentials/credential-schema.ts'
import type { Cidr, Ip } from '../net/ip.ts'
import type { Mode } from '../policy/policy.ts'
import { nameText } from '../policy/policy-schema.ts'
import type { RefusalMode } from '../sessions/session.ts'
import { peerNamePattern } from '../tls/peer-name.ts'
import { type ListenerTls, ListenerTlsShape } from './parse-listener.ts'
import { type ParentConfig, ParentShape } from './parse-parent.ts'
import { type ProcessLimitKey, type ProcessLimits, processLimitKeys, processLimits } from './process-limits.ts'
import { type RedisConfig, type SecretPlace, StateKeySchema, StoreSchema } from './store-schema.ts'

const closed = { additionalProperties: false }
const Name = Type.String({ pattern: nameText })
const Path = Type.String({ minLength: 1, maxLength: 4096 })
const PathOrNull = Type.Unsafe<string | null>({ type: ['string', 'null'], minLength: 1, maxLength: 4096 })
const Address = Type.String({ minLength: 3, maxLength: 300, description: '127.0.0.1:3128, [::1]:3128 or unix:/path' })
const Blocks = Type.Array(Type.String({ maxLength: 64 }), { minItems: 1, maxItems: 1000 })
const Amount = Type.Unsafe<number | string>({ type: ['integer', 'string'], maxLength: 32 })

const Listener = Type.Object(
  {
    address: Address,
    session: Type.Optional(Type.String({ pattern: nameText, description: 'Everyone here is this static session.' })),
    tls: Type.Optional(ListenerTlsShape),
    balancers: Type.Optional(Blocks),
  },
  closed,
)

const StaticSession = Type.Object(
  {
    id: Name,
    policy: Name,
    mode: Type.Optional(Type.Enum(['audit', 'enforce'])),
    labels: Type.Optional(LabelsSchema),
    credentials: Type.Optional(
      Type.Record(Type.String(), Name, { description: 'Credential name of the policy to the configured one.' }),
    ),
    refusal: Type.Optional(Type.Enum(['auto', 'connect', 'inside'])),
    sources: Type.Optional(Blocks),
    certificate: Type.Optional(
      Type.String({ pattern: peerNamePattern, maxLength: 2048, description: 'spiffe://… or CN=…' }),
    ),
    token: Type.Optional(
      Type.Object({ env: Type.String({ minLength: 1, description: 'The variable that holds the token.' }) }, closed),
    ),
  },
  closed,
)

const SecretKey = Type.Unsafe<{ readonly env?: string; readonly file?: string } | null>({
  type: ['object', 'null'],
  description: 'Where the key is that seals the values sessions bring; null: one beside the sessions.',
  properties: { env: Type.String({ minLength: 1 }), file: Path },
  minProperties: 1,
  maxProperties: 1,
  ...closed,
})

const limits = Type.Unsafe<Partial<Record<ProcessLimitKey, number | string>>>({
  type: 'object',
  description: 'Of the whole process.',
  properties: Object.fromEntries(
    processLimitKeys.map((key) => [
      key,
      { ...Amount, description: processLimits[key].why, default: processLimits[key].default },
    ]),
  ),
  ...closed,
})

const OwnCa = Type.Unsafe<{ readonly certificate: string; readonly key: string } | null>({
  type: ['object', 'null'],
  properties: { certificate: Path, key: Path },
  required: ['certificate', 'key'],
  ...closed,
})

const sections = {
  version: Type.Literal(1),
  listeners: Type.Optional(Type.Array(Listener, { minItems: 1, maxItems: 1000 })),
  stateDirectory: Type.Optional(Path),
  publicDirectory: Type.Optional(PathOrNull),
  ca: Type.Optional(OwnCa),
  stateKey: Type.Optional(StateKeySchema),
  policies: Type.Optional(PathOrNull),
  sessions: Type.Optional(
    Type.Object(
      {
        store: Type.Optional(StoreSchema),
        defaultTtl: Type.Optional(Type.String({ maxLength: 32, description: '30m, 1h' })),
        secretKey: Type.Optional(SecretKey),
        doors: Type.Optional(
          Type.Object(
            {
              directory: Type.Optional(Path),
              address: Type.Optional(
                Type.String({ maxLength: 64, description: 'Where ports of sessions are, as 127.0.0.1.' }),
              ),
            },
            closed,
          ),
        ),
        static: Type.Optional(Type.Array(StaticSession, { maxItems: 1000 })),
      },
      closed,
    ),
  ),
  upstream: Type.Optional(
    Type.Object(
      {
        proxy: Type.Optional(ParentShape),
        roots: Type.Optional(Type.Enum(['bundled', 'system'])),
        extraCa: Type.Optional(PathOrNull),
        dns: Type.Optional(
          Type.Object(
            {
              servers: Type.Optional(
                Type.Unsafe<readonly string[] | null>({
                  type: ['array', 'null'],
                  items: { type: 'string' },
                  minItems: 1,
                }),
              ),
              hosts: Type.Optional(
                Type.Record(
                  Type.String(),
                  Type.Unsafe<string | readonly string[]>({
                    type: ['array', 'string'],
                    items: { type: 'string' },
                    minItems: 1,
                  }),
                ),
              ),
            },
            closed,
          ),
        ),
      },
      closed,
    ),
  ),
  audit: Type.Optional(
    Type.Object(
      {
        file: Type.Optional(PathOrNull),
        stdout: Type.Optional(Type.Boolean()),
        fsync: Type.Optional(Type.Enum(['always', 'never'])),
        rotateBytes: Type.Optional(Amount),
        rotatedFiles: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
      },
      closed,
    ),
  ),
  log: Type.Optional(
    Type.Object(
      {
        level: Type.Optional(Type.Enum(['debug', 'info', 'warn', 'error', 'fatal', 'silent'])),
        format: Type.Optional(Type.Enum(['auto', 'json', 'text'])),
      },
      closed,
    ),
  ),
  limits: Type.Optional(limits),
}

const controlOf = <Token extends ReturnType<typeof Type.Object>>(token: Token) =>
  Type.Optional(
    Type.Object(
      {
        address: Type.Optional(Address),
        hosts: Type.Optional(
          Type.Array(Type.String(), { maxItems: 100, description: 'Names it answers to, beside its address.' }),
        ),
        tokens: Type.Optional(Type.Array(token, { maxItems: 1000 })),
      },
      closed,
    ),
  )

const { scopes, ceiling } = ControlTokenSpec.properties

/** A choice of literals and a choice of shapes make many complaints of one mistake; these make one. */
const TokenShape = Type.Object(
  {
    ...ControlTokenSpec.properties,
    scopes: Type.Array(Type.Enum(scopes.items.anyOf.map((scope) => scope.const)), { minItems: 1, uniqueItems: true }),
    secret: Type.Object({ env: Type.Optional(Type.String()), file: Type.Optional(Type.String()) }, closed),
    ceiling: Type.Optional(
      Type.Object({ ...ceiling.properties, modes: Type.Optional(Type.Array(Type.Enum(['audit', 'enforce']))) }, closed),
    ),
  },
  closed,
)

/** What the file is checked against; `credentials` has a parser of its own, which shows no values. */
export const ConfigShape = Type.Object(
  { ...sections, control: controlOf(TokenShape), credentials: Type.Optional(Type.Unknown()) },
  closed,
)
export type ConfigShape = Static<typeof ConfigShape>

/** For editors and `sallyport config schema`. */
export function configJsonSchema(): object {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'sallyport.yaml',
    ...Type.Object(
      { ...sections, control: controlOf(ControlTokenSpec), credentials: Type.Optional(credentialsSchema) },
      closed,
    ),
  }
}

export type ListenerConfig = {
  readonly address: string
  readonly session: string | null
  /** Null, or absent: in the clear. */
  readonly tls?: ListenerTls | null
  /** Whose connections begin with a header of the PROXY protocol. */
  readonly balancers?: readonly Cidr[]
}

export type StaticSessionConfig = {
  readonly id: string
  readonly policy: string
  readonly mode: Mode | null
  readonly labels: Readonly<Record<string, string>>
  readonly credentials: Readonly<Record<string, string>>
  readonly refusal: RefusalMode
  readonly sources: readonly string[] | null
  /** Who the client's certificate must name; null, or absent: it need not show one. */
  readonly certificate?: string | null
  readonly token: { readonly env: string } | null
}

/** Where sessions may have doors of their own; null: nowhere. */
export type SessionDoorsConfig = { readonly directory: string | null; readonly address: string | null }

/** Every value present, every path absolute. */
export type Config = {
  readonly listeners: readonly ListenerConfig[]
  readonly control: {
    readonly address: string
    readonly hosts: readonly string[]
    readonly tokens: readonly ControlTokenSpec[]
  }
  readonly stateDirectory: string
  readonly publicDirectory: string
  readonly ca: { readonly certificate: string; readonly key: string } | null
  /** Null: one of our own, made in the state directory. */
  readonly stateKey: SecretPlace | null
  /** Null: the shipped policies only. */
  readonly policies: string | null
  readonly sessions: {
    readonly store: RedisConfig | 'file' | 'memory'
    readonly defaultTtlMs: number
    /** Null: the state key serves. */
    readonly secretKey: { readonly env: string } | { readonly file: string } | null
    readonly doors?: SessionDoorsConfig
    readonly static: readonly StaticSessionConfig[]
  }
  readonly credentials: readonly Credential[]
  readonly upstream: {
    readonly proxy: ParentConfig | null
    readonly roots: 'bundled' | 'system'
    /** PEM text. */
    readonly extraCa: string | null
    readonly dns: { readonly servers: readonly string[] | null; readonly hosts: ReadonlyMap<string, readonly Ip[]> }
  }
  readonly audit: {
    readonly file: string | null
    readonly stdout: boolean
    readonly fsync: 'always' | 'never'
    readonly bytesMax: number
    readonly filesMax: number
    readonly queueBytesMax: number
  }
  readonly log: {
    readonly level: 'debug' | 'error' | 'fatal' | 'info' | 'silent' | 'warn'
    readonly format: 'auto' | 'json' | 'text'
  }
  readonly limits: ProcessLimits
}
