/**
 * Who is calling, and may they make this call? Pure.
 *
 * Promises: a token is found in constant time, over digests of equal length and over all tokens whatever matched; only
 * `Authorization: Bearer` is looked at, and two of them are none.
 */

import { timingSafeEqual } from 'node:crypto'
import { type ControlToken, hashControlSecret, type Scope } from './control-token.ts'

/** RFC 6750 §2.1; the scheme in any case (RFC 9110 §11.1). */
const bearer = /^bearer +([!-~]{1,512})$/i

/** `fields` is the raw head, name and value by turns: the parsed one keeps the first of two and does not say so. */
export function identifyToken(tokens: readonly ControlToken[], fields: readonly string[]): ControlToken | null {
  const values = valuesOf(fields, 'authorization')
  const presented = values.length === 1 ? bearer.exec(values[0] ?? '')?.[1] : undefined
  if (presented === undefined) return null
  const hash = hashControlSecret(presented)
  let found: ControlToken | null = null
  for (const token of tokens) {
    if (timingSafeEqual(token.secretHash, hash)) found = token
  }
  return found
}

/** `admin` may all that any scope may; of an admin with labels only what its labels part. */
export function hasScope(token: ControlToken, wanted: readonly Scope[]): boolean {
  if (wanted.some((scope) => token.scopes.has(scope))) return true
  // Metrics are of everybody's sessions.
  const isApart = wanted.every((scope) => scope === 'metrics') && wanted.length > 0
  return token.scopes.has('admin') && !(isApart && hasLabels(token))
}

/** Whether it sees a part of the sessions only. */
export function hasLabels({ labels }: ControlToken): boolean {
  return Object.keys(labels).length > 0
}

export function valuesOf(fields: readonly string[], name: string): string[] {
  return fields.filter((_, index) => index % 2 === 1 && fields[index - 1]?.toLowerCase() === name)
}
