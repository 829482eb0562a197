/**
 * Host: where a client wants to go, in its one canonical spelling. No I/O, no policy.
 *
 * Promises: policy, DNS, dial, SNI, certificate, Host field and record all use this value, so what was judged is what
 * is reached. Whatever is not plainly an ASCII name or an IP literal is refused, never repaired; only the case of
 * letters and one trailing dot (RFC 1034 §3.1: the absolute spelling of the same name) are folded.
 */

import { type Ip, parseIpv4, parseIpv6, unmapIpv4 } from './ip.ts'

class Host {
  readonly #parsed = true // a private field makes the type nominal: only the parsers of this file make one
  /** Lower-case A-labels without a trailing dot, or the literal's one spelling (IPv6 without brackets). */
  readonly name: string
  /** The address, when the host was written as a literal. */
  readonly ip: Ip | null
  constructor(name: string, ip: Ip | null) {
    this.name = name
    this.ip = ip
    void this.#parsed
  }
  /** As it stands in a URL or a Host field. */
  get text(): string {
    return this.ip?.bits === 128 ? `[${this.name}]` : this.name
  }
}
export type { Host }

const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/

/** A name, a dotted quad, or an IPv6 literal in brackets; null for everything else. */
export function parseHost(text: string): Host | null {
  if (text.startsWith('[')) return parseBracketed(text)
  // 253 characters and a trailing dot (RFC 1035 §2.3.4); longer cannot be asked of DNS.
  if (text.length === 0 || text.length > 254) return null
  const lower = lowerAscii(text)
  const ip = parseIpv4(lower)
  if (ip !== null) return new Host(ip.text, ip)
  const name = lower.endsWith('.') ? lower.slice(0, -1) : lower
  if (name.length > 253) return null
  const labels = name.split('.')
  if (!labels.every((part) => label.test(part))) return null
  // A name that ends in a number is an address to inet_aton and to the WHATWG URL parser, and a name to others.
  if (/^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '')) return null
  return new Host(name, null)
}

function parseBracketed(text: string): Host | null {
  if (!text.endsWith(']')) return null
  const ip = parseIpv6(text.slice(1, -1))
  if (ip === null) return null
  const mapped = unmapIpv4(ip)
  return mapped === null ? new Host(ip.text, ip) : new Host(mapped.text, mapped)
}

/** Only A-Z: `toLowerCase` also folds the Kelvin sign and the dotted I, which are other names. */
function lowerAscii(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}
