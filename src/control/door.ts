/**
 * What is asked of a call before anyone looks at its token: that no web page made it. Pure.
 *
 * Promises: a page whose name was rebound to our address is refused by its Host; a page of another site cannot change
 * anything, neither by `fetch` (Origin) nor by a form (its body is not JSON).
 */

import { parseHost } from '../net/host.ts'
import { parseHostField } from '../net/authority.ts'
import { valuesOf } from './auth.ts'
import { type Problem, problemOf } from './problem.ts'

export type Knock = {
  readonly method: string
  /** The raw head: name and value by turns. */
  readonly fields: readonly string[]
  /** The address the connection came in on; null on a Unix socket. */
  readonly localAddress: string | null
}

const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD'])
const loopbackNames: readonly string[] = ['localhost', '127.0.0.1', '[::1]']
const jsonType = /^application\/json *(?:; *charset="?utf-8"?)?$/i

/** The names the API answers to: loopback, the configured address and those the operator lists, in canonical spelling. */
export function servedNames(listed: readonly string[]): ReadonlySet<string> {
  const hosts = [...loopbackNames, ...listed].map((name) => parseHost(name) ?? parseHost(`[${name}]`))
  return new Set(hosts.flatMap((host) => (host === null ? [] : [host.name])))
}

export function decideKnock(served: ReadonlySet<string>, knock: Knock): Problem | null {
  const hostFields = valuesOf(knock.fields, 'host')
  if (hostFields.length !== 1) return problemOf('malformed_request', 'exactly one Host field is needed')
  const host = parseHostField(hostFields[0] ?? '', 'http')?.host ?? null
  if (host === null || !(served.has(host.name) || isSameLiteral(host.name, knock.localAddress))) {
    return problemOf('host_not_served', 'use an address of the listener, or have the operator list the name')
  }
  if (safeMethods.has(knock.method)) return null
  if (valuesOf(knock.fields, 'origin').length > 0) {
    return problemOf('origin_refused', 'a call that changes something may not carry an Origin field')
  }
  const types = valuesOf(knock.fields, 'content-type')
  if (types.length > 1 || !types.every((type) => jsonType.test(type))) {
    return problemOf('unsupported_media_type', 'send Content-Type: application/json')
  }
  return null
}

/** A literal cannot be rebound: who asks for the very address they reached, meant it. */
function isSameLiteral(name: string, localAddress: string | null): boolean {
  if (localAddress === null) return false
  return (parseHost(localAddress) ?? parseHost(`[${localAddress}]`))?.name === name
}
