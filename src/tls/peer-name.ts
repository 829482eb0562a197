/**
 * Who a client certificate names, as one text that sessions can list: `spiffe://…`, or `CN=…` where it has no URI. Pure.
 *
 * Promises: one name or none. A certificate with a URI is named by that alone (X.509-SVID §2: it has exactly one); whatever
 * could be read in two ways names nobody. The caller has verified the chain.
 */

import type { X509Certificate } from 'node:crypto'

/** SPIFFE-ID §2: a trust domain, and a path of segments. */
const spiffeText = 'spiffe://[a-z0-9._-]{1,255}(?:/(?!\\.{1,2}(?:/|$))[A-Za-z0-9._-]+)+'
const commonNameText = 'CN=[A-Za-z0-9](?:[A-Za-z0-9 ._@-]{0,62}[A-Za-z0-9])?'

/** For schemas: what a session may list. */
export const peerNamePattern = `^(?:${spiffeText}|${commonNameText})$`

const spiffeId = new RegExp(`^${spiffeText}$`)
const commonName = new RegExp(`^${commonNameText}$`)
const bytesMax = 2048

export function peerNameOf({
  subject,
  subjectAltName,
}: Pick<X509Certificate, 'subject' | 'subjectAltName'>): string | null {
  const names = subjectAltName ?? ''
  // Node quotes what could be taken for another entry; of such a list nothing is taken.
  if (names.includes('"') || names.length > bytesMax) return null
  const uris = names.split(', ').filter((name) => name.startsWith('URI:'))
  if (uris.length > 0) {
    const id = uris[0]?.slice(4) ?? ''
    return uris.length === 1 && spiffeId.test(id) ? id : null
  }
  const common = (subject ?? '').split('\n').filter((part) => /^CN ?=/.test(part))
  const [name = ''] = common
  return common.length === 1 && commonName.test(name) ? name : null
}
