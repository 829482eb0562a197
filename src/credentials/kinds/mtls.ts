/**
 * A client certificate in the TLS handshake with the origin (RFC 8446 §4.4.2): nothing is put on the request. The secret is
 * the certificate, those that lead to its root, and the key, one after the other in PEM.
 *
 * Promises: only a key that belongs to the certificate is used, and only while the certificate holds.
 */

import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import type { Static } from 'typebox'
import type { ClientIdentity } from '../../net/client-identity.ts'
import { type CredentialKind, kindKeys, parseKeys } from '../credential-kind.ts'
import type { Minted } from '../minted-source.ts'
import type { Secret } from '../secret.ts'

const schema = kindKeys({})

const certificateText = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g
const keyText = /-----BEGIN ((?:[A-Z]+ )?PRIVATE KEY)-----[^-]+-----END \1-----/g

export const mtls: CredentialKind<Static<typeof schema>> = {
  kind: 'mtls',
  schema,
  secretShape: 'lines',
  parse: (raw) => parseKeys(schema, raw),
  owns: () => ({ fields: ['authorization'], parameters: [] }),
  apply: (head) => head,
  identity: (_spec, secret) => identityOf(secret),
  // What is presented is the secret itself, once it was looked at, and until its certificate ends.
  mint:
    (_spec, { epochMs }) =>
    (secret) =>
      Promise.resolve(checked(secret, epochMs())),
}

function checked(secret: Secret, now: number): Minted | string {
  const { certificates, keys } = piecesOf(secret)
  const [first] = certificates
  const [key] = keys
  if (first === undefined || key === undefined || keys.length > 1)
    return 'needs its certificate, and one key without a passphrase, in PEM'
  try {
    const certificate = new X509Certificate(first)
    if (!certificate.checkPrivateKey(createPrivateKey(key))) return 'has a key that does not belong to its certificate'
    if (Date.parse(certificate.validFrom) > now) return 'has a certificate that does not hold yet'
    const lifetimeMs = Date.parse(certificate.validTo) - now
    return lifetimeMs > 0 ? { token: secret, lifetimeMs } : 'has a certificate that has ended'
  } catch {
    // What it says may show parts of the key.
    return 'has a certificate or a key that cannot be read'
  }
}

function piecesOf(secret: Secret): { readonly certificates: readonly string[]; readonly keys: readonly string[] } {
  const text = secret.reveal()
  return { certificates: text.match(certificateText) ?? [], keys: text.match(keyText) ?? [] }
}

/** Told apart by the object: the same one is used for many requests. */
const identities = new WeakMap<Secret, ClientIdentity>()

function identityOf(secret: Secret): ClientIdentity {
  const known = identities.get(secret)
  if (known !== undefined) return known
  const certificates = piecesOf(secret).certificates.join('\n')
  const id = createHash('sha256').update(certificates).digest('hex')
  const made = { id, certificates, key: () => piecesOf(secret).keys[0] ?? '' }
  identities.set(secret, made)
  return made
}
