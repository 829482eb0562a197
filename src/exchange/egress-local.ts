/**
 * `http://egress.local/`: the proxy speaks for itself, to the session that asks.
 *
 * Promises: nothing is dialled or resolved; it says what is allowed, what was refused last and how to ask for more, and
 * never an address, a label or a source (decision 47).
 */

import type { Authority } from '../net/authority.ts'
import { fieldValue } from '../net/fields.ts'
import type { RequestHead } from '../net/request-head.ts'
import { denyReasons } from '../policy/deny-reason.ts'
import type { Rule } from '../policy/policy.ts'
import type { LiveSession, Session } from '../sessions/session.ts'
import type { ExchangeRecord } from './record.ts'
import type { Reply } from './reply.ts'

export type Denial = Pick<ExchangeRecord, 'decisionId' | 'host' | 'method' | 'path' | 'port' | 'time'> & {
  readonly reason: keyof typeof denyReasons
}

/** Kept per session; enough for an agent to see what it just ran into. */
const denialsKept = 10
/** Of a path: as long as an agent needs to know it again. */
const pathShown = 1024
/** Rules shown; a policy of thousands is no text for an agent. */
const rulesShown = 200

/** What was refused last, per session. */
export class RecentDenials {
  readonly #bySession = new WeakMap<LiveSession, Denial[]>()

  note(session: LiveSession, denial: Denial): void {
    const list = this.#bySession.get(session) ?? []
    list.push({ ...denial, path: denial.path === null ? null : shortened(denial.path) })
    if (list.length > denialsKept) list.shift()
    this.#bySession.set(session, list)
  }

  of(session: LiveSession): readonly Denial[] {
    return this.#bySession.get(session) ?? []
  }
}

/** A part of a text keeps all of it in memory, so what is long is copied. */
function shortened(path: string): string {
  return path.length <= pathShown ? path : `${Buffer.from(path.slice(0, pathShown)).toString()}…`
}

export function isEgressLocal(authority: Authority): boolean {
  return authority.host.name === 'egress.local' && authority.port === 80
}

/** Text for an agent; JSON where Accept asks for it. */
export function describeEgress(head: RequestHead, session: Session, denials: readonly Denial[]): Reply {
  if (head.method !== 'GET' && head.method !== 'HEAD')
    return answer(405, 'Method Not Allowed', 'text/plain', 'Only GET is answered here.\n')
  if (head.path !== '/' && head.path !== '/v1/policy')
    return answer(404, 'Not Found', 'text/plain', 'There is http://egress.local/ and nothing else here.\n')
  const wantsJson = (fieldValue(head.fields, 'accept') ?? '').includes('application/json') || head.path === '/v1/policy'
  return wantsJson
    ? answer(200, 'OK', 'application/json', `${JSON.stringify(asJson(session, denials))}\n`)
    : answer(200, 'OK', 'text/plain; charset=utf-8', asText(session, denials))
}

function answer(status: number, reason: string, type: string, body: string): Reply {
  return { status, reason, fields: ['Content-Type', type, 'Cache-Control', 'no-store'], body }
}

function asJson(session: Session, denials: readonly Denial[]): object {
  return {
    about: 'All network access of this sandbox passes an egress proxy with an allowlist.',
    session: session.id,
    policy: session.policy.name,
    policyVersion: session.policy.version,
    mode: session.mode,
    rules: rulesOf(session)
      .slice(0, rulesShown)
      .map((rule) => ({
        action: rule.action,
        host: rule.host.text,
        ...(rule.ports === null ? {} : { ports: [...rule.ports] }),
        ...(rule.methods === null ? {} : { methods: [...rule.methods] }),
        ...(rule.paths === null ? {} : { paths: rule.paths.map(({ text }) => text) }),
        credential: rule.credential !== null,
      })),
    rulesOmitted: Math.max(0, rulesOf(session).length - rulesShown),
    lastDenials: denials,
    howToAsk: 'Tell the user which host, method and path you need and why. Only they can change the policy.',
  }
}

function asText(session: Session, denials: readonly Denial[]): string {
  const rules = rulesOf(session)
  const lines = [
    'All network access of this sandbox passes an egress proxy with an allowlist.',
    `Session ${session.id}, policy ${session.policy.name} (version ${session.policy.version}), mode ${session.mode}.`,
    'What is not listed is refused on purpose: do not retry and do not look for a way around. Deny beats allow.',
    '',
    'Allowed:',
    ...rules.slice(0, rulesShown).map(ruleLine),
    ...(rules.length > rulesShown ? [`  … and ${rules.length - rulesShown} more`] : []),
    ...(rules.length === 0 ? ['  nothing'] : []),
    '',
    'Refused last:',
    ...denials.map(
      ({ time, method, host, port, path, reason }) =>
        `  ${time} ${method ?? 'CONNECT'} ${host}:${port}${path ?? ''} (${reason}): ${denyReasons[reason].says}`,
    ),
    ...(denials.length === 0 ? ['  nothing'] : []),
    '',
    'To ask for more, tell the user which host, method and path you need and why. Only they can change the policy.',
    'Where a rule adds a credential, send the request without one (or with the placeholder you were given).',
  ]
  return `${lines.join('\n')}\n`
}

/** What is put on allowed requests is nothing that an agent could act on. */
function rulesOf({ policy }: Session): readonly Rule[] {
  return policy.rules.filter(({ action }) => action !== 'set')
}

function ruleLine(rule: Rule): string {
  const words = [
    rule.action === 'deny' ? 'NOT ' : '',
    rule.methods === null ? 'any method' : [...rule.methods].join('/'),
    ' ',
    rule.host.text,
    rule.ports === null ? '' : `:${[...rule.ports].join('/')}`,
    rule.headers === null && rule.body === null ? '' : ' (by what its header or body says)',
    rule.paths === null ? '' : ` ${rule.paths.map(({ text }) => text).join(' ')}`,
    rule.credential === null ? '' : ' (credential added by the proxy)',
  ]
  return `  ${words.join('')}`
}
