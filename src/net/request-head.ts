/**
 * Request head: what a client asks for, as one value. No I/O, no policy.
 *
 * Promises: a head that two parsers could read two ways becomes no value at all. The parsers behind us are lenient where
 * they need not be (duplicate Host fields, `Content-Length: 005`, `gzip, chunked`, a body framed by a field that Connection
 * then removes), so everything that decides routing or framing is judged here, on the raw fields.
 */

import {
  type Authority,
  parseHostField,
  parsePort,
  type Scheme,
  authorityOf,
  defaultPort,
  hostField,
  sameAuthority,
} from './authority.ts'
import { FieldMemo } from './field-memo.ts'
import { type Fields, isHopByHop, listTokens } from './fields.ts'
import { parseHost } from './host.ts'

/** How the body is framed on the way in; we frame it anew on the way out. Lengths in bytes. */
export type BodyFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }

export type RequestHead = {
  /** The method token; `WEBSOCKET` for a WebSocket handshake, whatever token carries it. */
  readonly method: string
  readonly scheme: Scheme
  readonly authority: Authority
  /** As it will be sent, up to the query. */
  readonly path: string
  /** After `?`, as it will be sent; null when there is no `?`. */
  readonly query: string | null
  readonly fields: Fields
  readonly body: BodyFraming
  readonly expectContinue: boolean
}

/** What a client wrote: all of it still text. */
export type RawHead = {
  readonly method: string
  readonly target: string
  readonly httpVersion: string
  readonly fields: Fields
}

/** Where the head was read: on the proxy's own port, or inside a tunnel to an authority already judged. */
export type HeadPlace =
  | { readonly kind: 'proxy' }
  | { readonly kind: 'tunnel'; readonly scheme: Scheme; readonly authority: Authority }

export type HeadProblem = {
  readonly kind: 'problem'
  readonly reason: 'authority_mismatch' | 'malformed_request'
  readonly detail: string
}

/** Far below the count at which some servers stop showing fields that they still obey (about 1 000 in Node). */
export const fieldCountMax = 256

/** Closed: a token outside it is refused, because some origin gives every unknown one a meaning. */
export const knownMethods: readonly string[] = [
  'COPY',
  'DELETE',
  'GET',
  'HEAD',
  'LOCK',
  'MKCOL',
  'MOVE',
  'OPTIONS',
  'PATCH',
  'POST',
  'PROPFIND',
  'PROPPATCH',
  'PUT',
  'QUERY',
  'REPORT',
  'SEARCH',
  'UNLOCK',
  'WEBSOCKET',
] // prettier-ignore
const forwardable: ReadonlySet<string> = new Set(knownMethods.filter((method) => method !== 'WEBSOCKET'))

/** Fields that decide framing, routing or identity: Connection must not make them vanish half-way (RFC 9110 §7.6.1). */
const notNominable =
  /^(?:content-length|content-type|content-encoding|transfer-encoding|host|expect|range|authorization|cookie|set-cookie|sec-websocket-.*|x-api-key|api-key|x-forwarded-.*|forwarded|via|x-goog-.*|x-amz-.*)$/

export function parseRequestHead(raw: RawHead, place: HeadPlace): RequestHead | HeadProblem {
  if (raw.httpVersion !== '1.1' && raw.httpVersion !== '1.0') return malformed('HTTP version is neither 1.1 nor 1.0')
  if (!forwardable.has(raw.method)) return malformed('method is not one this proxy forwards')
  const target = parseTarget(raw.target, place)
  if (target.kind === 'problem') return target
  const scan = scans.of(raw.fields)
  if (scan.kind === 'problem') return scan
  if (scan.chunked && raw.httpVersion === '1.0') return malformed('Transfer-Encoding in HTTP/1.0') // RFC 9112 §6.1

  const host = namesTarget(scan.host, target) ? target.authority : parseHostField(scan.host, target.scheme)
  if (host === null) return malformed('Host field is not a host with an optional port')
  if (!sameAuthority(host, target.authority)) {
    return problem('authority_mismatch', `Host field names ${host.text}, the request is for ${target.authority.text}`)
  }
  const webSocket = scan.upgradeWebSocket && scan.connectionUpgrade
  if (webSocket && raw.method !== 'GET') return malformed('WebSocket handshake without GET') // RFC 6455 §4.1
  const question = target.target.indexOf('?')
  return {
    method: webSocket ? 'WEBSOCKET' : raw.method,
    scheme: target.scheme,
    authority: target.authority,
    path: question < 0 ? target.target : target.target.slice(0, question),
    query: question < 0 ? null : target.target.slice(question + 1),
    fields: raw.fields,
    body: scan.chunked
      ? { kind: 'chunked' }
      : scan.length === null
        ? { kind: 'none' }
        : { kind: 'length', length: scan.length },
    // RFC 9110 §10.1.1: in HTTP/1.0 an expectation is ignored.
    expectContinue: scan.expectContinue && raw.httpVersion === '1.1',
  }
}

/** A CONNECT head. It needs no Host field (some clients send none); one that is there must say the same. */
export function checkConnectFields(fields: Fields, authority: Authority): HeadProblem | null {
  if (fields.length / 2 > fieldCountMax) return malformed('too many fields')
  let host: string | null = null
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] ?? '').toLowerCase()
    if (name === 'transfer-encoding' || name === 'content-length') return malformed('CONNECT with a body') // RFC 9110 §9.3.6
    if (name !== 'host') continue
    if (host !== null) return malformed('more than one Host field')
    host = fields[i + 1] ?? ''
  }
  if (host === null) return null
  const named = parseHostField(host, 'https')
  if (named === null) return malformed('Host field is not a host with an optional port')
  const portless = parseHost(host) !== null
  if (named.host.name !== authority.host.name || (!portless && named.port !== authority.port)) {
    return malformed(`Host field names ${named.text}, CONNECT names ${authority.text}`)
  }
  return null
}

type Target = {
  readonly kind: 'target'
  readonly scheme: Scheme
  readonly authority: Authority
  readonly target: string
}

/** Absolute-form on the proxy's port, origin-form in a tunnel (RFC 9112 §3.2); nothing else. */
function parseTarget(text: string, place: HeadPlace): Target | HeadProblem {
  // Printable ASCII without `#`: a fragment is never sent, and raw bytes beyond are read differently by every server.
  if (!/^[!"$-~]+$/.test(text)) return malformed('request target has characters that no target may have')
  if (place.kind === 'tunnel') {
    if (!text.startsWith('/')) return malformed('inside a tunnel the request target is a path')
    return { kind: 'target', scheme: place.scheme, authority: place.authority, target: text }
  }
  const match = /^http:\/\/([^/?]*)(.*)$/i.exec(text)
  if (match === null) return malformed('request target is not http://host/path; for https send CONNECT host:443 first')
  const authority = parseUriAuthority(match[1] ?? '')
  if (authority === null) return malformed('authority of the request target is not a host with an optional port')
  const rest = match[2] ?? ''
  return { kind: 'target', scheme: 'http', authority, target: rest.startsWith('/') ? rest : `/${rest}` }
}

/** The usual spelling needs no second reading: what is written as the target itself is that target. */
function namesTarget(field: string, { authority, scheme }: Target): boolean {
  return field === authority.text || field === hostField(authority, scheme)
}

/** Authorities as they were written: a client asks for the same few again and again. */
const writtenAuthorities = new Map<string, Authority>()
const writtenAuthoritiesMax = 1024

function parseUriAuthority(text: string): Authority | null {
  const known = writtenAuthorities.get(text)
  if (known !== undefined) return known
  const parsed = readUriAuthority(text)
  if (parsed !== null) {
    if (writtenAuthorities.size >= writtenAuthoritiesMax) writtenAuthorities.clear()
    writtenAuthorities.set(text, parsed)
  }
  return parsed
}

function readUriAuthority(text: string): Authority | null {
  const bare = parseHost(text)
  if (bare !== null) return authorityOf(bare, defaultPort.http)
  const colon = text.lastIndexOf(':')
  const host = colon < 0 ? null : parseHost(text.slice(0, colon))
  const port = colon < 0 ? null : parsePort(text.slice(colon + 1))
  return host === null || port === null ? null : authorityOf(host, port)
}

type Scan = {
  readonly kind: 'scan'
  readonly host: string
  readonly length: number | null
  readonly chunked: boolean
  readonly expectContinue: boolean
  readonly upgradeWebSocket: boolean
  readonly connectionUpgrade: boolean
}

const scans = new FieldMemo(scanFields)

// Values are compared by `/…/i`, which folds ASCII only; `toLowerCase` would read the Kelvin sign as a `k`.
function scanFields(fields: Fields): Scan | HeadProblem {
  if (fields.length / 2 > fieldCountMax) return malformed('too many fields')
  let host: string | null = null
  let length: string | null = null
  let coding: string | null = null
  let expect: string | null = null
  let upgraded = false
  let upgradeWebSocket = false
  let connectionUpgrade = false
  for (let i = 0; i < fields.length; i += 2) {
    const value = fields[i + 1] ?? ''
    switch ((fields[i] ?? '').toLowerCase()) {
      case 'connection':
        for (const token of listTokens(value)) {
          if (notNominable.test(token))
            return malformed('Connection names a field that decides framing, routing or identity')
          connectionUpgrade ||= token === 'upgrade'
        }
        break
      case 'content-length':
        if (length !== null) return malformed('more than one Content-Length')
        length = value
        break
      case 'expect':
        if (expect !== null) return malformed('more than one Expect')
        expect = value
        break
      case 'host':
        if (host !== null) return malformed('more than one Host field')
        host = value
        break
      case 'transfer-encoding':
        if (coding !== null) return malformed('more than one Transfer-Encoding')
        coding = value
        break
      case 'upgrade':
        // One field, or another reader might take the other; and its whole value: `h2c, websocket` or `websocketx` is no WebSocket handshake.
        if (upgraded) return malformed('more than one Upgrade')
        upgraded = true
        upgradeWebSocket = /^websocket$/i.test(value)
        break
    }
  }
  if (host === null) return malformed('no Host field')
  if (length !== null && coding !== null) return malformed('Content-Length beside Transfer-Encoding') // RFC 9112 §6.1
  if (length !== null && !/^(?:0|[1-9][0-9]{0,14})$/.test(length))
    return malformed('Content-Length is not a plain number')
  if (coding !== null && !/^chunked$/i.test(coding)) return malformed('Transfer-Encoding is not chunked')
  if (expect !== null && !/^100-continue$/i.test(expect)) return malformed('Expect is not 100-continue')
  return {
    kind: 'scan',
    host,
    length: length === null ? null : Number(length),
    chunked: coding !== null,
    expectContinue: expect !== null,
    upgradeWebSocket,
    connectionUpgrade,
  }
}

/** The names that Connection nominates, beside those that never travel: what must not be forwarded. */
export function nominatedFields(fields: Fields): ReadonlySet<string> {
  let names: Set<string> | null = null
  for (let i = 0; i < fields.length; i += 2) {
    if ((fields[i] ?? '').toLowerCase() !== 'connection') continue
    for (const token of listTokens(fields[i + 1] ?? '')) if (!isHopByHop(token)) names = (names ?? new Set()).add(token)
  }
  return names ?? none
}
const none: ReadonlySet<string> = new Set()

export function malformed(detail: string): HeadProblem {
  return problem('malformed_request', detail)
}

function problem(reason: HeadProblem['reason'], detail: string): HeadProblem {
  return { kind: 'problem', reason, detail }
}
