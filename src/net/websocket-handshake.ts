/**
 * The WebSocket handshake (RFC 6455 §4), as a client asks and as an origin agrees. No I/O, no policy.
 *
 * Promises: what is not exactly a handshake becomes none; what goes to the origin of it goes once, in one spelling; an
 * origin agrees only by the proof that it read this very handshake, and only to what was offered.
 */

import { createHash } from 'node:crypto'
import { type Fields, fieldValues, foldName } from './fields.ts'
import type { OutboundHead } from './outbound-head.ts'
import type { RawHead, RequestHead } from './request-head.ts'

export type Handshake = {
  readonly kind: 'handshake'
  readonly key: string
  /** Subprotocols offered, as one field value; null: none. */
  readonly protocols: string | null
  readonly extensions: string | null
}

export type HandshakeProblem = { readonly kind: 'problem'; readonly detail: string }

export function parseHandshake(raw: RawHead, { body, expectContinue }: RequestHead): Handshake | HandshakeProblem {
  const { fields } = raw
  if (raw.httpVersion !== '1.1') return problem('a WebSocket handshake is HTTP/1.1')
  if (body.kind === 'chunked' || (body.kind === 'length' && body.length > 0) || expectContinue)
    return problem('a WebSocket handshake with a body')
  const [version, ...versions] = fieldValues(fields, 'sec-websocket-version')
  if (version !== '13' || versions.length > 0) return problem('Sec-WebSocket-Version is not 13')
  const [key, ...keys] = fieldValues(fields, 'sec-websocket-key')
  // 16 bytes in base64: the last letter has four bits to spare, and they are zero.
  if (key === undefined || keys.length > 0 || !/^[A-Za-z0-9+/]{21}[AQgw]==$/.test(key))
    return problem('Sec-WebSocket-Key is not 16 bytes in base64')
  const protocols = fieldValues(fields, 'sec-websocket-protocol').join(', ')
  const extensions = fieldValues(fields, 'sec-websocket-extensions').join(', ')
  return { kind: 'handshake', key, protocols: protocols || null, extensions: extensions || null }
}

/** As it goes to the origin: none of the client's spellings of these fields, and one of ours. */
export function withHandshake(head: OutboundHead, { key, protocols, extensions }: Handshake): OutboundHead {
  const fields: string[] = []
  for (let i = 0; i < head.fields.length; i += 2) {
    const name = head.fields[i] ?? ''
    if (!foldName(name).startsWith('sec-websocket-')) fields.push(name, head.fields[i + 1] ?? '')
  }
  fields.push('Sec-WebSocket-Version', '13', 'Sec-WebSocket-Key', key)
  if (protocols !== null) fields.push('Sec-WebSocket-Protocol', protocols)
  if (extensions !== null) fields.push('Sec-WebSocket-Extensions', extensions)
  return { ...head, method: 'GET', fields, body: { kind: 'none' } }
}

/** What is wrong with a 101 as the answer to this handshake; null: nothing. */
export function switchProblem(asked: Handshake, fields: Fields): string | null {
  const upgrade = fieldValues(fields, 'upgrade').join(', ')
  if (!/^websocket$/i.test(upgrade)) return '101 to another protocol'
  const accept = fieldValues(fields, 'sec-websocket-accept')
  if (accept.length !== 1 || accept[0] !== acceptOf(asked.key)) return 'Sec-WebSocket-Accept is not of this handshake'
  // Extensions change what frames mean: one that was not asked for is refused (RFC 6455 §4.1).
  if (asked.extensions === null && fieldValues(fields, 'sec-websocket-extensions').length > 0)
    return 'a WebSocket extension that was not offered'
  const [protocol, ...protocols] = fieldValues(fields, 'sec-websocket-protocol')
  if (protocol === undefined) return null
  const offered = (asked.protocols ?? '').split(',').map((token) => token.trim())
  return protocols.length === 0 && offered.includes(protocol) ? null : 'a WebSocket subprotocol that was not offered'
}

/** The fields of a yes in HTTP/2, which proves nothing (RFC 8441 §5), as those of the 101 to this handshake. */
export function provenFields(asked: Handshake, fields: Fields): Fields {
  const kept = fields.filter((_, at) => foldName(fields[at - (at % 2)] ?? '') !== 'sec-websocket-accept')
  return [...kept, 'Upgrade', 'websocket', 'Sec-WebSocket-Accept', acceptOf(asked.key)]
}

export function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}

function problem(detail: string): HandshakeProblem {
  return { kind: 'problem', detail }
}
