/**
 * Response head: what of an origin's answer may reach the client. No I/O, no policy.
 *
 * Promises: framing and hop-by-hop fields are ours; nothing an origin says can look like a refusal of ours, or lead the
 * client around us to another protocol or host.
 */

import { isHopByHop, listTokens } from './fields.ts'

/** `Alt-Svc` points past the proxy; the others are our own voice. */
const neverReturned: ReadonlySet<string> = new Set([
  'alt-svc',
  'proxy-status',
  'proxy-authenticate',
  'proxy-connection',
])

export type ResponseHead = {
  readonly status: number
  readonly reason: string
  readonly fields: readonly string[]
  /** Bytes of the head as it came, framing fields included. */
  readonly bytes: number
  /** Nothing follows it, no trailers either. */
  readonly ended?: true
}

/** Whether Set-Cookie may pass, or what goes in place of its value; null: nothing. */
export type CookieRule = 'pass' | 'strip' | ((value: string) => string | null)

/**
 * Fields as raw bytes, in pairs. `cookies`: on a pinned host a cookie won with our secret is itself a credential. Null when the status is none that a client could be sent, or the body is coded for the
 * transfer in a way that nobody asked for (RFC 9112 §6.1): what follows is not what it says.
 */
export function parseResponseHead(
  status: number,
  reason: string,
  raw: readonly (Buffer | string)[],
  cookies: CookieRule,
): ResponseHead | null {
  if (!Number.isInteger(status) || status < 200 || status > 999) return null
  return readHead(status, reason, raw, cookies)
}

/** A 1xx: the same, and no field that would frame a body (RFC 9110 §15.2: it has none). Null when it is no 1xx. */
export function parseInterimHead(
  status: number,
  reason: string,
  raw: readonly (Buffer | string)[],
  cookies: CookieRule,
): ResponseHead | null {
  if (!Number.isInteger(status) || status < 100 || status > 199) return null
  const head = readHead(status, reason, raw, cookies)
  return head === null ? null : { ...head, fields: without(head.fields, (name) => name === 'content-length') }
}

function readHead(
  status: number,
  reason: string,
  raw: readonly (Buffer | string)[],
  cookies: CookieRule,
): ResponseHead | null {
  const fields: string[] = []
  let nominated: readonly string[] = []
  let bytes = reason.length + 15
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = latin1(raw[i])
    const value = latin1(raw[i + 1])
    bytes += name.length + value.length + 4
    const lower = name.toLowerCase()
    if (lower === 'transfer-encoding' && value.trim().toLowerCase() !== 'chunked') return null
    if (lower === 'connection') nominated = [...nominated, ...listTokens(value)]
    if (isHopByHop(lower) || neverReturned.has(lower) || lower.startsWith('x-egress-')) continue
    if (cookies !== 'pass' && (lower === 'set-cookie' || lower === 'set-cookie2')) {
      const instead = cookies === 'strip' || lower === 'set-cookie2' ? null : cookies(value)
      if (instead !== null) fields.push(name, instead)
      continue
    }
    fields.push(name, value)
  }
  return {
    status,
    reason: printable(reason),
    // Connection may not make framing vanish here either: Content-Length stays, whatever Connection says of it.
    fields:
      nominated.length === 0
        ? fields
        : without(fields, (name) => name !== 'content-length' && nominated.includes(name)),
    bytes,
  }
}

/**
 * What must be known before the body is read, or of whom: framing, routing, credentials, how to read and keep it (RFC 9110
 * §6.5.1). Behind the body nobody looks at it in time, or somebody takes it for what it was refused as in front.
 */
const notTrailing =
  /^(?::.*|age|authorization|cache-control|content-.*|cookie2?|date|expires|host|location|retry-after|set-cookie2?|te|vary|warning|www-authenticate)$/

/** What of an origin's trailers may reach the client. */
export function parseTrailers(raw: readonly (Buffer | string)[], cookies: CookieRule): readonly string[] {
  const fields = parseResponseHead(200, '', raw, cookies)?.fields ?? []
  const kept: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? ''
    if (!notTrailing.test(name.toLowerCase())) kept.push(name, fields[i + 1] ?? '')
  }
  return kept
}

function without(fields: readonly string[], isDoomed: (lowerName: string) => boolean): string[] {
  const kept: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? ''
    if (!isDoomed(name.toLowerCase())) kept.push(name, fields[i + 1] ?? '')
  }
  return kept
}

/** Reason phrases are printable ASCII (decision 31): some clients show them on a terminal. */
export function printable(text: string): string {
  return /^[ -~]*$/.test(text) ? text : text.replace(/[^ -~]/g, '?')
}

function latin1(bytes: Buffer | string | undefined): string {
  return typeof bytes === 'string' ? bytes : (bytes?.toString('latin1') ?? '')
}
