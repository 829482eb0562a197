/**
 * A token endpoint as the sandbox sees it: its request for a token, made with the placeholder, is answered with the
 * placeholder, so that an SDK's own steps work and there is nothing to be had. Pure.
 *
 * Promises: nothing of such a request leaves the gateway, and no secret is needed to answer it; what does not hold the
 * placeholder of its session is no request of ours to answer.
 */

import type { RequestHead } from '../net/request-head.ts'
import type { HttpsPlace } from './own-request.ts'

export type TokenEndpoint = { readonly place: HttpsPlace; readonly clientId: string }

/** What equip makes of a request to one. */
export type TokenRequest = {
  readonly kind: 'token_request'
  readonly credential: string
  readonly placeholder: string
  /** The placeholder stood in its head. */
  readonly isProven: boolean
}

export type TokenAnswer = { readonly status: 200 | 400; readonly body: object }

/** How long an SDK should think that it has: no longer than it thinks of most others. */
const lifetimeSeconds = 3600

export function isTokenRequest({ place }: TokenEndpoint, head: RequestHead): boolean {
  return (
    head.method === 'POST' &&
    head.scheme === 'https' &&
    head.authority.text === place.authority.text &&
    head.path === (place.path === '' ? '/' : place.path)
  )
}

/** Null where the placeholder is missing. */
export function answerTokenRequest({ placeholder, isProven }: TokenRequest, body: string): TokenAnswer | null {
  const parameters = parametersOf(body)
  const proves = (name: string): boolean => parameters.get(name) === placeholder
  if (!isProven && !proves('client_secret') && !proves('refresh_token')) return null
  const grant = parameters.get('grant_type')
  const token = { access_token: placeholder, token_type: 'Bearer', expires_in: lifetimeSeconds }
  if (grant === 'client_credentials') return { status: 200, body: token }
  if (grant === 'refresh_token') return { status: 200, body: { ...token, refresh_token: placeholder } }
  const why = 'the proxy that holds the credential answers client_credentials and refresh_token only'
  return { status: 400, body: { error: 'unsupported_grant_type', error_description: why } }
}

/** A form, as RFC 6749 has it, or JSON, as some have it. Of a name that stands twice neither counts. */
function parametersOf(body: string): ReadonlyMap<string, unknown> {
  if (body.trimStart().startsWith('{')) {
    try {
      const said: unknown = JSON.parse(body)
      return new Map(typeof said === 'object' && said !== null ? Object.entries(said) : [])
    } catch {
      return new Map()
    }
  }
  const form = new URLSearchParams(body)
  return new Map([...form.keys()].flatMap((name) => (form.getAll(name).length === 1 ? [[name, form.get(name)]] : [])))
}
