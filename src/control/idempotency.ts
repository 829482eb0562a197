/**
 * The Idempotency-Key of a create (draft-ietf-httpapi-idempotency-key-header): the field as it is read, and the digest by which a
 * repeated call is told from another one.
 *
 * Promises: two bodies that say the same have one digest, in whatever order they say it; what goes into it of a secret is
 * sealed first, so that nobody who reads the store can try values.
 */

import { createHash } from 'node:crypto'
import type { ControlOptions } from './control-options.ts'
import { problemOf } from './problem.ts'
import { ProblemError } from './problem-of-error.ts'
import type { CreateSession } from './schemas.ts'

/** The draft has a quoted string (RFC 8941 §3.3.3); bare keys are as common. Both name the same. */
const fieldText = /^(?:"([ !#-[\]-~]{1,128})"|([!#-~]{1,128}))$/

export function parseIdempotencyKey(headers: Readonly<Record<string, unknown>>): string | null {
  const { 'idempotency-key': value } = headers
  if (value === undefined) return null
  const read = typeof value === 'string' ? fieldText.exec(value) : null
  const key = read?.[1] ?? read?.[2]
  if (key !== undefined) return key
  throw new ProblemError(problemOf('invalid_request', 'an Idempotency-Key is 1 to 128 visible ASCII characters'))
}

export function digestOf(
  { credentials }: Pick<ControlOptions, 'credentials'>,
  owner: string,
  body: CreateSession,
): string {
  const filled = Object.entries(body.credentials ?? {}).map(([slot, filling]): [string, unknown] => [
    slot,
    typeof filling === 'string' ? filling : { sealed: credentials.seal(owner, slot, filling.value) },
  ])
  const said = sorted({ ...body, credentials: Object.fromEntries(filled) })
  return createHash('sha256').update(JSON.stringify(said)).digest('hex')
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries: [string, unknown][] = Object.entries(value)
  return Object.fromEntries(
    entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, sorted(inner)]),
  )
}
