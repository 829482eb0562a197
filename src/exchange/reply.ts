/**
 * Outcome → what the client is told. The only place that words a refusal.
 *
 * Promises: reason phrase, fields and body say the same, because each client shows a different one; nothing of the
 * operator's (addresses, certificates, stack) is in any of them.
 */

import type { Authority, Scheme } from '../net/authority.ts'
import { printable } from '../net/response-head.ts'
import { type Deny, unreachable } from '../policy/decision.ts'
import { type DenyReason, denyReasons } from '../policy/deny-reason.ts'
import { meansOnlyItself } from '../policy/path-pattern.ts'
import { failures } from '../upstream/failure.ts'
import type { Outcome } from './outcome.ts'

export type Reply = {
  readonly status: number
  readonly reason: string
  readonly fields: readonly string[]
  readonly body: string
}

/** What of the exchange a reply may name. */
export type ReplyFacts = {
  readonly decisionId: string
  readonly session: { readonly id: string } | null
  readonly policy: { readonly version: number } | null
  readonly scheme: Scheme | null
  readonly authority: Authority | null
  readonly method: string | null
  readonly path: string | null
}

/** Null where no reply can be: the client is gone, or the origin's answer was streamed. */
export function replyTo(outcome: Outcome, facts: ReplyFacts): Reply | null {
  switch (outcome.kind) {
    case 'abandoned':
    case 'completed':
    case 'interrupted':
      return null
    case 'deny':
      return refusal(outcome, facts)
    case 'failed': {
      const { status, says } = failures[outcome.code]
      return {
        status,
        reason: printable(`Egress allowed but failed (${outcome.code}) [${facts.decisionId}]`),
        fields: [
          ...commonFields(facts, 'allow', outcome.code),
          'Proxy-Status',
          `sallyport; error=${proxyStatusOf(outcome.code)}`,
        ],
        body: toBody({
          error: `egress_failed: ${targetText(facts)}: ${says}`,
          reason: outcome.code,
          retryable: true,
          ...context(facts),
        }),
      }
    }
    case 'fault':
      return {
        status: 500,
        reason: `Egress proxy fault [${facts.decisionId}]`,
        fields: commonFields(facts, 'deny', 'fault'),
        body: toBody({
          error: 'egress_fault: the proxy failed; the request was not sent',
          reason: 'fault',
          retryable: false,
          ...context(facts),
        }),
      }
    default:
      return unreachable(outcome)
  }
}

/** How long to wait where nobody knows when room will be: connections come and go. */
const closingSeconds = 5

function refusal(deny: Deny, facts: ReplyFacts): Reply {
  const { status, says } = denyReasons[deny.reason]
  const retryable = status === 429 || status === 503
  const target = targetText(facts)
  const fields = [
    ...commonFields(facts, 'deny', deny.reason),
    'X-Should-Retry',
    String(retryable),
    'Proxy-Status',
    `sallyport; error=http_request_denied; details="${deny.reason}"`,
  ]
  if (status === 407) fields.push('Proxy-Authenticate', 'Basic realm="sallyport", charset="UTF-8"')
  const { retryAfterSeconds = status === 429 ? closingSeconds : null } = deny
  if (retryAfterSeconds !== null) fields.push('Retry-After', String(retryAfterSeconds))
  return {
    status,
    reason: printable(phrase(deny, status, target, facts.decisionId)),
    fields,
    body: toBody({
      error: `egress_denied: ${target === '' ? '' : `${target}: `}${says}${retryable ? '' : '; do not retry'}`,
      message: message(deny, says, target, retryable),
      reason: deny.reason,
      retryable,
      ...suggestion(deny, facts),
      ...context(facts),
    }),
  }
}

function phrase(deny: Deny, status: number, target: string, decisionId: string): string {
  const about = target === '' ? '' : ` ${target}`
  if (status === 407) return `Proxy Authentication Required (${deny.reason}) [${decisionId}]`
  const advice =
    status === 429 || status === 503 ? 'wait before you try again' : 'do not retry or bypass - ask the user'
  return `Egress policy denied${about} (${deny.reason}) - ${advice} [${decisionId}]`
}

function message(deny: Deny, says: string, target: string, retryable: boolean): string {
  if (deny.reason === 'session_unknown') {
    return 'This network is reached through an egress proxy, and the proxy credentials name no live session. Use the proxy URL you were given, with its user name and password, unchanged.'
  }
  const what = `The egress policy of this sandbox refused ${target === '' ? 'this request' : target}: ${says}.`
  return retryable
    ? `${what} This may pass if you wait and try again; there is no other way around it.`
    : `${what} This is deliberate and final, not a network fault: trying again, another tool or another route will not help. Tell the user what you wanted to reach and why, and ask them to allow it if it is needed.`
}

/** The narrowest rule that would have let it pass, where a rule can. */
function suggestion(deny: Deny, facts: ReplyFacts): { readonly suggestedRule: object } | null {
  const { authority, method, path } = facts
  if (authority === null) return null
  const ports = authority.port === 443 || authority.port === 80 ? {} : { ports: [authority.port] }
  const ofPath = path !== null && meansOnlyItself(path) ? { methods: [method], paths: [path] } : null
  const byReason: Partial<Record<DenyReason, object | null>> = {
    host_not_allowed: { methods: reading(method) ? ['GET', 'HEAD'] : [method] },
    port_not_allowed: { methods: reading(method) ? ['GET', 'HEAD'] : [method] },
    method_not_allowed: ofPath,
    path_not_allowed: ofPath,
  }
  const narrow = byReason[deny.reason] ?? null
  return narrow === null ? null : { suggestedRule: { host: authority.host.text, ...ports, ...narrow } }
}

/** What a client that only reads would send; unknown at CONNECT. */
function reading(method: string | null): boolean {
  return method === null || method === 'GET' || method === 'HEAD'
}

function commonFields(facts: ReplyFacts, decision: 'allow' | 'deny', reason: string): string[] {
  return [
    'X-Egress-Decision',
    decision,
    'X-Egress-Reason',
    reason,
    'X-Egress-Decision-Id',
    facts.decisionId,
    'Content-Type',
    'application/json',
    'Cache-Control',
    'no-store',
  ]
}

function context(facts: ReplyFacts): object {
  const { authority } = facts
  return {
    target:
      authority === null
        ? null
        : {
            scheme: facts.scheme,
            host: authority.host.name,
            port: authority.port,
            method: facts.method,
            path: facts.path,
          },
    session: facts.session?.id ?? null,
    policyVersion: facts.policy?.version ?? null,
    decisionId: facts.decisionId,
  }
}

function targetText(facts: ReplyFacts): string {
  return facts.authority?.text ?? ''
}

/** RFC 9209 §2.3 error types. */
function proxyStatusOf(code: keyof typeof failures): string {
  switch (code) {
    case 'connect_failed':
      return 'connection_refused'
    case 'connect_timeout':
      return 'connection_timeout'
    case 'dns_failed':
      return 'dns_error'
    case 'dns_timeout':
      return 'dns_timeout'
    case 'origin_closed':
      return 'connection_terminated'
    case 'origin_malformed':
      return 'http_protocol_error'
    case 'origin_no_websocket':
      return 'http_upgrade_failed'
    case 'origin_timeout':
      return 'http_response_timeout'
    case 'origin_unsearchable':
      return 'http_response_content_coding'
    case 'parent_failed':
      return 'destination_unavailable'
    case 'parent_refused':
      return 'connection_refused'
    case 'parent_timeout':
      return 'connection_timeout'
    case 'tls_failed':
      return 'tls_protocol_error'
    case 'tls_untrusted':
      return 'tls_certificate_error'
    default:
      return unreachable(code)
  }
}

function toBody(body: object): string {
  return `${JSON.stringify(body)}\n`
}
