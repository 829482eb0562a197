/**
 * What a client sent in places that belong to credentials, and how it is left behind. Pure.
 *
 * Promises: names are compared as lenient servers fold them (CVE-2025-64484), so no spelling of a place survives.
 */

import { FieldMemo } from '../net/field-memo.ts'
import { type Fields, foldName } from '../net/fields.ts'
import {
  forwardedFields,
  type OutboundHead,
  outboundHead,
  withoutFieldsWhere,
  withoutQueryParameters,
} from '../net/outbound-head.ts'
import type { RequestHead } from '../net/request-head.ts'
import { isCredentialField, isCredentialParameter } from '../policy/foreign-credential.ts'
import type { SetField } from '../policy/decide-request.ts'
import type { Owned } from './credential-kind.ts'

/** Which of the client's places are not forwarded. */
export type StripRules = {
  /** Everything that looks like a credential. */
  readonly credentials: boolean
  readonly cookies: boolean
  /** Places of the credential about to be applied, whatever they look like. */
  readonly owned: Owned
  readonly answer: AnswerRules
}

/** What is searched for what was put on the request comes uncoded, and `whole` unless it may come in `parts` (decision 35). */
export type AnswerRules = 'any' | 'parts' | 'whole'

const asksForCodings = ['accept-encoding', 'connect-accept-encoding', 'grpc-accept-encoding']

/** What asks for an answer of another kind. */
const asksOtherwise: Readonly<Record<AnswerRules, ReadonlySet<string>>> = {
  any: new Set(),
  parts: new Set(asksForCodings),
  whole: new Set([...asksForCodings, 'if-range', 'range']),
}

type Stripped = {
  readonly head: OutboundHead
  /** Folded names of what stayed behind; never a value. */
  readonly drops: readonly string[]
}

/** Made once for each set of rules, used for every request. */
export type Strip = (request: RequestHead) => Stripped

export function createStrip({ credentials, cookies, owned, answer }: StripRules): Strip {
  const ownFields = new Set(owned.fields.map(spelling))
  const ownParameters = new Set(owned.parameters.map(spelling))
  const isDoomedField = (name: string, spelled: string): boolean =>
    ownFields.has(spelled) ||
    (cookies && /^cookie2?$/.test(spelled)) ||
    (credentials && (isCredentialField(name) || isCredentialField(spelled)))
  const kept = new FieldMemo((fields: Fields) => {
    const drops = new Set<string>()
    const forwarded = forwardedFields(fields, (name) => {
      const spelled = spelling(name)
      const doomed = isDoomedField(name, spelled)
      if (doomed) drops.add(spelled)
      return doomed || asksOtherwise[answer].has(spelled)
    })
    return { forwarded, drops: [...drops] }
  })
  return (request) => {
    const { forwarded, drops } = kept.of(request.fields)
    const plain = outboundHead(request, forwarded)
    const head = answer === 'any' ? plain : { ...plain, fields: [...plain.fields, 'Accept-Encoding', 'identity'] }
    if (request.query === null) return { head, drops }
    const parameters: string[] = []
    const stripped = withoutQueryParameters(head, (name) => {
      const spelled = spelling(name)
      const doomed = ownParameters.has(spelled) || (credentials && isCredentialParameter(name))
      if (doomed) parameters.push(`?${spelled}`)
      return doomed
    })
    return { head: stripped, drops: [...new Set([...drops, ...parameters])] }
  }
}

/** The rules' own fields in place of the client's, however those were spelled. */
export function withSet(head: OutboundHead, set: readonly SetField[]): OutboundHead {
  if (set.length === 0) return head
  const names = new Set(set.map(([name]) => spelling(name)))
  const bare = withoutFieldsWhere(head, (name) => names.has(spelling(name)))
  const ours = set.flatMap(([name, value]) => (value === null ? [] : [name, value]))
  return { ...bare, fields: [...bare.fields, ...ours] }
}

/** `HTTP_AUTHORIZATION`, `Authorization_` and `authorization` reach the same variable of a CGI-like server. */
function spelling(name: string): string {
  return foldName(name)
    .replace(/^[-]+|[-]+$/g, '')
    .replace(/^(?:http-)+/, '')
}
