/** Names and values of forms, `application/x-www-form-urlencoded` as the WHATWG's URL standard reads it. No I/O, no policy. */

import { decodedEscapes } from './query.ts'

export type FormField = { readonly name: string; readonly value: string }

/** Servers have long ceased to show more, though they may still obey them. */
const pairsMax = 10_000

/** `text` is latin1: a character for each byte. Where `&` and `;` part is not agreed upon, so both do. */
export function parseUrlEncoded(text: string): readonly FormField[] | null {
  const pairs = text.split(/[&;]/)
  if (pairs.length > pairsMax) return null
  return pairs.map((pair) => {
    const equals = pair.indexOf('=')
    return equals < 0
      ? { name: decodedEscapes(pair), value: '' }
      : { name: decodedEscapes(pair.slice(0, equals)), value: decodedEscapes(pair.slice(equals + 1)) }
  })
}
