/**
 * Authority: a host and a port (RFC 9110 §4.2), as one value. No I/O, no policy.
 *
 * Promises: there is one grammar for CONNECT targets, absolute-form targets, Host fields and SNI. `new URL` is never
 * asked: it folds full-width letters, drops tabs and reads `good@evil` as `evil`.
 */

import { type Host, parseHost } from './host.ts'

class Authority {
  readonly #parsed = true
  readonly host: Host
  readonly port: number
  /** `host:port`, brackets around IPv6: the key of caches and the text of records. */
  readonly text: string
  constructor(host: Host, port: number) {
    this.host = host
    this.port = port
    this.text = `${host.text}:${port}`
    void this.#parsed
  }
}
export type { Authority }

export type Scheme = 'http' | 'https'

export const defaultPort: Readonly<Record<Scheme, number>> = { http: 80, https: 443 }

export function authorityOf(host: Host, port: number): Authority {
  return new Authority(host, port)
}

/** `host:port`, both required (RFC 9112 §3.2.3); null for everything else. */
export function parseAuthority(text: string): Authority | null {
  const colon = text.lastIndexOf(':')
  if (colon < 0) return null
  const host = parseHost(text.slice(0, colon))
  const port = parsePort(text.slice(colon + 1))
  return host === null || port === null ? null : new Authority(host, port)
}

/** The value of a Host field (RFC 9110 §7.2): the port may be missing and is then the scheme's. */
export function parseHostField(text: string, scheme: Scheme): Authority | null {
  const bare = parseHost(text)
  return bare === null ? parseAuthority(text) : new Authority(bare, defaultPort[scheme])
}

/** As a Host field says it: without the port where the scheme already does. */
export function hostField(authority: Authority, scheme: Scheme): string {
  return authority.port === defaultPort[scheme] ? authority.host.text : authority.text
}

export function sameAuthority(a: Authority, b: Authority): boolean {
  return a.text === b.text
}

/** 1 to 65535 without sign, space or leading zero: `65979` is 443 to a parser that wraps. */
export function parsePort(text: string): number | null {
  if (!/^[1-9][0-9]{0,4}$/.test(text)) return null
  const port = Number(text)
  return port > 65535 ? null : port
}
