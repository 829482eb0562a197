/**
 * A token endpoint as the sandbox sees it: its request for a token, made with the placeholder, is answered with the
 * placeholder, so that an SDK's own steps work and there is nothing to be had. Pure.
 *
 * Promises: nothing of such a request leaves the gateway, and no secret is needed to answer it; what does not hold the
 * placeholder of its session is no request of ours to answer.
 */

import type { RequestHead } from '../net/request-head.ts'
import { parseJsonWebToken } from '../net/json-web-token.ts'
import type { HttpsPlace } from './own-request.ts'

/**
 * How it is asked and answers. `oauth`: by a client secret or a refresh token (RFC 6749 §4.4, §6); `assertion`: by a token
 * that the client signed (RFC 7523 §2.1); `github-app`: by one in the head, answered in GitHub's own shape.
 */
type TokenDialect = 'assertion' | 'github-app' | 'oauth'

export type TokenEndpoint = {
  readonly place: Pick<HttpsPlace, 'authority'>
  /** As it is asked for; empty for the root. */
  readonly path: string
  /** The user name beside a client's secret in Basic; null: there is none. */
  readonly clientId: string | null
  readonly dialect: TokenDialect
}

/** What equip makes of a request to one. */
export type TokenRequest = {
  readonly kind: 'token_request'
  readonly credential: string
  readonly placeholder: string
  /** The placeholder stood in its head. */
  readonly isProven: boolean
  readonly dialect: TokenDialect
}

export type TokenAnswer = { readonly status: 200 | 201 | 400; readonly body: object }

/** How long an SDK should think that it has: no longer than it thinks of most others. */
const lifetimeSeconds = 3600

export function isTokenRequest({ place, path }: TokenEndpoint, head: RequestHead): boolean {
  return (
    head.method === 'POST' &&
    head.scheme === 'https' &&
    head.authority.text === place.authority.text &&
    head.path === (path === '' ? '/' : path)
  )
}

/** Null where the placeholder is missing. */
export function answerTokenRequest(request: TokenRequest, body: string, epochMs: number): TokenAnswer | null {
  const { placeholder, dialect } = request
  const token = { access_token: placeholder, token_type: 'Bearer', expires_in: lifetimeSeconds }
  switch (dialect) {
    case 'github-app':
      return request.isProven ? answerApp(placeholder, epochMs) : null
    case 'assertion': {
      const parameters = parametersOf(body)
      const claims = parseJsonWebToken(String(parameters.get('assertion')))
      if (claims?.issuer !== placeholder) return null
      // Without a scope it asks who it is, not what it may do.
      if (/"target_audience"/.test(claims.text)) return refusal('the proxy that holds the key gives no identity tokens')
      return parameters.get('grant_type') === 'urn:ietf:params:oauth:grant-type:jwt-bearer'
        ? { status: 200, body: token }
        : refusal('the proxy that holds the credential answers jwt-bearer only')
    }
    case 'oauth': {
      const parameters = parametersOf(body)
      const proves = (name: string): boolean => parameters.get(name) === placeholder
      if (!request.isProven && !proves('client_secret') && !proves('refresh_token')) return null
      const grant = parameters.get('grant_type')
      if (grant === 'client_credentials') return { status: 200, body: token }
      if (grant === 'refresh_token') return { status: 200, body: { ...token, refresh_token: placeholder } }
      return refusal('the proxy that holds the credential answers client_credentials and refresh_token only')
    }
  }
}

function refusal(why: string): TokenAnswer {
  return { status: 400, body: { error: 'unsupported_grant_type', error_description: why } }
}

/** What the app may do with it is for the token that is put on to say. */
function answerApp(placeholder: string, epochMs: number): TokenAnswer {
  const ends = new Date(epochMs + lifetimeSeconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z')
  return { status: 201, body: { token: placeholder, expires_at: ends, permissions: {}, repository_selection: 'all' } }
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
