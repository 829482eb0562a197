/**
 * IP addresses and CIDR blocks as numbers. No I/O, no policy.
 *
 * Promises: one spelling per address. IPv4 is dotted quad without leading zeros, IPv6 is RFC 4291 without a zone;
 * every other spelling that some C library would accept (`127.1`, `0x7f000001`, `::1%lo`) is no address here.
 */

/** An address: `bits` is 32 or 128, `value` the address as an unsigned integer, `text` its only spelling. */
export type Ip = { readonly bits: 32 | 128; readonly value: bigint; readonly text: string }

/** A block of addresses: the first `length` bits of `base` are fixed. */
export type Cidr = { readonly bits: 32 | 128; readonly base: bigint; readonly length: number; readonly text: string }

/** Dotted quad to a number, or null. Strict: four decimal octets, no leading zeros (RFC 6943 §3.1.1). */
export function parseIpv4(text: string): Ip | null {
  const value = quadValue(text)
  return value === null ? null : { bits: 32, value: BigInt(value), text }
}

/** RFC 4291 §2.2 text without brackets and without a zone, or null. The `text` of the result is RFC 5952 spelling. */
export function parseIpv6(text: string): Ip | null {
  const groups = ipv6Groups(text)
  if (groups === null) return null
  let value = 0n
  for (const group of groups) value = (value << 16n) | BigInt(group)
  return { bits: 128, value, text: spellIpv6(groups) }
}

/** Either family, or null. */
export function parseIp(text: string): Ip | null {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text)
}

/** `10.0.0.0/8` or `2001:db8::/32`. A bare address, or one with bits set beyond the prefix, is ambiguous: null. */
export function parseCidr(text: string): Cidr | null {
  const slash = text.indexOf('/')
  if (slash < 0) return null
  const ip = parseIp(text.slice(0, slash))
  const digits = text.slice(slash + 1)
  if (ip === null || !/^(0|[1-9][0-9]{0,2})$/.test(digits)) return null
  const length = Number(digits)
  if (length > ip.bits) return null
  const hostBits = BigInt(ip.bits - length)
  if ((ip.value >> hostBits) << hostBits !== ip.value) return null
  return { bits: ip.bits, base: ip.value, length, text: `${ip.text}/${digits}` }
}

/** Whether the block holds the address. Families never match each other: unwrap embedded IPv4 first. */
export function contains(block: Cidr, ip: Ip): boolean {
  if (block.bits !== ip.bits) return false
  const shift = BigInt(block.bits - block.length)
  return ip.value >> shift === block.base >> shift
}

/** The IPv4 address inside an IPv4-mapped IPv6 one (RFC 4291 §2.5.5.2), which is the same address; null for others. */
export function unmapIpv4(ip: Ip): Ip | null {
  return ip.bits === 128 && ip.value >> 32n === 0xffffn ? ipv4FromValue(ip.value & 0xffff_ffffn) : null
}

export function ipv4FromValue(value: bigint): Ip {
  const n = Number(value)
  return { bits: 32, value, text: `${n >>> 24}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}` }
}

function quadValue(text: string): number | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  if (match === null) return null
  let value = 0
  for (let i = 1; i <= 4; i++) {
    const digits = match[i] ?? ''
    const octet = Number(digits)
    if (octet > 255 || (digits.length > 1 && digits.startsWith('0'))) return null
    value = value * 256 + octet
  }
  return value
}

function ipv6Groups(text: string): number[] | null {
  if (text.length < 2 || text.length > 45) return null
  const halves = text.split('::')
  if (halves.length > 2) return null
  const head = groupList(halves[0] ?? '', halves.length === 1)
  const tail = halves.length === 2 ? groupList(halves[1] ?? '', true) : []
  if (head === null || tail === null) return null
  const missing = 8 - head.length - tail.length
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null
  return [...head, ...Array<number>(missing).fill(0), ...tail]
}

/** Colon-separated groups; only the last piece of the whole text (`mayEndInQuad`) may be a dotted quad. */
function groupList(text: string, mayEndInQuad: boolean): number[] | null {
  if (text === '') return []
  const groups: number[] = []
  const pieces = text.split(':')
  for (const [index, piece] of pieces.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(piece)) {
      groups.push(Number.parseInt(piece, 16))
      continue
    }
    const quad = mayEndInQuad && index === pieces.length - 1 ? quadValue(piece) : null
    if (quad === null) return null
    groups.push(Math.floor(quad / 65536), quad % 65536)
  }
  return groups
}

/** RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups shortened, the first of equals. */
function spellIpv6(groups: readonly number[]): string {
  let best = -1
  let bestLength = 1
  for (let start = 0; start < 8; start++) {
    let length = 0
    while (start + length < 8 && groups[start + length] === 0) length++
    if (length > bestLength) {
      best = start
      bestLength = length
    }
  }
  const hex = groups.map((group) => group.toString(16))
  if (best < 0) return hex.join(':')
  return `${hex.slice(0, best).join(':')}::${hex.slice(best + bestLength).join(':')}`
}
