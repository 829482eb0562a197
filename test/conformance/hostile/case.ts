/**
 * A hostile case: bytes, where they are sent, and everything that must be true afterwards.
 *
 * Ids are those of the catalogue of hostile inputs, with a letter for each variant.
 */

import type { RawResponse } from '../../support/raw-client.ts'
import type { Answer } from '../../support/raw-origin.ts'
import type { StrictRequest } from '../../support/strict-http.ts'
import type { WorldPorts } from '../../support/world.ts'

/** Where the bytes go: on the proxy's own port, decrypted inside a CONNECT, or inside a CONNECT without TLS. */
export type Place = 'clear' | 'proxy' | 'tunnel'

export const everywhere: readonly Place[] = ['proxy', 'tunnel', 'clear']
/** Where a first line that is no request's is answered as HTTP. */
export const asHttp: readonly Place[] = ['proxy', 'tunnel']

/** What a case's bytes are made of, so that one text serves all places. */
export type Spot = {
  readonly place: Place
  /** The case's host, and the port of the origin of this place. */
  readonly authority: string
  readonly port: number
  /** The request target for a path there: absolute-form or origin-form. */
  readonly target: (path: string) => string
  /** `Host: …` and, on the proxy's port, the proxy credentials, each with its line end. */
  readonly lines: string
  /** The proxy credentials alone; empty in a tunnel. */
  readonly proof: string
  readonly ports: WorldPorts
}

/** Outcome and reason of a record, as `deny malformed_request`, `allow`, `failed origin_closed`. */
export type RecordText = string

export type Expectation = {
  /** Responses in order; of a list any will do. */
  readonly statuses: readonly (number | readonly number[])[]
  /** What the connection is afterwards. `cut`: closed, and what else was said is not looked at. */
  readonly after: 'any' | 'closed' | 'cut' | 'open'
  /** In order; of a list any will do. */
  readonly records: readonly (RecordText | readonly RecordText[])[]
  /** Whole requests that reach an origin. Zero also means: no connection at all, unless `broken`. */
  readonly requests: number
  /** An origin may have seen a connection, or the beginning of a request that then was cut. */
  readonly broken?: boolean
  /** The last response may be cut short, and then must not look whole. */
  readonly truncated?: boolean
  readonly check?: (seen: Seen) => void
}

/** What a case may look at beyond what the runner checks for all. */
export type Seen = {
  readonly requests: readonly StrictRequest[]
  readonly responses: readonly RawResponse[]
  readonly spot: Spot
}

export type HostileCase = {
  readonly id: string
  readonly what: string
  /** Everywhere where it is absent. */
  readonly places?: readonly Place[]
  /** Who is asked for; good.test where it is absent. */
  readonly host?: string
  /** How the host must look to the origin, where that is not `host`. */
  readonly sees?: string
  readonly send: (spot: Spot) => string | readonly string[]
  /** Responses have no body, whatever they say: to HEAD, to a CONNECT. */
  readonly bodiless?: boolean
  /** What the client does when it has sent all. */
  readonly ending?: 'fin' | 'reset'
  /** How the origin answers. */
  readonly answer?: Answer
  readonly expect: Expectation
}

/** Refused before anything left: no connection, no question, one record; a head that is a problem is the last. */
export function refused(status: number, reason: string, after?: Expectation['after']): Expectation {
  return {
    statuses: [status],
    after: after ?? (status === 400 || status === 421 ? 'closed' : 'open'),
    records: [`deny ${reason}`],
    requests: 0,
  }
}

/** A CONNECT that opens nothing. Whether the connection lives on is for its answer to say. */
export function noTunnel(reason: string): Expectation {
  return refused(403, reason, 'any')
}

export const malformed: Expectation = refused(400, 'malformed_request')
export const notAllowed: Expectation = refused(403, 'host_not_allowed')

/** The head was allowed, the body turned out to be none: the origin must not have seen a whole request. */
export const brokenOff: Expectation = { ...malformed, broken: true }

export function passed(check?: (seen: Seen) => void, requests: number = 1): Expectation {
  return {
    statuses: Array<number>(requests).fill(200),
    after: 'open',
    records: Array<string>(requests).fill('allow'),
    requests,
    ...(check === undefined ? {} : { check }),
  }
}

/** The network's fault, told in words that say nothing of it. */
export function failed(status: 502 | 504, code: string): Expectation {
  return { statuses: [status], after: 'any', records: [`failed ${code}`], requests: 0, broken: true }
}

/** A request with the given method and further field lines (each with its line end), and what follows the head. */
export function request(
  method: string,
  lines: string = '',
  body: string = '',
  path: string = '/',
): HostileCase['send'] {
  return (spot) => `${method} ${spot.target(path)} HTTP/1.1\r\n${spot.lines}${lines}\r\n${body}`
}

/** `a`, `b`, …, `z`, `aa`, …: the variants of one id. */
function letter(index: number): string {
  const last = String.fromCharCode(97 + (index % 26))
  return index < 26 ? last : letter(Math.floor(index / 26) - 1) + last
}

/** One case for each variant, all with the same id but for the letter. */
export function variants<Variant>(
  id: string,
  list: readonly Variant[],
  make: (variant: Variant) => Omit<HostileCase, 'id'>,
): HostileCase[] {
  return list.map((variant, index) => ({ id: `${id}${letter(index)}`, ...make(variant) }))
}

/** Bytes as they can be read in a test's name. */
export function shown(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 57)}…` : text
  return JSON.stringify(short)
    .slice(1, -1)
    .replace(/[^ -~…]/g, (c) => `\\x${c.charCodeAt(0).toString(16)}`)
}

/** The UTF-8 of a text, a character for each byte: what a client sends that knows no better. */
export function utf8(text: string): string {
  return Buffer.from(text).toString('latin1')
}
