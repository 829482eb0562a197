/**
 * PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): whom a balancer speaks for. No I/O.
 *
 * Promises: one spelling of each header, bounded; whatever is not exactly one is bad. Who the client is comes from nowhere
 * else: a header that does not say it says `null`.
 */

import { parseIp, unmapIpv4 } from './ip.ts'

export type ProxyHeader =
  /** `client`: its address; null where the balancer does not say. `own`: the balancer speaks for itself. */
  | {
      readonly kind: 'header'
      readonly length: number
      readonly own: boolean
      readonly client: string | null
    }
  | { readonly kind: 'bad'; readonly detail: string }
  | { readonly kind: 'more' }

/** §2.1: the longest line of version 1. */
const lineBytesMax = 107
/** Of version 2: more than any balancer adds. */
const bytesMax = 4096

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const word = Buffer.from('PROXY ', 'latin1')

export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsLike(bytes, signature)) return bytes.length < 16 ? { kind: 'more' } : parseBinary(bytes)
  if (startsLike(bytes, word)) return parseLine(bytes)
  return bad('the connection does not begin with a header of the PROXY protocol')
}

function startsLike(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length)
  return bytes.subarray(0, length).equals(start.subarray(0, length))
}

function parseLine(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, lineBytesMax).indexOf('\r\n')
  if (end < 0) return bytes.length < lineBytesMax ? { kind: 'more' } : bad('its line does not end')
  const line = bytes.toString('latin1', 0, end)
  const length = end + 2
  if (/^PROXY UNKNOWN(?: [ -~]*)?$/.test(line)) return { kind: 'header', length, own: false, client: null }
  const [, family, source, target, ports] = /^PROXY (TCP4|TCP6) (\S+) (\S+) (\d+ \d+)$/.exec(line) ?? []
  const [from, to] = [parseIp(source ?? ''), parseIp(target ?? '')]
  const bits = family === 'TCP4' ? 32 : 128
  const isRight = ports?.split(' ').every((port) => /^(?:0|[1-9]\d{0,4})$/.test(port) && Number(port) <= 65_535)
  if (from === null || to === null || from.bits !== bits || to.bits !== bits || isRight !== true)
    return bad('its line is not of version 1')
  return { kind: 'header', length, own: false, client: (unmapIpv4(from) ?? from).text }
}

/** Bytes of both addresses and ports, by family. */
const addressBytes = { 1: 12, 2: 36, 3: 216 } as const

function parseBinary(bytes: Buffer): ProxyHeader {
  const [version, command] = [bytes.readUInt8(12) >> 4, bytes.readUInt8(12) & 15]
  const [family, transport] = [bytes.readUInt8(13) >> 4, bytes.readUInt8(13) & 15]
  const length = 16 + bytes.readUInt16BE(14)
  if (version !== 2 || command > 1) return bad('neither of its versions, or a command that there is not')
  if (length > bytesMax) return bad('its header is too long')
  if (family > 3 || transport > 2) return bad('it names a family that there is not')
  if (bytes.length < length) return { kind: 'more' }
  // §2.2: LOCAL, what the balancer asks on its own account; addresses are to be skipped.
  if (command === 0) return { kind: 'header', length, own: true, client: null }
  if (family === 0 || transport === 0) return { kind: 'header', length, own: false, client: null }
  const needed = family === 1 || family === 2 || family === 3 ? addressBytes[family] : 0
  if (length - 16 < needed) return bad('its addresses are cut off')
  if (transport !== 1) return bad('it speaks of datagrams')
  if (family === 3) return { kind: 'header', length, own: false, client: null }
  const ip = parseIp(family === 1 ? bytes.subarray(16, 20).join('.') : groupsOf(bytes.subarray(16, 32)))
  if (ip === null) return bad('its addresses are none')
  return { kind: 'header', length, own: false, client: (unmapIpv4(ip) ?? ip).text }
}

function groupsOf(bytes: Buffer): string {
  return Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(':')
}

function bad(detail: string): ProxyHeader {
  return { kind: 'bad', detail }
}
