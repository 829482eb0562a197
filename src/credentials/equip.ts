/**
 * Equip: the head that will really be sent, with our credential on it and none of the client's.
 *
 * Promises: a secret is fetched only for a request already permitted, put on last, and only for https to a host of the
 * credential's own list, whatever the policy said; where it cannot be had the request is refused, never sent bare. A
 * placeholder goes nowhere but where it means something, and no page of another site spends a credential (decisions 37, 38).
 */

import type { ClientIdentity } from '../net/client-identity.ts'
import { type OutboundHead, withoutFields } from '../net/outbound-head.ts'
import type { RequestHead } from '../net/request-head.ts'
import { fieldValues } from '../net/fields.ts'
import type { BodyReading } from '../policy/body-reading.ts'
import type { RequestPermit } from '../policy/decide-request.ts'
import { type Deny, deny } from '../policy/decision.ts'
import { matchesPattern } from '../policy/domain-pattern.ts'
import { findPlaceholders, type FoundPlaceholder } from '../policy/find-placeholders.ts'
import { isClientPair } from '../policy/foreign-credential.ts'
import { type AnswerRules, createStrip, type Strip, withSet } from './client-credentials.ts'
import type { CredentialBook } from './credential-book.ts'
import type { BodyRewrite, BodySwap } from './credential-kind.ts'
import type { Credential } from './credential-schema.ts'
import { findCrossSite } from './cross-site.ts'
import type { SealedSecrets } from './sealed-secret.ts'
import type { Secret } from './secret.ts'
import { createWithNeighbours } from './neighbour-secrets.ts'
import { isTokenRequest, type TokenEndpoint, type TokenRequest } from './token-endpoint.ts'

export type Equipped = {
  readonly kind: 'equipped'
  readonly head: OutboundHead
  /** Who we are in the handshake with the origin; null: nobody. */
  readonly identity: ClientIdentity | null
  /** In place of the client's, where something in it was swapped; null: the client's own. */
  readonly body: Buffer | null
  /** What the body goes through on its way; null: nothing. */
  readonly rewrite: BodyRewrite | null
  /** Names of the credentials put on. */
  readonly used: readonly string[]
  /** What was put on with them, or for others at this host, and must not come back. */
  readonly secrets: readonly Secret[]
  /** Names of the client's fields and parameters that stayed behind; never a value. */
  readonly drops: readonly string[]
}

/** What of the client's is in the way of the credential, or in its place. */
type Found = {
  readonly sent: readonly FoundPlaceholder[]
  readonly inBody: readonly BodySwap[]
  /** The whole body, where it is here. */
  readonly held: Buffer | null
}

/** What equipping asks of a session: for each credential that its policy names, the configured one and the placeholder. */
type Bindings = {
  readonly credentials: ReadonlyMap<string, string>
  readonly placeholders: ReadonlyMap<string, string>
  /** Values that the session brought; absent or null: none. */
  readonly secrets?: SealedSecrets | null
}

/** Asked without a body: equipping needs all of it. */
type BodyWanted = { readonly kind: 'body_wanted' }
const bodyWanted: BodyWanted = { kind: 'body_wanted' }

/** A promise only where the secret is not at hand. `held`: the body, where it was wanted. */
export type CredentialEquip = (
  permit: RequestPermit,
  session: Bindings,
  held?: Buffer | null,
) => BodyWanted | Deny | Equipped | Promise<Deny | Equipped> | TokenRequest

/** What is said of a body's bytes, and wrong of those that go out in their place: not coded, and with the secret in them. */
const ofBytes = ['content-encoding', 'content-digest', 'content-md5', 'digest', 'repr-digest']

const nothingOwned = { fields: [], parameters: [] }
const nothingFound: readonly FoundPlaceholder[] = []
const nothingSwapped: readonly BodySwap[] = []

/** Where no credential is put on. Cookies are an account like any other: they pass where foreign credentials may. */
const bare = {
  all: createStrip({ credentials: false, cookies: false, owned: nothingOwned, answer: 'any' }),
  withoutCookies: createStrip({ credentials: false, cookies: true, owned: nothingOwned, answer: 'any' }),
  withoutCredentials: createStrip({ credentials: true, cookies: true, owned: nothingOwned, answer: 'any' }),
}

/** What is `deny` has been refused by now, cookies aside, which clients send without being asked. */
function bareStrip({ foreignCredentials }: RequestPermit): Strip {
  if (foreignCredentials === 'strip') return bare.withoutCredentials
  return foreignCredentials === 'deny' ? bare.withoutCookies : bare.all
}

function bareOf(strip: Strip, { head, set }: RequestPermit): Equipped {
  const { head: stripped, drops } = strip(head)
  return {
    kind: 'equipped',
    head: withSet(stripped, set),
    body: null,
    identity: null,
    rewrite: null,
    used: [],
    secrets: [],
    drops,
  }
}

/** Whether it is a request for a token, which is answered here whatever its body says: none of that goes anywhere. */
export type AsksForToken = (permit: RequestPermit, session: Pick<Bindings, 'credentials'>) => boolean

export function createAsksForToken(book: CredentialBook): AsksForToken {
  return ({ credential: slot, head }, { credentials }) => {
    const name = slot === null ? undefined : credentials.get(slot)
    const tokens = name === undefined ? null : (book.get(name)?.presentation.endpoint ?? null)
    return tokens !== null && isTokenRequest(tokens, head)
  }
}

export function createEquip(book: CredentialBook): CredentialEquip {
  const strips = {
    any: new Map<Credential, Strip>(),
    parts: new Map<Credential, Strip>(),
    whole: new Map<Credential, Strip>(),
  }
  const withNeighbours = createWithNeighbours(book)
  const stripFor = (credential: Credential, answer: AnswerRules): Strip => {
    const known = strips[answer].get(credential)
    if (known !== undefined) return known
    const made = createStrip({
      credentials: true,
      cookies: true,
      owned: credential.presentation.owns,
      answer,
    })
    strips[answer].set(credential, made)
    return made
  }
  const apply = (
    credential: Credential,
    permit: RequestPermit,
    { sent, inBody, held }: Found,
    secret: Secret | null,
  ): Deny | Equipped => {
    const { body, head, rule, set } = permit
    if (secret === null)
      return deny('secret_unavailable', `the secret of ${credential.name} cannot be had`, rule?.id ?? null)
    const identity = credential.presentation.identity?.(secret) ?? null
    // A key that only signs the handshake is not on the request, so no answer can hold it.
    const isOnRequest = identity === null
    const { presentation } = credential
    const stripped = stripFor(credential, answerFor(permit, isOnRequest))(head)
    const swappedBody = swapped(body, inBody, secret)
    const bare = swappedBody === null ? stripped.head : withoutFields(stripped.head, ofBytes)
    const applied = presentation.apply(withSet(bare, set), secret, sent, held)
    return {
      kind: 'equipped',
      head: applied,
      identity,
      rewrite: presentation.rewritesBody?.(applied, secret, sent) ?? null,
      body: swappedBody,
      used: [credential.name],
      secrets: isOnRequest
        ? withNeighbours(credential, head.authority.host, presentation.parts?.(secret) ?? [secret])
        : [],
      drops: stripped.drops,
    }
  }
  return (permit, session, held = null) => {
    const slot = permit.credential
    const rule = permit.rule?.id ?? null
    const sent = session.placeholders.size === 0 ? nothingFound : findPlaceholders(permit.head, session.placeholders)
    if (slot === null) {
      const [first] = sent
      if (first !== undefined) return deny('placeholder_elsewhere', placeOf(first), rule)
      return bareOf(bareStrip(permit), permit)
    }
    const name = session.credentials.get(slot)
    const credential = name === undefined ? undefined : book.get(name)
    if (credential === undefined) return deny('secret_unavailable', `nothing fills the credential ${slot}`, rule)
    const own = session.placeholders.get(slot)
    const tokens = credential.presentation.endpoint
    if (tokens !== null && isTokenRequest(tokens, permit.head))
      return equipTokenRequest(credential, tokens, permit.head, { sent, own }, rule)
    const inBody =
      permit.body === null || own === undefined ? nothingSwapped : credential.presentation.swapsInBody(permit.body, own)
    const refused =
      refuse(credential, permit.head, rule) ??
      refuseUnasked(credential, permit.head, { sent, own, inBody: inBody.length > 0 }, rule)
    if (refused !== null) return refused
    if (credential.presentation.swaps && sent.length === 0 && inBody.length === 0)
      return bareOf(stripFor(credential, answerFor(permit, false)), permit)
    const found = { sent, inBody, held: held ?? permit.body?.bytes ?? null }
    if (found.held === null && credential.presentation.needsBody?.(permit.head, sent) === true) return bodyWanted
    const secret = book.secretOf(credential.name, session.secrets)
    return secret instanceof Promise
      ? secret.then((value) => apply(credential, permit, found, value))
      : apply(credential, permit, found, secret)
  }
}

/** Sealed cookies are opened later (`sealed-cookies.ts`), and looked for in the answer like anything that was put on. */
function answerFor({ cookies, ranges }: RequestPermit, isOnRequest: boolean): AnswerRules {
  if (!isOnRequest && cookies === 'strip') return 'any'
  return ranges ? 'parts' : 'whole'
}

/** Answered by us, so nothing is put on, and nothing of it leaves. */
function equipTokenRequest(
  { name, presentation }: Credential,
  { clientId, dialect }: TokenEndpoint,
  head: RequestHead,
  { sent, own }: Pick<Asked, 'own' | 'sent'>,
  rule: string | null,
): Deny | TokenRequest {
  if (own === undefined) return deny('secret_unavailable', `${name} has no placeholder to answer with`, rule)
  const misplaced = findMisplaced(presentation, sent, own)
  if (misplaced !== null) return deny('placeholder_elsewhere', placeOf(misplaced), rule)
  // Encoded as some clients do, it is in none of the spellings that are looked for everywhere.
  const isProven =
    sent.length > 0 || fieldValues(head.fields, 'authorization').some((value) => isClientPair(value, own, clientId))
  return { kind: 'token_request', placeholder: own, isProven, credential: name, dialect }
}

function findMisplaced(
  { takes }: Credential['presentation'],
  sent: readonly FoundPlaceholder[],
  own: string | undefined,
): FoundPlaceholder | null {
  return sent.find((one) => one.placeholder !== own || !takes(one)) ?? null
}

/** The last look before a secret leaves: not of the policy, but of the credential itself. */
function refuse(credential: Credential, head: RequestHead, rule: string | null): Deny | null {
  if (head.scheme !== 'https') return deny('credential_needs_tls', head.authority.text, rule)
  if (credential.hosts.some((pattern) => matchesPattern(pattern, head.authority.host))) return null
  return deny('secret_unavailable', `${credential.name} is not for ${head.authority.host.text}`, rule)
}

/** By what a client asks for a credential. */
type Asked = {
  readonly sent: readonly FoundPlaceholder[]
  /** The placeholder that means it. */
  readonly own: string | undefined
  readonly inBody: boolean
}

/** Who knows the placeholder speaks for the sandbox; without it a request must not come from a page of another site. */
function refuseUnasked(
  { presentation, requiresPlaceholder, name }: Credential,
  head: RequestHead,
  { sent, own, inBody }: Asked,
  rule: string | null,
): Deny | null {
  const misplaced = findMisplaced(presentation, sent, own)
  if (misplaced !== null) return deny('placeholder_elsewhere', placeOf(misplaced), rule)
  if (sent.length > 0) {
    const why = presentation.refuses(head, sent)
    return why === null ? null : deny('unsignable_request', why, rule)
  }
  if (inBody) return null
  if (requiresPlaceholder) return deny('placeholder_missing', name, rule)
  const crossSite = presentation.swaps ? null : findCrossSite(head)
  return crossSite === null ? null : deny('cross_site', crossSite, rule)
}

function swapped(body: BodyReading | null, swaps: readonly BodySwap[], secret: Secret): Buffer | null {
  const text = body?.text ?? null
  if (text === null || swaps.length === 0) return null
  let made = ''
  let at = 0
  for (const { start, end, of } of swaps) {
    made += text.slice(at, start) + of(secret.reveal())
    at = end
  }
  return Buffer.from(made + text.slice(at))
}

/** In words for the record, which never holds a value. */
function placeOf({ place, name, placeholder }: FoundPlaceholder): string {
  if (place === 'target') return 'the path or query'
  const shown = name.replaceAll(placeholder, '…').slice(0, 64)
  return place === 'field' ? `field ${shown}` : `query parameter ${shown}`
}
