/**
 * Credentials that go to the same hosts: an origin that keeps what it was sent may say one session's secret in the answer
 * to another's request.
 *
 * Promises: what was last put on with any of them is looked for in the answers to all; a credential that shares no host costs
 * nothing here.
 */

import type { Host } from '../net/host.ts'
import { matchesPattern } from '../policy/domain-pattern.ts'
import { overlapsPattern } from '../policy/pattern-overlap.ts'
import type { CredentialBook } from './credential-book.ts'
import type { Credential } from './credential-schema.ts'
import type { Secret } from './secret.ts'

/** Takes what is put on, gives what must not come back. */
export type WithNeighbours = (credential: Credential, host: Host, own: readonly Secret[]) => readonly Secret[]

export function createWithNeighbours(book: CredentialBook): WithNeighbours {
  const sharing = new Map<Credential, readonly Credential[]>()
  const presented = new Map<Credential, readonly Secret[]>()
  const sharingOf = (credential: Credential): readonly Credential[] => {
    const known = sharing.get(credential)
    if (known !== undefined) return known
    const found = book.names().flatMap((name) => {
      const other = book.get(name)
      return other !== undefined && other !== credential && meet(credential, other) ? [other] : []
    })
    sharing.set(credential, found)
    return found
  }
  return (credential, host, own) => {
    const others = sharingOf(credential)
    if (others.length === 0) return own
    presented.set(credential, own)
    const theirs = others
      .filter(({ hosts }) => hosts.some((pattern) => matchesPattern(pattern, host)))
      .flatMap((other) => presented.get(other) ?? [])
    return [...new Set([...own, ...theirs])]
  }
}

function meet({ hosts }: Credential, other: Credential): boolean {
  return hosts.some((one) => other.hosts.some((theirs) => overlapsPattern(one, theirs)))
}
