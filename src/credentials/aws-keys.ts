/**
 * What requests to AWS are signed with: a key that stays, or one of a role for a while, as the AWS CLI prints it
 * (`aws configure export-credentials`). Pure.
 *
 * Promises: what is none of both is no key; one that has ended is none either; a problem is told without any of it.
 */

import type { Minted } from './minted-source.ts'
import { parseSecret, type Secret } from './secret.ts'

export type AwsKeys = {
  readonly accessKeyId: string
  readonly secretKey: Secret
  /** Goes on the request beside the signature; null: none. */
  readonly sessionToken: Secret | null
}

/** A key without an end is looked at again after a while, and is the same then. */
const lastingMs = 86_400_000

const shapes = {
  accessKeyId: /^[A-Z0-9]{16,128}$/,
  secretAccessKey: /^[!-~]{16,256}$/,
  sessionToken: /^[!-~]{16,8192}$/,
} as const

/** The secret as it is kept, or a sentence about what is wrong with it. */
export function mintAwsKeys(secret: Secret, isTemporary: boolean, epochMs: number): Minted | string {
  const text = secret.reveal()
  if (!isTemporary)
    return /^[!-~]+$/.test(text)
      ? { token: secret, lifetimeMs: lastingMs }
      : 'is no secret access key; for JSON with a session token, say "temporary: true"'
  const fields = fieldsOf(text)
  if (fields === null) return 'is not JSON with AccessKeyId, SecretAccessKey and SessionToken'
  const { expiration, ...kept } = fields
  const lifetimeMs = expiration === null ? lastingMs : Date.parse(expiration) - epochMs
  if (Number.isNaN(lifetimeMs)) return 'has an Expiration that is no time'
  if (lifetimeMs <= 0) return 'has expired'
  const token = parseSecret(JSON.stringify(kept), { unsafeShortSecret: false })
  return typeof token === 'string' ? token : { token, lifetimeMs }
}

/** One object for each secret, so that what is known of its parts stays known. */
const known = new WeakMap<Secret, AwsKeys>()

/** Of what was minted. `accessKeyId`: of a key that stays; null: the secret says it. */
export function awsKeysOf(secret: Secret, accessKeyId: string | null): AwsKeys | null {
  if (accessKeyId !== null) return { accessKeyId, secretKey: secret, sessionToken: null }
  const before = known.get(secret)
  if (before !== undefined) return before
  const fields = fieldsOf(secret.reveal())
  if (fields === null) return null
  const parts = [fields.secretAccessKey, fields.sessionToken].map((text) =>
    text === null ? null : parseSecret(text, { unsafeShortSecret: false }),
  )
  const [secretKey = null, sessionToken = null] = parts
  if (secretKey === null || typeof secretKey === 'string' || typeof sessionToken === 'string') return null
  const keys = { accessKeyId: fields.accessKeyId, secretKey, sessionToken }
  known.set(secret, keys)
  return keys
}

type KeyFields = {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string | null
  readonly expiration: string | null
}

/** `AccessKeyId` as the CLI writes it, `accessKeyId` as SDKs do. */
function fieldsOf(text: string): KeyFields | null {
  const fields = new Map<string, unknown>()
  try {
    const read: unknown = JSON.parse(text)
    if (typeof read !== 'object' || read === null) return null
    for (const [name, value] of Object.entries(read)) fields.set(name.slice(0, 1).toLowerCase() + name.slice(1), value)
  } catch {
    return null
  }
  const valueOf = (name: keyof typeof shapes): string | null => {
    const value = fields.get(name)
    return typeof value === 'string' && shapes[name].test(value) ? value : null
  }
  const [accessKeyId, secretAccessKey] = [valueOf('accessKeyId'), valueOf('secretAccessKey')]
  const sessionToken = valueOf('sessionToken')
  const expiration = fields.get('expiration') ?? null
  if (accessKeyId === null || secretAccessKey === null) return null
  if (sessionToken === null && (fields.get('sessionToken') ?? null) !== null) return null
  if (expiration !== null && typeof expiration !== 'string') return null
  return { accessKeyId, secretAccessKey, sessionToken, expiration }
}
