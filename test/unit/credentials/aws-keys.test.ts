import { describe, expect, test } from 'vitest'
import { awsKeysOf, mintAwsKeys } from '../../../src/credentials/aws-keys.ts'
import { parseSecret, type Secret } from '../../../src/credentials/secret.ts'

const now = Date.parse('2026-11-21T12:00:00Z')
const key = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'
const token = 'FwoGZXIvYXdzEA0123456789+/=='
const printed = { Version: 1, AccessKeyId: 'ASIAIOSFODNN7EXAMPLE', SecretAccessKey: key, SessionToken: token }
const noJson = 'is not JSON with AccessKeyId, SecretAccessKey and SessionToken'

function secretOf(text: string): Secret {
  const secret = parseSecret(text, { unsafeShortSecret: false, secretShape: 'lines' })
  if (typeof secret === 'string') throw new Error(secret)
  return secret
}

function minted(fields: object | string, isTemporary = true) {
  const text = typeof fields === 'string' ? fields : JSON.stringify(fields, null, 2)
  return mintAwsKeys(secretOf(text), isTemporary, now)
}

test('a key that stays is kept as it is', () => {
  const secret = secretOf(key)
  expect(mintAwsKeys(secret, false, now)).toEqual({ token: secret, lifetimeMs: 86_400_000 })
  expect(awsKeysOf(secret, 'AKIAIOSFODNN7EXAMPLE')).toEqual({
    accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
    secretKey: secret,
    sessionToken: null,
  })
})

describe('the keys of a role', () => {
  const sdk = { accessKeyId: printed.AccessKeyId, secretAccessKey: key, sessionToken: token }
  test.each<readonly [fields: object, lifetimeMs: number]>([
    [printed, 86_400_000],
    [{ ...printed, Expiration: '2026-11-21T13:00:00Z' }, 3_600_000],
    [{ ...printed, Expiration: '2026-11-21T13:00:01+00:00' }, 3_601_000],
    [sdk, 86_400_000],
    [{ ...sdk, expiration: '2026-11-21T12:00:01Z' }, 1000],
  ])('%j', (fields, lifetimeMs) => {
    const kept = minted(fields)
    if (typeof kept === 'string') return expect.fail(kept)
    expect(kept.lifetimeMs).toBe(lifetimeMs)
    const keys = awsKeysOf(kept.token, null)
    expect([keys?.accessKeyId, keys?.secretKey.reveal(), keys?.sessionToken?.reveal()]).toEqual([
      'ASIAIOSFODNN7EXAMPLE',
      key,
      token,
    ])
    expect(awsKeysOf(kept.token, null)).toBe(keys)
  })

  test('may come without a token', () => {
    const kept = minted({ ...printed, SessionToken: undefined })
    if (typeof kept === 'string') return expect.fail(kept)
    expect(awsKeysOf(kept.token, null)?.sessionToken).toBeNull()
  })
})

describe('no key', () => {
  test.each<readonly [fields: object | string, problem: string]>([
    [key, noJson],
    ['[1, 2, 3, 4, 5, 6, 7]', noJson],
    ['null              1', noJson],
    ['"just a text of some length"', noJson],
    [{ ...printed, AccessKeyId: 'asia' }, noJson],
    [{ ...printed, AccessKeyId: undefined }, noJson],
    [{ ...printed, SecretAccessKey: 'short' }, noJson],
    [{ ...printed, SecretAccessKey: 'with a line\nbreak in it' }, noJson],
    [{ ...printed, SessionToken: 'with spaces in the middle' }, noJson],
    [{ ...printed, SessionToken: 7 }, noJson],
    [{ ...printed, Expiration: 1_763_726_400 }, noJson],
    [{ ...printed, Expiration: 'soon' }, 'has an Expiration that is no time'],
    [{ ...printed, Expiration: '2026-11-21T12:00:00Z' }, 'has expired'],
  ])('%j', (fields, problem) => expect(minted(fields)).toBe(problem))

  test('that stays is JSON, or has a space', () => {
    const problem = 'is no secret access key; for JSON with a session token, say "temporary: true"'
    expect(minted(printed, false)).toBe(problem)
    expect(minted('a secret key of many words', false)).toBe(problem)
  })

  test('is read of what was not minted', () => expect(awsKeysOf(secretOf(key), null)).toBeNull())
})
