/**
 * Equip: the head that will really be sent, with our credential on it and none of the client's.
 *
 * Promises: a secret is fetched only for a request already permitted, put on last, and only for https to a host of the
 * credential's own list, whatever the policy said; where it cannot be had the request is refused, never sent bare.
 */

import type { OutboundHead } from '../net/outbound-head.ts'
import type { RequestHead } from '../net/request-head.ts'
import type { RequestPermit } from '../policy/decide-request.ts'
import { type Deny, deny } from '../policy/decision.ts'
import { matchesPattern } from '../policy/domain-pattern.ts'
import { strippedHead } from './client-credentials.ts'
import type { CredentialBook } from './credential-book.ts'
import type { Credential } from './credential-schema.ts'

type Equipped = {
  readonly kind: 'equipped'
  readonly head: OutboundHead
  /** Names of the credentials put on. */
  readonly used: readonly string[]
  /** Names of the client's fields and parameters that stayed behind; never a value. */
  readonly drops: readonly string[]
}

/** What equipping asks of a session: which configured credential fills each one that its policy names. */
type Bindings = { readonly credentials: ReadonlyMap<string, string> }

export type CredentialEquip = (permit: RequestPermit, session: Bindings) => Promise<Deny | Equipped>

const nothingOwned = { fields: [], parameters: [] }

export function createEquip(book: CredentialBook): CredentialEquip {
  return async (permit, session) => {
    const slot = permit.credential
    if (slot === null) {
      const credentials = permit.foreignCredentials === 'strip'
      const stripped = strippedHead(permit.head, { credentials, cookies: permit.pinned, owned: nothingOwned })
      return { kind: 'equipped', ...stripped, used: [] }
    }
    const rule = permit.rule?.id ?? null
    const name = session.credentials.get(slot)
    const credential = name === undefined ? undefined : book.get(name)
    if (credential === undefined) return deny('secret_unavailable', `nothing fills the credential ${slot}`, rule)
    const refused = refuse(credential, permit.head, rule)
    if (refused !== null) return refused
    const secret = await book.secretOf(credential.name)
    if (secret === null) return deny('secret_unavailable', `the secret of ${credential.name} cannot be had`, rule)
    const { owns, apply } = credential.presentation
    const { head, drops } = strippedHead(permit.head, { credentials: true, cookies: true, owned: owns })
    return { kind: 'equipped', head: apply(head, secret), used: [credential.name], drops }
  }
}

/** The last look before a secret leaves: not of the policy, but of the credential itself. */
function refuse(credential: Credential, head: RequestHead, rule: string | null): Deny | null {
  if (head.scheme !== 'https') return deny('credential_needs_tls', head.authority.text, rule)
  if (credential.hosts.some((pattern) => matchesPattern(pattern, head.authority.host))) return null
  return deny('secret_unavailable', `${credential.name} is not for ${head.authority.host.text}`, rule)
}
