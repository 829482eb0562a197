/**
 * What looks like a credential in a client's request. Pure.
 *
 * Promises: names are compared folded, so `X_Api_Key`, `x.api.key` and `x-api-key` are one; a value passes only if it is
 * exactly this session's placeholder, alone or in one of the spellings that clients put it in.
 */

import { fieldValues, foldName, listTokens } from '../net/fields.ts'
import { parseJsonWebToken } from '../net/json-web-token.ts'
import { decodedEscapes } from '../net/query.ts'
import type { RequestHead } from '../net/request-head.ts'
import { parseAwsScope } from './aws-scope.ts'

const credentialField =
  /^(?:http-)?(?:.*-)?(?:authorization|authorization-auxiliary|api-?key|api-?secret|api-?token|auth-?key|app-?key|application-key|access-?key|access-key-id|subscription-key|functions-key|master-key|secret-?key|session-key|auth|auth-?token|access-?token|session-?token|token|secret|password|passwd|credential|credentials|jwt|jwt-assertion|bearer)-*$/
/** Tokens that stand for a form or a browser, not for an account; and the signature of what is signed elsewhere. */
const harmlessField = /^(?:.*-)?(?:csrf|xsrf|idempotency|continuation|page|next|sync)-token$/
const credentialParameter =
  /^(?:key|(?:x-)?(?:api-?key|api-?secret|api-?token|app-?key|application-key|auth|auth-?key|auth-?token|access-?token|access-?key|access-key-id|authorization|bearer|bearer-?token|token|private-token|job-token|oauth-token|id-token|refresh-token|user-token|session-?token|security-token|secret|secret-?key|client-secret|client-assertion|password|passwd|pwd|jwt|sig|signature|subscription-key)|awsaccesskeyid|ossaccesskeyid|googleaccessid|q-ak|q-signature|x-(?:amz|goog|oss|obs|cos|tos)-(?:credential|signature|security-token))$/
/** In bodies `key`, `sig` and `auth` are names of many things, so those are not among them. */
const credentialMember =
  /^(?:x-)?(?:api-?key|api-?secret|api-?token|auth-?key|auth-?token|access-?token|access-?key|access-key-id|secret-access-key|authorization|bearer-?token|token|private-token|oauth-token|id-token|refresh-token|session-?token|security-token|secret|secret-?key|client-secret|client-assertion|password|passwd|pwd|subscription-key|awsaccesskeyid|ossaccesskeyid|googleaccessid|(?:amz|goog|oss|obs|cos|tos)-(?:credential|signature|security-token))$/

export function isCredentialField(name: string): boolean {
  const known = judgedNames.get(name)
  if (known !== undefined) return known
  const folded = foldName(name)
  const is = credentialField.test(folded) && !harmlessField.test(folded) && folded !== 'proxy-authorization'
  // Names come from clients: past the bound all are forgotten, the usual ones are back a request later.
  if (judgedNames.size >= judgedNamesMax) judgedNames.clear()
  if (name.length <= judgedNameMax) judgedNames.set(name, is)
  return is
}

/** Names that were judged, as they were spelled: a request has a dozen, and they are the same ones each time. */
const judgedNames = new Map<string, boolean>()
const judgedNamesMax = 1024
const judgedNameMax = 64

export function isCredentialParameter(name: string): boolean {
  return credentialParameter.test(foldName(name).replace(/^-+|-+$/g, ''))
}

/**
 * Browsers can put no field on a handshake, so services take keys as a subprotocol: `openai-insecure-api-key.KEY`,
 * `base64url.bearer.authorization.k8s.io.TOKEN`, `token` with the key behind it. Names of protocols are short.
 */
export function isCredentialSubprotocol(token: string): boolean {
  return token.length > 64 || credentialSubprotocol.test(token)
}
const credentialSubprotocol =
  /(?:^|[^a-z0-9])(?:header|auth|authorization|authentication|bearer|basic|jwt|api-?key|key|access-?token|token|secret|password|credentials?)(?:[^a-z0-9]|$)/i

/** Of JSON's top members and of forms. */
export function isCredentialMember(name: string): boolean {
  return credentialMember.test(spacedName(name))
}

/** `clientSecret` and `client_secret` are one, as far as there is a hump to see. */
function spacedName(name: string): string {
  return foldName(name.replace(/([a-z0-9])([A-Z])/g, '$1-$2')).replace(/^-+|-+$/g, '')
}

/**
 * The place of the first credential that is not ours, in words for the record (never its value); null when there is none.
 * `clientId`: the user name that is ours too, beside the placeholder.
 */
export function findForeignCredential(
  head: Pick<RequestHead, 'fields' | 'query'> & { readonly method: string },
  placeholder: string | null,
  clientId: string | null = null,
): string | null {
  for (let i = 0; i < head.fields.length; i += 2) {
    const name = head.fields[i] ?? ''
    if (!isCredentialField(name)) continue
    const value = head.fields[i + 1] ?? ''
    if (!isPlaceholder(value, placeholder) && !isClientPair(value, placeholder, clientId)) return `field ${shown(name)}`
  }
  if (head.method === 'WEBSOCKET') {
    const protocols = listTokens(fieldValues(head.fields, 'sec-websocket-protocol').join(','))
    const foreign = (token: string): boolean =>
      isCredentialSubprotocol(token) && (placeholder === null || !token.includes(placeholder.toLowerCase()))
    if (protocols.some(foreign)) return 'a WebSocket subprotocol'
  }
  if (head.query === null) return null
  for (const pair of head.query.split(/[&;]/)) {
    const equals = pair.indexOf('=')
    const name = decodedEscapes(equals < 0 ? pair : pair.slice(0, equals))
    if (!isCredentialParameter(name)) continue
    if (name === 'X-Amz-Signature' && isSignedWith(head.query, placeholder)) continue
    if (equals < 0 || !isPlaceholder(decodedEscapes(pair.slice(equals + 1)), placeholder))
      return `query parameter ${shown(name)}`
  }
  return null
}

/**
 * How a placeholder is written. `plain`: alone, or after a scheme; `basic`: as one half of the pair that `text` is; `aws`:
 * as the access key that signed, `text` being the whole value; `jwt`: as the issuer of the token that `text` is.
 */
export type PlaceholderSpelling = {
  readonly form: 'aws' | 'basic' | 'jwt' | 'plain'
  readonly scheme: string | null
  readonly text: string
}

/** Null where the value is anything more, or less, than the placeholder in one of the spellings clients put it in. */
export function spellingOf(value: string, placeholder: string): PlaceholderSpelling | null {
  if (value === placeholder) return { form: 'plain', scheme: null, text: value }
  if (value.includes('/aws4_request'))
    return parseAwsScope(value)?.keyId === placeholder ? { form: 'aws', scheme: null, text: value } : null
  const match = /^([a-z][a-z0-9-]{0,19}) +(\S+)$/i.exec(value)
  const [, scheme = '', text = ''] = match ?? []
  if (scheme.toLowerCase() !== 'basic') {
    if (text === placeholder) return { form: 'plain', scheme, text }
    return text.startsWith('eyJ') && isIssuedBy(text, placeholder) ? { form: 'jwt', scheme, text } : null
  }
  const pair = Buffer.from(text, 'base64').toString('latin1')
  const colon = pair.indexOf(':')
  // The other half names no account: git's fixed user names, or nothing.
  const halves = [pair.slice(0, colon), pair.slice(colon + 1)]
  const isOurs =
    colon >= 0 &&
    halves.includes(placeholder) &&
    halves.every(
      (half) => half === placeholder || /^(?:|x-access-token|x-oauth-basic|oauth2|git|token|api|__token__)$/.test(half),
    )
  return isOurs ? { form: 'basic', scheme, text: pair } : null
}

/** Signed with whatever key: whoever has it for an issuer made up here has no account by it. */
function isIssuedBy(token: string, placeholder: string): boolean {
  return parseJsonWebToken(token)?.issuer === placeholder
}

/** The signature of a presigned URL is of the key that its scope names, and a placeholder's opens nothing. */
function isSignedWith(query: string, placeholder: string | null): boolean {
  const match = /(?:^|&)X-Amz-Credential=([^&;]*)/.exec(query)
  return placeholder !== null && parseAwsScope(decodedEscapes(match?.[1] ?? ''))?.keyId === placeholder
}

function isPlaceholder(value: string, placeholder: string | null): boolean {
  if (placeholder === null) return false
  return spellingOf(value, placeholder) !== null
}

/** How an OAuth client proves itself (RFC 6749 §2.3.1): both halves form-encoded, by some down to the last dash, or as they are. */
export function isClientPair(value: string, placeholder: string | null, clientId: string | null): boolean {
  if (placeholder === null || clientId === null) return false
  const pair = Buffer.from(/^basic +(\S+)$/i.exec(value)?.[1] ?? '', 'base64').toString('latin1')
  const colon = pair.indexOf(':')
  const means = (half: string, text: string): boolean =>
    half === text || decodedEscapes(half.replaceAll('+', ' ')) === text
  // A client id may have a colon of its own where nothing is encoded.
  return (
    pair === `${clientId}:${placeholder}` ||
    (colon >= 0 && means(pair.slice(0, colon), clientId) && means(pair.slice(colon + 1), placeholder))
  )
}

/** A name may be as long as a head; the record needs to know which it was. */
function shown(name: string): string {
  return foldName(name).slice(0, 64)
}
