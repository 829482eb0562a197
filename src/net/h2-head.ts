/**
 * The header list of an HTTP/2 request → the same values as a head of HTTP/1.1 (RFC 9113 §8.3). No I/O, no policy.
 *
 * Promises: what HTTP/1.1 would refuse is refused here by the very same code; what only HTTP/2 can say wrong (pseudo-header
 * fields twice, late or unknown, fields of one connection, characters that would be line ends elsewhere) is refused first.
 * A WebSocket handshake (RFC 8441) becomes the one of HTTP/1.1; whatever else extended CONNECT may ask for is refused.
 */

import { parseHostField, sameAuthority, type Scheme } from './authority.ts'
import type { Fields } from './fields.ts'
import {
  fieldCountMax,
  type HeadPlace,
  type HeadProblem,
  malformed,
  parseRequestHead,
  type RawHead,
  type RequestHead,
} from './request-head.ts'

export type H2Head = { readonly raw: RawHead; readonly head: HeadProblem | RequestHead }

export type H2Sent = {
  readonly place: Extract<HeadPlace, { kind: 'tunnel' }>
  /** The stream ended with its head: there is no body. */
  readonly bodiless: boolean
  readonly headBytesMax: number
  /** For a WebSocket handshake: the key that HTTP/2 has no use for, and origins of HTTP/1.1 wait for. */
  readonly newKey: () => string
}

/** `list` is what the decoder of HPACK made of it: names and values in turn, pseudo-header fields among them. */
export function parseH2Head(list: Fields, sent: H2Sent): H2Head {
  const { place, bodiless, headBytesMax } = sent
  const sorted = sortFields(list, place, headBytesMax)
  const { pseudo } = sorted
  if (sorted.problem === null && pseudo[':protocol'] !== null) return parseExtendedConnect(sorted, sent)
  const raw: RawHead = {
    method: pseudo[':method'] ?? '',
    target: pseudo[':path'] ?? '',
    httpVersion: '1.1',
    fields: ['host', pseudo[':authority'] ?? '', ...sorted.regular],
  }
  const problem = sorted.problem ?? pseudoProblem(pseudo, place.scheme)
  if (problem !== null) return { raw, head: problem }
  const head = parseRequestHead(raw, place)
  if ('kind' in head || head.body.kind !== 'none')
    return { raw, head: 'kind' in head || !bodiless || isEmpty(head) ? head : malformed('a length without a body') }
  // HTTP/2 ends a body with its stream; without a length that is what HTTP/1.1 says with chunks.
  return { raw, head: bodiless ? head : { ...head, body: { kind: 'chunked' } } }
}

/** RFC 8441 §4, §5. */
function parseExtendedConnect({ pseudo, regular }: Sorted, { place, bodiless, newKey }: H2Sent): H2Head {
  const handshake: string[] = []
  for (let i = 0; i < regular.length; i += 2) {
    const name = regular[i] ?? ''
    // Whoever sends one here proves nothing by it: the proof is between us and the origin.
    if (name !== 'sec-websocket-key') handshake.push(name, regular[i + 1] ?? '')
  }
  const host = pseudo[':authority'] ?? ''
  const raw: RawHead = {
    method: 'GET',
    target: pseudo[':path'] ?? '',
    httpVersion: '1.1',
    fields: [
      'host',
      host,
      'connection',
      'Upgrade',
      'upgrade',
      'websocket',
      'sec-websocket-key',
      newKey(),
      ...handshake,
    ],
  }
  const problem = connectProblem(pseudo, bodiless) ?? pseudoProblem(pseudo, place.scheme)
  return { raw, head: problem ?? parseRequestHead(raw, place) }
}

function connectProblem(pseudo: Pseudo, bodiless: boolean): HeadProblem | null {
  if (pseudo[':method'] !== 'CONNECT') return malformed(':protocol without CONNECT')
  if (pseudo[':protocol'] !== 'websocket') return malformed('extended CONNECT to something else than a WebSocket')
  return bodiless ? malformed('a WebSocket handshake that is the end of its stream') : null
}

type Pseudo = Record<':authority' | ':method' | ':path' | ':protocol' | ':scheme', string | null>

type Sorted = { readonly pseudo: Pseudo; readonly regular: readonly string[]; readonly problem: HeadProblem | null }

// RFC 9113 §8.2.1, and the grammar that HTTP/1.1 has for both: this list is written as lines behind us.
const fieldName = /^[!#$%&'*+.^_`|~0-9a-z-]+$/
const fieldValue = /^(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?$/

/** RFC 9113 §8.2.2. */
const ofConnection: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])

function sortFields(list: Fields, place: H2Sent['place'], headBytesMax: number): Sorted {
  const pseudo: Pseudo = { ':authority': null, ':method': null, ':path': null, ':protocol': null, ':scheme': null }
  const regular: string[] = []
  let problem: HeadProblem | null = null
  let cookieAt = 0
  let bytes = 0
  // What is wrong is told once; the rest is still read, so that the record can name what was asked for.
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] ?? ''
    const value = list[i + 1] ?? ''
    bytes += name.length + value.length + 4
    if (name.startsWith(':')) {
      problem ??= notPseudo(name, pseudo, regular.length > 0)
      if (isPseudo(name, pseudo)) pseudo[name] ??= value
    } else {
      problem ??= notRegular(name, value, place)
      if (name === 'host') continue
      // RFC 9113 §8.2.3: crumbs are one field wherever HTTP/2 is left.
      if (name === 'cookie' && cookieAt > 0) regular[cookieAt] = `${regular[cookieAt]}; ${value}`
      else regular.push(name, value)
      if (name === 'cookie' && cookieAt === 0) cookieAt = regular.length - 1
    }
  }
  if (list.length / 2 > fieldCountMax) problem ??= malformed('too many fields')
  if (bytes > headBytesMax) problem ??= malformed('the head is too large')
  return { pseudo, regular, problem }
}

function isPseudo(name: string, pseudo: Pseudo): name is keyof Pseudo {
  return Object.hasOwn(pseudo, name)
}

function notPseudo(name: string, pseudo: Pseudo, late: boolean): HeadProblem | null {
  if (!isPseudo(name, pseudo)) return malformed('a pseudo-header field that this proxy does not know')
  if (late) return malformed('a pseudo-header field behind the others')
  return pseudo[name] === null ? null : malformed(`more than one ${name}`)
}

function notRegular(name: string, value: string, { authority, scheme }: H2Sent['place']): HeadProblem | null {
  if (!fieldName.test(name)) return malformed('a field name that is no lower-case token')
  if (!fieldValue.test(value)) return malformed('a field value with characters that no value may have')
  if (ofConnection.has(name)) return malformed('a field of one connection has no meaning in HTTP/2')
  if (name === 'te' && value !== 'trailers') return malformed('TE is not trailers')
  if (name !== 'host') return null
  // RFC 9113 §8.3.1: beside `:authority` it must say the same.
  const host = parseHostField(value, scheme)
  if (host === null) return malformed('Host field is not a host with an optional port')
  return sameAuthority(host, authority)
    ? null
    : {
        kind: 'problem',
        reason: 'authority_mismatch',
        detail: `Host field names ${host.text}, the request is for ${authority.text}`,
      }
}

function pseudoProblem(pseudo: Pseudo, scheme: Scheme): HeadProblem | null {
  for (const [name, value] of Object.entries(pseudo))
    if (value === null && name !== ':protocol') return malformed(`no ${name}`)
  return pseudo[':scheme'] === scheme ? null : malformed(':scheme is not the scheme of the tunnel')
}

function isEmpty({ body }: RequestHead): boolean {
  return body.kind === 'length' && body.length === 0
}
