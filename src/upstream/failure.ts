/**
 * What can go wrong out there, as codes: never a reason of ours. *Denied* and *failed* share no word.
 *
 * `says` is for the agent; what the network really said (addresses, certificates) goes to the record only.
 */

import { errors } from 'undici'

export const failures = {
  connect_failed: { status: 502, says: 'the connection to the origin failed' },
  connect_timeout: { status: 504, says: 'the origin did not accept a connection in time' },
  dns_failed: { status: 502, says: 'the name could not be resolved' },
  dns_timeout: { status: 504, says: 'the name could not be resolved in time' },
  origin_closed: { status: 502, says: 'the origin closed the connection before it answered' },
  origin_malformed: { status: 502, says: 'the origin answered with something that is not well-formed HTTP' },
  origin_no_websocket: { status: 502, says: 'the origin speaks HTTP/2 alone, and takes no WebSocket over it' },
  origin_timeout: { status: 504, says: 'the origin did not answer in time' },
  origin_unsearchable: {
    status: 502,
    says: 'the origin answered in a form that cannot be searched for the credential that was put on the request',
  },
  parent_failed: { status: 502, says: 'the proxy that leads out of the network of this gateway could not be used' },
  parent_refused: {
    status: 502,
    says: 'the proxy that leads out of the network of this gateway refuses the connection',
  },
  parent_timeout: {
    status: 504,
    says: 'the proxy that leads out of the network of this gateway did not answer in time',
  },
  tls_failed: { status: 502, says: 'the TLS handshake with the origin failed' },
  tls_untrusted: { status: 502, says: "the origin's certificate could not be verified" },
} as const satisfies Record<string, { readonly status: 502 | 504; readonly says: string }>

export type FailureCode = keyof typeof failures

/** A failure of the network as a value; `cause` is for the record. */
export type Failure = { readonly kind: 'failed'; readonly code: FailureCode; readonly cause: unknown }

export function failure(code: FailureCode, cause: unknown): Failure {
  return { kind: 'failed', code, cause }
}

const byErrno: Readonly<Record<string, FailureCode>> = {
  CERT_CHAIN_TOO_LONG: 'tls_untrusted',
  CERT_HAS_EXPIRED: 'tls_untrusted',
  CERT_NOT_YET_VALID: 'tls_untrusted',
  CERT_REJECTED: 'tls_untrusted',
  CERT_REVOKED: 'tls_untrusted',
  CERT_SIGNATURE_FAILURE: 'tls_untrusted',
  CERT_UNTRUSTED: 'tls_untrusted',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'tls_untrusted',
  ECONNABORTED: 'origin_closed',
  ECONNREFUSED: 'connect_failed',
  ECONNRESET: 'origin_closed',
  EHOSTUNREACH: 'connect_failed',
  ENETUNREACH: 'connect_failed',
  EPIPE: 'origin_closed',
  EPROTO: 'tls_failed',
  ERR_TLS_CERT_ALTNAME_INVALID: 'tls_untrusted',
  ETIMEDOUT: 'connect_timeout',
  HOSTNAME_MISMATCH: 'tls_untrusted',
  INVALID_CA: 'tls_untrusted',
  INVALID_PURPOSE: 'tls_untrusted',
  PATH_LENGTH_EXCEEDED: 'tls_untrusted',
  SELF_SIGNED_CERT_IN_CHAIN: 'tls_untrusted',
  UNABLE_TO_GET_ISSUER_CERT: 'tls_untrusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'tls_untrusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'tls_untrusted',
  UND_ERR_BODY_TIMEOUT: 'origin_timeout',
  UND_ERR_CONNECT_TIMEOUT: 'connect_timeout',
  UND_ERR_HEADERS_OVERFLOW: 'origin_malformed',
  UND_ERR_HEADERS_TIMEOUT: 'origin_timeout',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'origin_malformed',
  UND_ERR_SOCKET: 'origin_closed',
}

/** The one place where an error of Node or undici becomes a code; `otherwise` is for what is in no table. */
export function failureOf(error: unknown, otherwise: FailureCode = 'connect_failed'): Failure {
  if (error instanceof FailureError) return error.failure
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
  const known = byErrno[code]
  if (known !== undefined) return failure(known, error)
  // Of undici's parser only the class can be relied on: 8.12 leaves the code out.
  if (code.startsWith('HPE_') || error instanceof errors.HTTPParserError) return failure('origin_malformed', error)
  if (code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_')) return failure('tls_failed', error)
  return failure(otherwise, error)
}

/** Errors that carry a failure through a library's callback. */
export class FailureError extends Error {
  readonly failure: Failure
  constructor(carried: Failure) {
    super(carried.code)
    this.failure = carried
  }
}
