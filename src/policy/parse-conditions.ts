/**
 * What a rule says of header fields and of the body: from what the file says to values. Pure.
 *
 * Promises: as `parse-rule.ts`. Whoever sets a field sets none that frames a request, routes it or is a credential.
 */

import { foldName, isHopByHop } from '../net/fields.ts'
import { type BodyCondition, parseBodyPath } from './body-pattern.ts'
import { isCredentialField } from './foreign-credential.ts'
import type { IssueList } from './issue.ts'
import type { HeaderCondition } from './policy.ts'
import { isRecord } from './schema-issues.ts'
import { parseValuePattern, type ValuePattern } from './value-pattern.ts'

type Path = readonly (string | number)[]

const fieldName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/

export function parseHeaders(raw: unknown, path: Path, issues: IssueList): readonly HeaderCondition[] | null {
  if (!isRecord(raw)) return null
  return Object.entries(raw).map(([name, values]) => {
    if (!fieldName.test(name))
      issues.add([...path, 'headers', name], `"${name}" is not the name of a header field`, 'write it like "x-name"')
    return { name: name.toLowerCase(), values: parsePatterns(values) }
  })
}

export function parseBody(raw: unknown, path: Path, issues: IssueList): readonly BodyCondition[] | null {
  if (!isRecord(raw)) return null
  return Object.entries(raw).map(([text, values]) => {
    const segments = parseBodyPath(text)
    if (typeof segments === 'string')
      issues.add([...path, 'body', text], `"${text}" ${segments}`, 'write it like "model" or "tools.*.type"')
    return { text, segments: typeof segments === 'string' ? [] : segments, values: parsePatterns(values) }
  })
}

function parsePatterns(values: unknown): readonly ValuePattern[] {
  const list: readonly unknown[] = Array.isArray(values) ? values : []
  return list.flatMap((text) => (typeof text === 'string' ? [parseValuePattern(text)] : []))
}

/** Ours alone, or decided elsewhere. */
const notSettable =
  /^(?:host|content-length|content-type|content-encoding|expect|forwarded|cookie2?|range|via|x-forwarded-.*|x-egress-.*|sec-websocket-.*)$/

export function parseSet(raw: unknown, path: Path, issues: IssueList): ReadonlyMap<string, string | null> | null {
  if (!isRecord(raw)) return null
  const set = new Map<string, string | null>()
  const names = new Set<string>()
  for (const [name, value] of Object.entries(raw)) {
    const at = [...path, 'set', name]
    const folded = foldName(name)
    if (!fieldName.test(name)) issues.add(at, `"${name}" is not the name of a header field`, 'write it like "X-Name"')
    else if (isCredentialField(name))
      issues.add(
        at,
        `"${name}" is a place of credentials`,
        'put it on with "credential", whose value is no policy text',
      )
    else if (isHopByHop(folded) || notSettable.test(folded))
      issues.add(at, `"${name}" is not a policy's to set`, 'drop the line')
    else if (names.has(folded)) issues.add(at, `"${name}" is set twice`, 'keep one of the two')
    names.add(folded)
    if (typeof value === 'string' && !/^[!-~](?:[ -~]*[!-~])?$/.test(value))
      issues.add(
        at,
        `${JSON.stringify(value)} cannot be a field's value`,
        'write printable ASCII, or null to send none',
      )
    if (typeof value === 'string' || value === null) set.set(name, value)
  }
  return set
}
