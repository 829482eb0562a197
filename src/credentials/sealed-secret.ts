/**
 * Sealed secrets: values that came with a session, as they are kept at rest (decision 7).
 *
 * Promises: without the key nothing of a value is known but its length and, to whoever gave both, that two are equal; what
 * was sealed for one credential opens for no other; what was damaged, or sealed with another key, does not open.
 */

import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto'

/** Name of the configured credential to its sealed value. */
export type SealedSecrets = Readonly<Record<string, string>>

export type SecretSeal = {
  /** The same text for the same three, so that a repeated call can be told from another one. */
  readonly seal: (owner: string, credential: string, value: string) => string
  readonly open: (credential: string, sealed: string) => string | null
}

const cipher = 'aes-256-gcm'
const nonceBytes = 12
const tagBytes = 16

/** `key`: 32 bytes. */
export function createSecretSeal(key: Buffer): SecretSeal {
  const derive = (purpose: string): Buffer => createHmac('sha256', key).update(purpose).digest()
  const forCipher = derive('secret cipher')
  const forNonce = derive('secret nonce')
  return {
    seal: (owner, credential, value) => {
      // Made of what it seals: one nonce never serves two values, which is what breaks this cipher (RFC 8452 §1).
      const nonce = createHmac('sha256', forNonce)
        .update(JSON.stringify([owner, credential, value]))
        .digest()
        .subarray(0, nonceBytes)
      const sealing = createCipheriv(cipher, forCipher, nonce).setAAD(boundTo(credential))
      const text = Buffer.concat([sealing.update(value, 'utf8'), sealing.final()])
      return Buffer.concat([nonce, sealing.getAuthTag(), text]).toString('base64url')
    },
    open: (credential, sealed) => {
      const bytes = Buffer.from(sealed, 'base64url')
      if (bytes.length < nonceBytes + tagBytes) return null
      const opening = createDecipheriv(cipher, forCipher, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
      opening.setAAD(boundTo(credential)).setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes))
      try {
        return Buffer.concat([opening.update(bytes.subarray(nonceBytes + tagBytes)), opening.final()]).toString('utf8')
      } catch {
        return null
      }
    },
  }
}

function boundTo(credential: string): Buffer {
  return Buffer.from(JSON.stringify(['secret of a session', credential]), 'utf8')
}
