import { describe, expect, it } from 'vitest'
import { type FailureCode, FailureError, failure, failureOf, failures } from '../../../src/upstream/failure.ts'
import { denyReasons } from '../../../src/policy/deny-reason.ts'

function coded(code: string): Error {
  return Object.assign(new Error(`what ${code} says`), { code })
}

describe('what went wrong out there', () => {
  it.each<readonly [string, FailureCode]>([
    ['ECONNREFUSED', 'connect_failed'],
    ['EHOSTUNREACH', 'connect_failed'],
    ['ENETUNREACH', 'connect_failed'],
    ['ETIMEDOUT', 'connect_timeout'],
    ['UND_ERR_CONNECT_TIMEOUT', 'connect_timeout'],
    ['ECONNRESET', 'origin_closed'],
    ['EPIPE', 'origin_closed'],
    ['UND_ERR_SOCKET', 'origin_closed'],
    ['HPE_INVALID_CONSTANT', 'origin_malformed'],
    ['HPE_UNEXPECTED_CONTENT_LENGTH', 'origin_malformed'],
    ['UND_ERR_HEADERS_OVERFLOW', 'origin_malformed'],
    ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'origin_malformed'],
    ['UND_ERR_HEADERS_TIMEOUT', 'origin_timeout'],
    ['UND_ERR_BODY_TIMEOUT', 'origin_timeout'],
    ['CERT_HAS_EXPIRED', 'tls_untrusted'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'tls_untrusted'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'tls_untrusted'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'tls_untrusted'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'tls_untrusted'],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'tls_untrusted'],
    ['EPROTO', 'tls_failed'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'tls_failed'],
    ['ERR_TLS_HANDSHAKE_TIMEOUT', 'tls_failed'],
    ['SOMETHING_NEW', 'connect_failed'],
  ])('%s is %s', (code, said) => {
    const error = coded(code)
    expect(failureOf(error)).toEqual({ kind: 'failed', code: said, cause: error })
  })

  it.each([
    undefined,
    null,
    'text',
    7,
    {},
    { code: 'ECONNRESET' },
    new Error('no code'),
    Object.assign(new Error('x'), { code: 5 }),
  ])('that is no error with a code is a failed connection: case %$', (thrown) => {
    expect(failureOf(thrown).code).toBe('connect_failed')
  })

  it('that was carried through a callback comes out as it was', () => {
    const carried = failure('dns_timeout', 'cause')
    expect(failureOf(new FailureError(carried))).toBe(carried)
  })

  it('shares no word with what we refuse', () => {
    for (const code of Object.keys(failures)) expect(Object.keys(denyReasons)).not.toContain(code)
  })
})
