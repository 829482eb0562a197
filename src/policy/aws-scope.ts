/**
 * How a request says with which AWS access key it was signed (Signature Version 4). Pure.
 *
 * Promises: what is not exactly the shape that SDKs write is no scope; region and service are plain names.
 */

export type AwsScope = {
  readonly keyId: string
  /** `20261121`. */
  readonly date: string
  readonly region: string
  readonly service: string
  /** Lower case; null for a scope that stands alone, as in a query. */
  readonly signedHeaders: readonly string[] | null
}

const scope = '([^/,\\s]{1,1024})/(\\d{8})/([a-z0-9-]{1,64})/([a-z0-9-]{1,64})/aws4_request'
const inQuery = new RegExp(`^${scope}$`)
const inField = new RegExp(
  `^AWS4-HMAC-SHA256 +Credential=${scope}, *SignedHeaders=([a-z0-9;._-]+), *Signature=[0-9a-f]{64}$`,
)

/** From the value of `Authorization` or, decoded, of `X-Amz-Credential`. */
export function parseAwsScope(value: string): AwsScope | null {
  const match = inField.exec(value) ?? inQuery.exec(value)
  if (match === null) return null
  const [, keyId = '', date = '', region = '', service = '', signed] = match
  return { keyId, date, region, service, signedHeaders: signed?.split(';') ?? null }
}
