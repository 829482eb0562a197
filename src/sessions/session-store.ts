/**
 * Contract of a session store: what of a session outlives the process.
 *
 * Promises of every store (held by test/conformance/session-store.suite.ts): what `put` has resolved for is there after a
 * restart where the store is durable; what comes back is what was put; a row that cannot be read is dropped with a
 * message, because half a session would be a guess at what it may do.
 */

import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import { parseCidr } from '../net/ip.ts'
import type { Mode } from '../policy/policy.ts'
import { PolicyLimits } from '../policy/policy-schema.ts'
import type { StoredUsage } from './budget.ts'
import type { Reservation, Reserved } from './reservation.ts'
import type { RefusalMode } from './session.ts'

/** A policy by name, or the document given inline, as it came. */
export type PolicyReference = { readonly name: string } | { readonly inline: unknown }

/** Written as in a policy. */
export type SessionLimits = Static<typeof PolicyLimits>

/** Plain JSON. The token is not in it, only its hash. */
export type StoredSession = {
  readonly id: string
  /** SHA-256 of the token in hex; null for a session that a listener or a source address proves. */
  readonly tokenHash: string | null
  readonly policy: PolicyReference
  /** Null: as the policy says. */
  readonly mode: Mode | null
  readonly labels: Readonly<Record<string, string>>
  /** Credential name of the policy to the configured credential that fills it. */
  readonly credentials: Readonly<Record<string, string>>
  /** Configured credential to the value that came with the session, sealed: never the value itself. */
  readonly secrets?: Readonly<Record<string, string>> | null
  readonly refusal: RefusalMode
  /** As written; of these and the policy's the smaller of each holds. */
  readonly limits?: SessionLimits | null
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  /** Null only for static sessions, which are not stored. */
  readonly expiresAt: number | null
  /** CIDR blocks the client must come from; null: anywhere. */
  readonly sources: readonly string[] | null
  /** Who the client's certificate must name, as `spiffe://…` or `CN=…`; absent or null: it need not show one. */
  readonly certificate?: string | null
  /** Whether the token has ever proved the session: a replayed create may only rotate one that has not. */
  readonly tokenUsed: boolean
  readonly idempotencyKey: string | null
  /** SHA-256 of what the create with this key asked for; absent where nobody says. */
  readonly asked?: string
  /** It is over, and here only because its idempotency key is still known. Absent: it is not. */
  readonly endedAt?: number
  /** Name of the control token that made it. */
  readonly owner: string
}

/** `exact`: the process before ended in order, and wrote down what was spent; otherwise rows are ahead of that, or missing. */
export type KeptUsage = { readonly rows: readonly StoredUsage[]; readonly exact: boolean }

export type SessionStore = {
  readonly load: () => Promise<StoredSession[]>
  /** Resolves when the session would survive the end of the process, as far as this store can. */
  readonly put: (session: StoredSession) => Promise<void>
  /** What it spent goes with it. */
  readonly remove: (id: string) => Promise<void>
  /** What sessions had spent when that was written last. Asked once, after `load`. */
  readonly loadUsage: () => Promise<KeptUsage>
  /** Resolves as `put` does; where it can, it is done before it returns. `exact`: the last word of this process. */
  readonly putUsage: (rows: readonly StoredUsage[], exact: boolean) => Promise<void>
  /** Of a store that other replicas write too. */
  readonly shared?: SharedStore
  readonly close: () => Promise<void>
}

/**
 * `here`: heard of within two seconds. `away`: not, and what is known of sessions holds meanwhile. `lost`: away for longer
 * than the grace, so that nothing that is known holds any more.
 */
export type StoreState = 'away' | 'here' | 'lost'

export type SharedStore = {
  /** After `load`: what other replicas write comes by itself from then on. */
  readonly follow: (news: StoreNews) => void
  /**
   * Waits up to a second until other replicas have taken in what this one has written; the names of those that have not.
   * `answering`: of those that were heard of just now. `serving`: of all that may still serve a session.
   */
  readonly laggards: (which: 'answering' | 'serving') => Promise<readonly string[]>
  readonly state: () => StoreState
  /** In one step; null: the session is not there any more. */
  readonly reserve: (reservation: Reservation) => Promise<Reserved | null>
}

/** What comes from other replicas. Each is done when it returns. */
export type StoreNews = {
  /** Null: it is gone. */
  readonly changed: (rows: ReadonlyMap<string, StoredSession | null>) => void
  /** Everything there is: what is not in it is gone. */
  readonly all: (sessions: readonly StoredSession[]) => void
  readonly state: (state: StoreState) => void
}

/** What a store may need; each takes its part. */
export type StoreOptions = {
  /** Private to us, 0700. */
  readonly directory: string
  /** 32 bytes that seal what is written, so that a row somebody else wrote is no session. */
  readonly key: Buffer
  readonly log: (message: string) => void
  /** Where the replicas meet; for the store that is shared. */
  readonly redis?: RedisPlace
}

export type RedisPlace = {
  /** `redis:` or, with TLS, `rediss:`. A secret: it may hold a password. */
  readonly url: string
  /** PEM of the roots it is verified by; null: those of Node. */
  readonly ca: string | null
  /** What all keys begin with: gateways of one prefix are replicas of each other. */
  readonly prefix: string
  /** How long known sessions go on without it. */
  readonly graceMs: number
}

const texts = Type.Record(Type.String({ maxLength: 256 }), Type.String({ maxLength: 1024 }))

/** A value of 64 KiB, in base64, with what seals it. */
const sealedTexts = Type.Record(Type.String({ maxLength: 256 }), Type.String({ pattern: '^[A-Za-z0-9_-]{1,100000}$' }))

const storedSession = Type.Object(
  {
    id: Type.String({ pattern: '^s-[a-z2-7]{12}$' }),
    tokenHash: Type.Union([Type.Null(), Type.String({ pattern: '^[0-9a-f]{64}$' })]),
    policy: Type.Union([
      Type.Object({ name: Type.String({ minLength: 1 }) }, { additionalProperties: false }),
      Type.Object({ inline: Type.Unknown() }, { additionalProperties: false }),
    ]),
    mode: Type.Union([Type.Null(), Type.Literal('audit'), Type.Literal('enforce')]),
    labels: texts,
    credentials: texts,
    secrets: Type.Optional(Type.Union([Type.Null(), sealedTexts])),
    refusal: Type.Union([Type.Literal('auto'), Type.Literal('connect'), Type.Literal('inside')]),
    limits: Type.Optional(Type.Union([Type.Null(), PolicyLimits])),
    createdAt: Type.Integer({ minimum: 0 }),
    // A stored session always ends: one that says otherwise is not ours.
    expiresAt: Type.Integer({ minimum: 0 }),
    sources: Type.Union([Type.Null(), Type.Array(Type.String(), { minItems: 1 })]),
    certificate: Type.Optional(Type.Union([Type.Null(), Type.String({ minLength: 4, maxLength: 2048 })])),
    tokenUsed: Type.Boolean(),
    idempotencyKey: Type.Union([Type.Null(), Type.String()]),
    asked: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
    endedAt: Type.Optional(Type.Integer({ minimum: 0 })),
    owner: Type.String(),
  },
  { additionalProperties: false },
)

/** The session, or a sentence that says what is wrong with it (never a value of it). */
export function parseStoredSession(raw: unknown): StoredSession | string {
  if (!Value.Check(storedSession, raw)) {
    const [first] = Value.Errors(storedSession, raw)
    return first === undefined ? 'is not a session' : `${first.instancePath || '/'} ${first.message}`
  }
  const session: Static<typeof storedSession> = raw
  if (session.sources?.some((text) => parseCidr(text) === null)) return '/sources is not a list of address blocks'
  return session
}
