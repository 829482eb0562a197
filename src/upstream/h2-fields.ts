/**
 * Heads of HTTP/2 as lists, the way Node's client takes and gives them.
 *
 * Promises: nothing is added to what goes out but what HTTP/2 itself asks for.
 */

import { STATUS_CODES } from 'node:http'
import type { OutboundHead } from '../net/outbound-head.ts'

/** RFC 9113 §8.3.1; `OutboundHead` has no field that concerns one connection. */
export function headerList(
  { method, host, target, fields, body }: OutboundHead,
  announced: readonly string[],
): string[] {
  const list = [':method', method, ':scheme', 'https', ':authority', host, ':path', target]
  let grpc = false
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] ?? '').toLowerCase()
    const value = fields[i + 1] ?? ''
    grpc ||= name === 'content-type' && value.startsWith('application/grpc')
    list.push(name, value)
  }
  if (body.kind === 'length') list.push('content-length', String(body.length))
  if (announced.length > 0) list.push('trailer', announced.join(', '))
  // Of ours: trailers are passed on. Without it some servers refuse gRPC.
  if (grpc) list.push('te', 'trailers')
  return list
}

/** RFC 8441 §4: no key, since nothing that comes back is a proof that it was read. */
export function connectList({ host, target, fields }: OutboundHead, protocol: string): string[] {
  const list = [':method', 'CONNECT', ':protocol', protocol, ':scheme', 'https', ':authority', host, ':path', target]
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] ?? '').toLowerCase()
    if (name !== 'sec-websocket-key') list.push(name, fields[i + 1] ?? '')
  }
  return list
}

export function sortFields(raw: readonly string[]): { readonly status: number; readonly regular: readonly string[] } {
  const regular: string[] = []
  let status = 0
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? ''
    if (name === ':status') status = Number(raw[i + 1])
    else if (!name.startsWith(':')) regular.push(name, raw[i + 1] ?? '')
  }
  return { status, regular }
}

/** HTTP/2 has none, and some clients of HTTP/1.1 take an answer without one for a broken one. */
export function reasonOf(status: number): string {
  return STATUS_CODES[status] ?? ''
}

export function lengthOf(fields: readonly string[]): number | null {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === 'content-length') return Number(fields[i + 1])
  return null
}
