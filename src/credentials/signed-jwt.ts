/**
 * A JSON Web Token signed with RSA and SHA-256 (RFC 7519, RFC 7518 §3.3): how a private key asks for a token.
 *
 * Promises: the key is read from PEM, PKCS #1 or #8, and never leaves; a text that is no RSA key gives null.
 */

import { createPrivateKey, type KeyObject } from 'node:crypto'
import { SignJWT } from 'jose'

export type JwtClaims = Readonly<Record<string, number | string>>

export async function signJwt(pem: string, claims: JwtClaims, keyId: string | null): Promise<string | null> {
  const key = parseKey(pem)
  if (key === null) return null
  const header = { alg: 'RS256', typ: 'JWT', ...(keyId === null ? {} : { kid: keyId }) }
  return new SignJWT(claims).setProtectedHeader(header).sign(key)
}

/** Below 2048 bits neither issuers nor the signer take it. */
const bitsMin = 2048

function parseKey(pem: string): KeyObject | null {
  try {
    const key = createPrivateKey(pem)
    return key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= bitsMin ? key : null
  } catch {
    // What it says may show parts of the key.
    return null
  }
}
