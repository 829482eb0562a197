/**
 * Fields behind the body of a request (RFC 9110 §6.5): what of them may go on to an origin. No I/O, no policy.
 *
 * Promises: only what the head announced goes on, and nothing that decides framing, routing, identity or how a request is
 * read: who merges trailers into the head, as some do, would take it for what nobody judged in front.
 */

import { type Fields, fieldValues, foldName, isHopByHop, listTokens } from './fields.ts'

export type RequestTrailers = {
  /** Names of what may follow the body. */
  readonly announced: () => readonly string[]
  /** What of it has come, when the body has ended. */
  readonly received: () => Readonly<Record<string, string>>
}

const notTrailing =
  /^(?:accept.*|cache-control|content-.*|cookie2?|date|expect|forwarded|host|if-.*|max-forwards|origin|pragma|priority|proxy-.*|range|referer|sec-.*|set-cookie2?|upgrade-.*|user-agent|via|x-egress-.*|x-forwarded-.*|x-http-method.*|x-method-.*|x-original-.*|x-rewrite-.*|x-unix-.*)$/
const token = /^[!#$%&'*+.^_`|~0-9a-z-]+$/
const value = /^[\t -~\x80-\xff]*$/

/** Names that the head announces and that may go on, in lower case. `isDoomed`: what else may not. */
export function announcedTrailers(head: Fields, isDoomed: (lowerName: string) => boolean): readonly string[] {
  const names = new Set(fieldValues(head, 'trailer').flatMap(listTokens))
  return [...names].filter((name) => {
    const folded = foldName(name)
    return token.test(name) && !isHopByHop(folded) && !notTrailing.test(folded) && !isDoomed(name)
  })
}

/** Each name once, whatever came of it joined (RFC 9110 §5.3). */
export function announcedOf(received: Fields, announced: readonly string[]): Readonly<Record<string, string>> {
  const pairs = announced.flatMap((name): [string, string][] => {
    const values = fieldValues(received, name).map((one) => one.replace(/^[ \t]+|[ \t]+$/g, ''))
    return values.length > 0 && values.every((one) => value.test(one)) ? [[name, values.join(', ')]] : []
  })
  return Object.fromEntries(pairs)
}
