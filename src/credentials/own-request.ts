/**
 * Requests of the gateway's own, to where secrets and tokens are had: their shape, and the capability to send them, which
 * the gateway hands in.
 *
 * Promises: https only; an address is written out, as one name and one path, and is nothing that two parsers could read
 * differently.
 */

import { Type } from 'typebox'
import { type Authority, hostField, parseHostField } from '../net/authority.ts'
import { type Cidr, parseCidr } from '../net/ip.ts'
import { type Problem, problem } from './shape-problems.ts'

/** Where one of them goes. */
export type HttpsPlace = {
  readonly authority: Authority
  /** As written; empty for the root. */
  readonly path: string
  /** What its name may resolve to; null: public addresses only. */
  readonly addresses: readonly Cidr[] | null
}

export type OwnRequest = {
  readonly place: HttpsPlace
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** In pairs. */
  readonly fields: readonly string[]
  readonly body: string | null
}

export type OwnAnswer = { readonly status: number; readonly body: Buffer }

/** The answer, or a sentence about why there is none that holds nothing of the request. Never rejects. */
export type AskOwn = (request: OwnRequest) => Promise<OwnAnswer | string>

/** What those who ask may use of the world. */
export type OwnNetwork = {
  readonly ask: AskOwn
  /** Milliseconds since the epoch. */
  readonly epochMs: () => number
}

/** What an answer says in JSON; undefined where it is none. */
export function jsonOf({ body }: OwnAnswer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}

/** A path below the place. */
export function below({ path }: HttpsPlace, rest: string): string {
  return `${path.replace(/\/$/, '')}${rest}`
}

export function urlOf({ authority, path }: HttpsPlace): string {
  return `https://${hostField(authority, 'https')}${path}`
}

export const HttpsUrl = Type.String({
  maxLength: 1024,
  description: 'an https URL without user, query or fragment, such as https://login.example.org/token',
})

export const OwnAddresses = Type.Array(Type.String({ maxLength: 64 }), {
  minItems: 1,
  maxItems: 100,
  description: 'ranges such as 10.2.0.0/16, where the name resolves to addresses that are not public',
})

const urlText = /^https:\/\/([^/?#@\\]+)((?:\/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*\/?)$/

/** `url` and `addresses`: the keys they were written under, for complaints. */
export function parseHttpsPlace(
  written: { readonly url: string; readonly addresses: readonly string[] | undefined },
  keys: { readonly url: string; readonly addresses: string },
  problems: Problem[],
): HttpsPlace | null {
  const [, host = '', path = ''] = urlText.exec(written.url) ?? []
  const authority = parseHostField(host, 'https')
  const isOdd = path.split('/').some((segment) => segment === '.' || segment === '..')
  if (authority === null || isOdd)
    problems.push(
      problem([keys.url], 'is no plain https URL', 'write it such as https://login.example.org/oauth/token'),
    )
  const addresses = written.addresses?.flatMap((text, index) => {
    const block = parseCidr(text)
    if (block === null)
      problems.push(problem([keys.addresses, index], 'is not a range of addresses', 'write it such as 10.2.0.0/16'))
    return block ?? []
  })
  return authority === null || isOdd ? null : { authority, path, addresses: addresses ?? null }
}
