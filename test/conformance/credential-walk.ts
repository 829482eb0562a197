/** One policy over one host, and the permit of a request through it: how tests of credentials get theirs. */

import { authorityOf } from '../../src/net/authority.ts'
import { parseHost } from '../../src/net/host.ts'
import { parseRequestHead, type RequestHead } from '../../src/net/request-head.ts'
import { decideHost } from '../../src/policy/decide-host.ts'
import { decideRequest, type RequestPermit } from '../../src/policy/decide-request.ts'
import { parseDomainPattern } from '../../src/policy/domain-pattern.ts'
import { noLimits } from '../../src/policy/parse-limits.ts'
import { type Grant, Policy, type Rule } from '../../src/policy/policy.ts'

export const authority = authorityNamed('api.good.test')

export function authorityNamed(name: string, port = 443) {
  const host = parseHost(name)
  if (host === null) throw new Error(`${name} is no host`)
  return authorityOf(host, port)
}

export function grantWith(changes: Partial<Rule>, placeholders: ReadonlyMap<string, string> = new Map()): Grant {
  const host = parseDomainPattern('**.good.test')
  if (typeof host === 'string') throw new Error(host)
  const rule: Rule = {
    id: 'p#1',
    action: 'allow',
    host,
    ports: null,
    methods: null,
    paths: null,
    query: null,
    headers: null,
    body: null,
    set: null,
    unsafeUncheckedBody: false,
    addresses: null,
    tls: 'auto',
    credential: null,
    foreignCredentials: null,
    ranges: false,
    cookies: 'strip',
    ...changes,
  }
  const policy = new Policy({ name: 'p', version: 1, mode: 'enforce', rules: [rule], limits: noLimits, label: 'p' })
  return { policy, mode: 'enforce', placeholders }
}

export function requestHead(fields: readonly string[], query: string, at = authority): RequestHead {
  const named = fields[0] === 'Host' ? fields : ['Host', at.host.text, ...fields]
  const target = query === '' ? '/v1' : `/v1?${query}`
  const raw = { method: 'GET', target, httpVersion: '1.1', fields: named }
  const head = parseRequestHead(raw, { kind: 'tunnel', scheme: 'https', authority: at })
  if ('kind' in head) throw new Error(head.detail)
  return head
}

export function allowed(grant: Grant, head: RequestHead): RequestPermit {
  const host = decideHost(grant, head.authority)
  if (host.kind === 'deny') throw new Error(host.reason)
  const request = decideRequest(grant, host.permit, head)
  if (request.kind === 'deny') throw new Error(`${request.reason}: ${request.detail}`)
  return request.permit
}
