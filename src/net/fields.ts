/**
 * Header fields as an ordered flat list, name then value, as they came (RFC 9110 §5). No I/O, no policy.
 *
 * Promises: nothing is joined, folded or dropped silently; what is removed is removed by a function of this file.
 */

/** `[name, value, name, value, …]`: the shape of Node's `rawHeaders` and of undici's input, so nothing is copied. */
export type Fields = readonly string[]

/** Fields that concern one connection only (RFC 9110 §7.6.1), and the proxy's own. Never forwarded, either way. */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

export function isHopByHop(lowerName: string): boolean {
  return hopByHop.has(lowerName)
}

/** The first value of the field, or null. */
export function fieldValue(fields: Fields, lowerName: string): string | null {
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i]
    if (name !== undefined && name.length === lowerName.length && name.toLowerCase() === lowerName)
      return fields[i + 1] ?? null
  }
  return null
}

/** All values of the field, in order. */
export function fieldValues(fields: Fields, lowerName: string): string[] {
  const values: string[] = []
  for (let i = 0; i + 1 < fields.length; i += 2) {
    if (fields[i]?.toLowerCase() === lowerName) values.push(fields[i + 1] ?? '')
  }
  return values
}

/** Comma-separated tokens of a field value, lower case, empty ones dropped (RFC 9110 §5.6.1). */
export function listTokens(value: string): string[] {
  return value
    .toLowerCase()
    .split(',')
    .map((token) => token.replace(/^[ \t]+|[ \t]+$/g, ''))
    .filter((token) => token !== '')
}

/** A name as servers that map fields to variables read it: `X_Api.Key` and `x-api-key` are one (CVE-2025-64484). */
export function foldName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-')
}
