/**
 * Path patterns: `*` inside a segment, `**` across segments, nothing else special. Pure.
 *
 * Promises: the string that is matched is the string that will be sent. A path that two parsers could read differently
 * is called ambiguous and refused, never repaired; `%2F` alone has two readings that origins in use need (package
 * names), so both readings must match.
 */

import { Minimatch } from 'minimatch'

export type PathPattern = { readonly text: string; readonly matches: (path: string) => boolean }

/** The pattern, or a sentence that says what is wrong with it. */
export function parsePathPattern(text: string): PathPattern | string {
  if (!text.startsWith('/')) return 'does not start with "/"'
  if (!/^[!"$-~]+$/.test(text)) return 'has characters that no path may have; write them percent-encoded'
  if (text.includes('?')) return 'has a "?": paths exclude the query, write a condition under "query"'
  if (text.split('/').some((segment) => segment === '.' || segment === '..')) return 'has a "." or ".." segment'
  if (!text.includes('*')) return { text, matches: (path) => path === text }
  const glob = new Minimatch(text.replace(/[^*/A-Za-z0-9_~.%-]/g, '\\$&'), {
    dot: true,
    nobrace: true,
    nocomment: true,
    noext: true,
    nonegate: true,
    preserveMultipleSlashes: true,
    platform: 'linux',
  })
  return { text, matches: (path) => glob.match(path) }
}

/** Whether the path, taken as a pattern, means itself and nothing else: an agent that asks for `/**` is not to be suggested everything. */
export function meansOnlyItself(path: string): boolean {
  return !path.includes('*') && path.length <= suggestedPathMax && typeof parsePathPattern(path) !== 'string'
}
const suggestedPathMax = 1000

/**
 * All readings of a path that a rule may rely on: the path itself and, where it has encoded slashes, the path with them
 * as slashes. Null when it is ambiguous (CVE-2019-9901 and its kin).
 */
export function readingsOf(path: string): readonly string[] | null {
  if (isAmbiguous(path)) return null
  if (!/%2f/i.test(path)) return [path]
  const asSlash = path.replace(/%2f/gi, '/')
  return isAmbiguous(asSlash) ? null : [path, asSlash]
}

function isAmbiguous(path: string): boolean {
  // Most paths have nothing that could be read twice.
  if (!/[%\\]|\/[/.]/.test(path)) return false
  if (path.includes('\\') || path.includes('//')) return true
  // `%25` before the code of a dot, slash, backslash or NUL: a server that decodes twice reads another path.
  if (/%25(?:2e|2f|5c|00)/i.test(path)) return true
  for (const [, hex] of path.matchAll(/%(.{0,2})/gs)) {
    if (hex === undefined || !/^[0-9a-f]{2}$/i.test(hex)) return true
    const code = Number.parseInt(hex, 16)
    if (code < 0x20 || code === 0x7f || code === 0x5c) return true
    if (/[A-Za-z0-9._~-]/.test(String.fromCharCode(code))) return true // RFC 3986 §2.3: unreserved, needs no encoding
  }
  // `..;x` is `..` to servers that cut path parameters off.
  return path.split('/').some((segment) => /^\.{1,2}(?:;.*)?$/.test(segment))
}
