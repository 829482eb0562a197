/**
 * What a client sent in places that belong to credentials, and how it is left behind. Pure.
 *
 * Promises: names are compared as lenient servers fold them (CVE-2025-64484), so no spelling of a place survives.
 */

import { foldName } from '../net/fields.ts'
import { type OutboundHead, outboundHead, withoutQueryParameters } from '../net/outbound-head.ts'
import type { RequestHead } from '../net/request-head.ts'
import { isCredentialField, isCredentialParameter } from '../policy/foreign-credential.ts'
import type { Owned } from './credential-kind.ts'

/** Which of the client's places are not forwarded. */
export type Strip = {
  /** Everything that looks like a credential. */
  readonly credentials: boolean
  readonly cookies: boolean
  /** Places of the credential about to be applied, whatever they look like. */
  readonly owned: Owned
}

export type Stripped = {
  readonly head: OutboundHead
  /** Folded names of what stayed behind; never a value. */
  readonly drops: readonly string[]
}

export function strippedHead(request: RequestHead, strip: Strip): Stripped {
  const drops = new Set<string>()
  const fields = new Set(strip.owned.fields.map(spelling))
  const parameters = new Set(strip.owned.parameters.map(spelling))
  const isDoomedField = (name: string): boolean => {
    const spelled = spelling(name)
    const doomed =
      fields.has(spelled) ||
      (strip.cookies && /^cookie2?$/.test(spelled)) ||
      (strip.credentials && (isCredentialField(name) || isCredentialField(spelled)))
    if (doomed) drops.add(spelled)
    return doomed
  }
  const isDoomedParameter = (name: string): boolean => {
    const spelled = spelling(name)
    const doomed = parameters.has(spelled) || (strip.credentials && isCredentialParameter(name))
    if (doomed) drops.add(`?${spelled}`)
    return doomed
  }
  const head = withoutQueryParameters(outboundHead(request, isDoomedField), isDoomedParameter)
  return { head, drops: [...drops] }
}

/** `HTTP_AUTHORIZATION`, `Authorization_` and `authorization` reach the same variable of a CGI-like server. */
function spelling(name: string): string {
  return foldName(name)
    .replace(/^[-]+|[-]+$/g, '')
    .replace(/^(?:http-)+/, '')
}
