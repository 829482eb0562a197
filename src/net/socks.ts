/**
 * SOCKS5 as bytes (RFC 1928, RFC 1929): the three messages of a client, and what a server says. No I/O, no policy.
 *
 * Promises: each message is read in the order of its bytes, so what it is does not depend on the pieces it came in;
 * where a client wants to go goes through the same grammar as everywhere, names and literals alike.
 */

import { type Authority, authorityOf, parsePort } from './authority.ts'
import { type Host, parseHost } from './host.ts'

/** `length` is where the message ends. A problem is told in `reply`, the words that its message is answered in. */
export type SocksRead<Value> =
  | { readonly kind: 'more' }
  | { readonly kind: 'value'; readonly value: Value; readonly length: number }
  | { readonly kind: 'problem'; readonly detail: string; readonly reply: Buffer }

/** Bytes as latin1. */
export type SocksCredentials = { readonly user: string; readonly password: string }

const version = 5
const credentialsVersion = 1
const connectCommand = 1

export const socksMethods = { none: 0, credentials: 2 } as const

/** RFC 1928 §6. */
const socksReplies = {
  succeeded: 0,
  generalFailure: 1,
  notAllowed: 2,
  networkUnreachable: 3,
  hostUnreachable: 4,
  connectionRefused: 5,
  commandNotSupported: 7,
  addressTypeNotSupported: 8,
} as const

export type SocksReply = keyof typeof socksReplies

export const noAcceptableMethod: Buffer = Buffer.from([version, 0xff])
export const credentialsAccepted: Buffer = Buffer.from([credentialsVersion, 0])
export const credentialsRefused: Buffer = Buffer.from([credentialsVersion, 1])
/** "Request rejected", as version 4 says it. */
const version4Rejected = Buffer.from([0, 91, 0, 0, 0, 0, 0, 0])

export function methodChosen(method: keyof typeof socksMethods): Buffer {
  return Buffer.from([version, socksMethods[method]])
}

/** The address we dialled from is nobody's business: it is all zeros. */
export function socksReply(reply: SocksReply): Buffer {
  return Buffer.from([version, socksReplies[reply], 0, 1, 0, 0, 0, 0, 0, 0])
}

/** Whether a connection that begins with this byte speaks SOCKS; no HTTP begins with it. */
export function isSocks(firstByte: number | undefined): boolean {
  return firstByte === 5 || firstByte === 4
}

/** The methods that the client offers (RFC 1928 §3). */
export function parseSocksGreeting(bytes: Buffer): SocksRead<readonly number[]> {
  const [spoken, count] = bytes
  if (spoken === undefined) return more
  if (spoken === 4) return problem('SOCKS4, which proves nothing and names no hosts', version4Rejected)
  if (spoken !== version) return problem('the greeting is not of version 5', noAcceptableMethod)
  if (count === undefined) return more
  if (count === 0) return problem('a greeting without a method', noAcceptableMethod)
  const length = 2 + count
  return bytes.length < length ? more : { kind: 'value', value: [...bytes.subarray(2, length)], length }
}

/** User name and password (RFC 1929 §2). Either may be empty: some clients say that when they have none. */
export function parseSocksCredentials(bytes: Buffer): SocksRead<SocksCredentials> {
  const [spoken, userLength] = bytes
  if (spoken === undefined) return more
  if (spoken !== credentialsVersion) return problem('the credentials are not of version 1', credentialsRefused)
  if (userLength === undefined) return more
  const passwordAt = 3 + userLength
  const passwordLength = bytes[passwordAt - 1]
  const length = passwordAt + (passwordLength ?? 0)
  if (passwordLength === undefined || bytes.length < length) return more
  const user = bytes.toString('latin1', 2, passwordAt - 1)
  return { kind: 'value', value: { user, password: bytes.toString('latin1', passwordAt, length) }, length }
}

/** What is asked for: CONNECT to an authority, or nothing that we do (RFC 1928 §4). */
export function parseSocksRequest(bytes: Buffer): SocksRead<Authority> {
  const [spoken, command, reserved, addressType] = bytes
  if (spoken === undefined) return more
  if (spoken !== version) return failed('the request is not of version 5')
  if (command === undefined) return more
  if (command !== connectCommand)
    return failed(`command ${commandNames[command] ?? command} is not CONNECT`, 'commandNotSupported')
  if (reserved === undefined) return more
  if (reserved !== 0) return failed('the reserved byte of the request is not zero')
  if (addressType === undefined) return more
  const address = readAddress(bytes, addressType)
  if (address.kind !== 'value') return address
  const portAt = address.length
  if (bytes.length < portAt + 2) return more
  const port = parsePort(String(bytes.readUInt16BE(portAt)))
  return port === null
    ? failed('the port of the request is zero')
    : { kind: 'value', value: authorityOf(address.value, port), length: portAt + 2 }
}

const commandNames: Readonly<Record<number, string>> = { 2: 'BIND', 3: 'UDP ASSOCIATE' }

const addressAt = 4

/** An address is a literal, and judged as one; a name is whatever it spells. */
function readAddress(bytes: Buffer, addressType: number): SocksRead<Host> {
  switch (addressType) {
    case 1:
      return hostOf(bytes, addressAt, 4, (octets) => octets.join('.'))
    case 3: {
      const length = bytes[addressAt]
      if (length === undefined) return more
      return hostOf(bytes, addressAt + 1, length, (name) => name.toString('latin1'))
    }
    case 4:
      return hostOf(bytes, addressAt, 16, (octets) => `[${groupsOf(octets).join(':')}]`)
    default:
      return failed(`address type ${addressType} is none`, 'addressTypeNotSupported')
  }
}

function hostOf(bytes: Buffer, at: number, size: number, spell: (bytes: Buffer) => string): SocksRead<Host> {
  const length = at + size
  if (bytes.length < length) return more
  const host = parseHost(spell(bytes.subarray(at, length)))
  return host === null ? failed('what the request names is no host') : { kind: 'value', value: host, length }
}

function groupsOf(octets: Buffer): string[] {
  return Array.from({ length: 8 }, (_, index) => octets.readUInt16BE(2 * index).toString(16))
}

const more = { kind: 'more' } as const

function problem(detail: string, reply: Buffer): Extract<SocksRead<never>, { kind: 'problem' }> {
  return { kind: 'problem', detail, reply }
}

function failed(detail: string, reply: SocksReply = 'generalFailure'): ReturnType<typeof problem> {
  return problem(detail, socksReply(reply))
}

/**
 * The value of Proxy-Authorization that proves the same over HTTP (RFC 7617), so that both are judged by one reading.
 * Basic has no colon in a user name; with one it would be read as another pair, so it becomes a value that proves nothing.
 */
export function basicOf({ user, password }: SocksCredentials): string {
  return user.includes(':') ? 'Basic' : `Basic ${Buffer.from(`${user}:${password}`, 'latin1').toString('base64')}`
}
