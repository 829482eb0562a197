/**
 * A JSON Web Token as far as anybody can read it who has no key (RFC 7519, in compact form). No I/O, no policy.
 *
 * Promises: nothing is verified here, so nothing may be granted for what it says.
 */

export type JsonWebToken = {
  /** Who made it, as it says; null where it does not. */
  readonly issuer: string | null
  /** Header and claims, as text. */
  readonly text: string
}

const compact = /^(eyJ[\w-]+)\.(eyJ[\w-]+)\.[\w-]*$/

/** Null where it is none. */
export function parseJsonWebToken(value: string): JsonWebToken | null {
  const [, header = '', claims = ''] = compact.exec(value) ?? []
  if (claims === '') return null
  const [first, second] = [header, claims].map((part) => Buffer.from(part, 'base64url').toString('utf8'))
  try {
    const said: unknown = JSON.parse(second ?? '')
    if (typeof said !== 'object' || said === null) return null
    const issuer = 'iss' in said && typeof said.iss === 'string' ? said.iss : null
    return { issuer, text: `${first}\n${second}` }
  } catch {
    return null
  }
}
