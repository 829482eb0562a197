/**
 * Contract of a credential kind: one way to present a secret to an origin.
 *
 * Promises of every kind (held by test/conformance/credential-kind.suite.ts): unknown keys are refused; what the client sent
 * in a place the kind writes to does not survive, however it was spelled; the secret is in the head exactly once, and
 * applying twice does not make it two. A kind that swaps writes only where the client wrote its placeholder. A kind that mints
 * presents a token made of the secret, never the secret.
 */

import { type Static, type TObject, type TProperties, Type } from 'typebox'
import { Value } from 'typebox/value'
import type { ClientIdentity } from '../net/client-identity.ts'
import type { OutboundHead } from '../net/outbound-head.ts'
import type { BodyReading } from '../policy/body-reading.ts'
import type { FoundPlaceholder } from '../policy/find-placeholders.ts'
import { isCredentialField, isCredentialParameter } from '../policy/foreign-credential.ts'
import { foldName } from '../net/fields.ts'
import type { RequestHead } from '../net/request-head.ts'
import type { Mint, MintWorld } from './minted-source.ts'
import type { Secret, SecretShape } from './secret.ts'
import type { TokenEndpoint } from './token-endpoint.ts'
import { type Parsed, type Problem, problemsOf } from './shape-problems.ts'

/** Places a kind writes to. Stripped from the client's request first, so ours always wins. */
export type Owned = { readonly fields: readonly string[]; readonly parameters: readonly string[] }

export type CredentialKind<Spec> = {
  readonly kind: string
  /** The keys of an entry that only this kind has. */
  readonly schema: TObject
  /** Turns those keys into a Spec, or says everything that is wrong with them. */
  readonly parse: (raw: unknown) => Parsed<Spec>
  readonly owns: (spec: Spec) => Owned
  /**
   * Pure: the secret, or the token made of it, is at hand. `sent`: the client's placeholders, all in places the kind takes
   * them in. `body`: all of it, where the kind or a rule asked for it.
   */
  readonly apply: (
    head: OutboundHead,
    spec: Spec,
    secret: Secret,
    sent: readonly FoundPlaceholder[],
    body?: Buffer | null,
  ) => OutboundHead
  /** For a kind that swaps: whether a placeholder stands where this kind puts the secret in its stead. */
  readonly takes?: (spec: Spec, sent: FoundPlaceholder) => boolean
  /** For a kind that swaps in bodies: the places in the text of one that was read, and what stands there instead. */
  readonly swapsInBody?: (spec: Spec, body: BodyReading, placeholder: string) => readonly BodySwap[]
  /** For a kind that cannot do with every request: what is in its way, in words for the record. */
  readonly refuses?: (spec: Spec, head: RequestHead, sent: readonly FoundPlaceholder[]) => string | null
  /** For a kind that puts something of the body into the head: whether it cannot do without all of it. */
  readonly needsBody?: (spec: Spec, head: RequestHead, sent: readonly FoundPlaceholder[]) => boolean
  /** For a kind that writes into bodies that flow: how, of the request with this head of ours; null: not into this one. */
  readonly rewritesBody?: (
    spec: Spec,
    head: OutboundHead,
    secret: Secret,
    sent: readonly FoundPlaceholder[],
  ) => BodyRewrite | null
  /** For a kind that presents a token in the secret's stead: what makes it. Called once, before the first. */
  readonly mint?: (spec: Spec, world: MintWorld) => Mint
  /** Where clients that hold the secret get their tokens, and as whom: for them it is answered by us. */
  readonly endpoint?: (spec: Spec) => TokenEndpoint
  /** What a secret of this kind looks like; a line where nothing is said. */
  readonly secretShape?: SecretShape
  /** For a kind whose secret is made of several: what of it goes on requests or proves them, and must not come back. */
  readonly parts?: (spec: Spec, secret: Secret) => readonly Secret[]
  /** For a kind that presents it in the handshake with the origin, and nothing of it on the request. */
  readonly identity?: (spec: Spec, secret: Secret) => ClientIdentity
}

/** `of`: what stands there with a secret in place of the placeholder. */
export type BodySwap = { readonly start: number; readonly end: number; readonly of: (secret: string) => string }

/** A body on its way, made anew. As long as it was. */
export type BodyRewrite = {
  /** Bytes kept back until they can go on. */
  readonly heldBytes: number
  /** Takes what came next, and passes on what can go. Null, or what is wrong: then it takes nothing more. */
  readonly take: (piece: Buffer, pass: (piece: Buffer) => void) => string | null
  /** Nothing more comes. Null, or what is wrong with that. */
  readonly end: () => string | null
}

/** A kind with its spec: all that the walk needs of it. */
export type Presentation = {
  readonly owns: Owned
  /** Whether the secret goes nowhere but where the client wrote its placeholder. */
  readonly swaps: boolean
  /** Whether the client's placeholder has a meaning there. */
  readonly takes: (sent: FoundPlaceholder) => boolean
  readonly swapsInBody: (body: BodyReading, placeholder: string) => readonly BodySwap[]
  /** What is in the way of putting the secret on; null: nothing. */
  readonly refuses: (head: RequestHead, sent: readonly FoundPlaceholder[]) => string | null
  readonly apply: (
    head: OutboundHead,
    secret: Secret,
    sent: readonly FoundPlaceholder[],
    body?: Buffer | null,
  ) => OutboundHead
  /** Whether all of the body must be here before the secret is put on; null: never. */
  readonly needsBody: ((head: RequestHead, sent: readonly FoundPlaceholder[]) => boolean) | null
  /** Null: into no body. */
  readonly rewritesBody:
    | ((head: OutboundHead, secret: Secret, sent: readonly FoundPlaceholder[]) => BodyRewrite | null)
    | null
  /** What must not come back of it; null: all of it. */
  readonly parts: ((secret: Secret) => readonly Secret[]) | null
  /** What makes the token that is presented; null: the secret itself is. */
  readonly mint: ((world: MintWorld) => Mint) | null
  /** Where requests of the sandbox for tokens are answered by us; null: nowhere. */
  readonly endpoint: TokenEndpoint | null
  /** Who we are in the handshake with the origin; null: nobody. */
  readonly identity: ((secret: Secret) => ClientIdentity) | null
}

/** A kind whose spec nobody outside it sees, so that kinds of different specs fit one list. */
export type AnyCredentialKind = {
  readonly kind: string
  readonly schema: TObject
  readonly swaps: boolean
  readonly secretShape: SecretShape
  readonly parse: (raw: unknown) => Parsed<Presentation>
}

export function sealKind<Spec>(kind: CredentialKind<Spec>): AnyCredentialKind {
  const { identity, mint, needsBody, parts, refuses, rewritesBody, swapsInBody, takes, secretShape = 'line' } = kind
  const swaps = takes !== undefined
  return {
    kind: kind.kind,
    schema: kind.schema,
    swaps,
    secretShape,
    parse: (raw) => {
      const parsed = kind.parse(raw)
      if (parsed.kind === 'problems') return parsed
      const { spec } = parsed
      const owns = kind.owns(spec)
      return {
        kind: 'parsed',
        spec: {
          owns,
          swaps,
          takes: takes === undefined ? (sent) => isStripped(owns, sent) : (sent) => takes(spec, sent),
          swapsInBody:
            swapsInBody === undefined ? () => noSwaps : (body, placeholder) => swapsInBody(spec, body, placeholder),
          refuses: refuses === undefined ? () => null : (head, sent) => refuses(spec, head, sent),
          apply: (head, secret, sent, body = null) => kind.apply(head, spec, secret, sent, body),
          needsBody: needsBody === undefined ? null : (head, sent) => needsBody(spec, head, sent),
          rewritesBody:
            rewritesBody === undefined ? null : (head, secret, sent) => rewritesBody(spec, head, secret, sent),
          endpoint: kind.endpoint?.(spec) ?? null,
          identity: identity === undefined ? null : (secret) => identity(spec, secret),
          parts: parts === undefined ? null : (secret) => parts(spec, secret),
          mint: mint === undefined ? null : (world) => mint(spec, world),
        },
      }
    },
  }
}

const noSwaps: readonly BodySwap[] = []

/** In a place that does not go on anyway, a placeholder says which credential is wanted and nothing else. */
function isStripped({ fields, parameters }: Owned, { place, name }: FoundPlaceholder): boolean {
  const isNamed = (own: string): boolean => foldName(own) === foldName(name)
  if (place === 'field') return isCredentialField(name) || fields.some(isNamed)
  return place === 'parameter' && (isCredentialParameter(name) || parameters.some(isNamed))
}

/** The keys of a kind; all others are errors. */
export function kindKeys<Keys extends TProperties>(keys: Keys) {
  return Type.Object(keys, { additionalProperties: false })
}

/** For kinds whose schema says everything but what `check` adds. */
export function parseKeys<Schema extends TObject>(
  schema: Schema,
  raw: unknown,
  check: (spec: Static<Schema>) => Problem[] = () => [],
): Parsed<Static<Schema>> {
  if (!Value.Check(schema, raw)) return { kind: 'problems', problems: problemsOf(schema, raw) }
  const problems = check(raw)
  return problems.length > 0 ? { kind: 'problems', problems } : { kind: 'parsed', spec: raw }
}
