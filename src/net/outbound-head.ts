/**
 * Outbound head: what we send to the origin, from a closed shape. No I/O, no policy.
 *
 * Promises: this is the only maker of what goes out. Framing, Host and hop-by-hop fields are never the client's; the
 * HTTP client below us is no guard (it sends `Proxy-Authorization`, `TE` and a duplicate `Authorization` unchanged).
 */

import { hostField } from './authority.ts'
import { type Fields, foldName, isHopByHop } from './fields.ts'
import { withoutParameters } from './query.ts'
import { type BodyFraming, nominatedFields, type RequestHead } from './request-head.ts'

export type OutboundHead = {
  readonly method: string
  /** Path with query, as sent. */
  readonly target: string
  readonly host: string
  /** Flat `[name, value, …]`, without Host, framing and hop-by-hop fields. */
  readonly fields: readonly string[]
  readonly body: BodyFraming
}

/** Fields that an origin may obey though no rule judged them: method overrides, rewritten targets, proxy gossip. */
const neverForwarded: ReadonlySet<string> = new Set([
  'content-length',
  'expect',
  'forwarded',
  'host',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-host',
  'x-original-url',
  'x-rewrite-url',
  'x-unix-socket',
])

const plainName = /^[a-z0-9-]*$/

export type FieldFilter = (lowerName: string, value: string) => boolean

/** What of a client's fields may go on. The class does not leave this file: nothing else can stand in its place. */
class ForwardedFields {
  readonly #made = true
  readonly pairs: readonly string[]
  constructor(pairs: readonly string[]) {
    this.pairs = pairs
    void this.#made
  }
}
export type { ForwardedFields }

/** `drop` says which further fields of the client stay behind (its credentials, its cookies). */
export function forwardedFields(received: Fields, drop: FieldFilter): ForwardedFields {
  const nominated = nominatedFields(received)
  const fields: string[] = []
  for (let i = 0; i < received.length; i += 2) {
    const name = received[i] ?? ''
    const value = received[i + 1] ?? ''
    const lower = name.toLowerCase()
    // Servers that map fields to variables read `Transfer_Encoding` as if it were spelled right.
    const folded = plainName.test(lower) ? lower : foldName(lower)
    if (isHopByHop(folded) || neverForwarded.has(folded) || nominated.has(lower)) continue
    if (folded.startsWith('x-egress-') || folded.startsWith('x-forwarded-') || drop(lower, value)) continue
    fields.push(name, value)
  }
  return new ForwardedFields(fields)
}

export function outboundHead(head: RequestHead, fields: ForwardedFields): OutboundHead {
  const target = head.query === null ? head.path : `${head.path}?${head.query}`
  const host = hostField(head.authority, head.scheme)
  return { method: head.method, target, host, fields: fields.pairs, body: head.body }
}

/** With the field set to one value, whatever stood there under that name, in any case, before. */
export function withField(head: OutboundHead, name: string, value: string): OutboundHead {
  return { ...head, fields: [...withoutFields(head, [name]).fields, name, value] }
}

export function withoutFields(head: OutboundHead, names: readonly string[]): OutboundHead {
  const lowered = names.map((name) => name.toLowerCase())
  // Most names are not even as long as one of these.
  return withoutFieldsWhere(head, (name) =>
    lowered.some((one) => one.length === name.length && one === name.toLowerCase()),
  )
}

export function withoutFieldsWhere(head: OutboundHead, isDoomed: (name: string) => boolean): OutboundHead {
  const fields: string[] = []
  for (let i = 0; i < head.fields.length; i += 2) {
    const name = head.fields[i] ?? ''
    if (!isDoomed(name)) fields.push(name, head.fields[i + 1] ?? '')
  }
  return { ...head, fields }
}

/** Bytes of the head on the wire, framing fields aside. */
export function headBytes(head: OutboundHead): number {
  let bytes = head.method.length + head.target.length + head.host.length + 20
  for (const text of head.fields) bytes += text.length + 2
  return bytes
}

/** With the query parameter set to one value, whatever stood there under that name, however it was spelled, before. */
export function withQueryParameter(head: OutboundHead, name: string, value: string): OutboundHead {
  const { path, query } = splitTarget(
    withoutQueryParameters(head, (found) => foldName(found) === foldName(name)).target,
  )
  const set = `${encodeURIComponent(name)}=${encodeURIComponent(value)}`
  return { ...head, target: `${path}?${query === null || query === '' ? set : `${query}&${set}`}` }
}

export function withoutQueryParameters(head: OutboundHead, isDoomed: (name: string) => boolean): OutboundHead {
  const { path, query } = splitTarget(head.target)
  const kept = withoutParameters(query, isDoomed)
  return { ...head, target: kept === null ? path : `${path}?${kept}` }
}

function splitTarget(target: string): { readonly path: string; readonly query: string | null } {
  const question = target.indexOf('?')
  return question < 0
    ? { path: target, query: null }
    : { path: target.slice(0, question), query: target.slice(question + 1) }
}
