/**
 * A question a person asks of a policy: `POST https://host/path?x`. Pure.
 *
 * Promises: it is read by the parsers that read requests, so what is explained is what would happen.
 */

import { type Authority, authorityOf, defaultPort, parseAuthority, type Scheme } from '../net/authority.ts'
import { parseHost } from '../net/host.ts'
import { knownMethods, parseRequestHead, type RequestHead } from '../net/request-head.ts'

export type Question = {
  /** Null: none was named; a request is then judged as GET. */
  readonly method: string | null
  readonly scheme: Scheme
  readonly authority: Authority
  /** Path with query, as it would be sent. */
  readonly target: string
  /** Further fields of the head, names and values in turn. */
  readonly fields?: readonly string[]
  readonly body?: Buffer
}

/** `[METHOD] http(s)://host[:port][/path][?query]`, with `wss` and `ws` for WebSockets; or a sentence that says what is wrong. */
export function parseQuestion(text: string): Question | string {
  const match = /^(?:(\S+) +)?([a-z]+):\/\/([^/?#]*)([^#]*)$/i.exec(text.trim())
  if (match === null) return 'is not a method and a URL'
  const scheme = (match[2] ?? '').toLowerCase()
  const secure = scheme === 'https' || scheme === 'wss'
  if (!secure && scheme !== 'http' && scheme !== 'ws') return `has a scheme this proxy does not carry: ${scheme}`
  const method = match[1] ?? (scheme.startsWith('ws') ? 'WEBSOCKET' : null)
  if (method !== null && !knownMethods.includes(method)) return `has no method of this proxy: ${method}`
  const authority = parseUrlAuthority(match[3] ?? '', secure ? 'https' : 'http')
  if (authority === null) return 'does not name a host with an optional port'
  const rest = match[4] ?? ''
  const target = rest.startsWith('/') ? rest : `/${rest}`
  if (!/^[!"$-~]+$/.test(target)) return 'has characters in its path that no request may have'
  return { method, scheme: secure ? 'https' : 'http', authority, target }
}

/** The request that the question stands for: as plain as a client can send it. Null when no client could. */
export function requestOf(question: Question): RequestHead | null {
  const webSocket = question.method === 'WEBSOCKET'
  const upgrade = webSocket ? ['Connection', 'Upgrade', 'Upgrade', 'websocket'] : []
  const length = question.body === undefined ? [] : ['Content-Length', String(question.body.length)]
  const head = parseRequestHead(
    {
      method: webSocket ? 'GET' : (question.method ?? 'GET'),
      target: question.target,
      httpVersion: '1.1',
      fields: ['Host', question.authority.text, ...upgrade, ...(question.fields ?? []), ...length],
    },
    { kind: 'tunnel', scheme: question.scheme, authority: question.authority },
  )
  return 'kind' in head ? null : head
}

function parseUrlAuthority(text: string, scheme: Scheme): Authority | null {
  const bare = parseHost(text)
  return bare === null ? parseAuthority(text) : authorityOf(bare, defaultPort[scheme])
}
