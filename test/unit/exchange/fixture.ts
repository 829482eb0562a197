/** Facts, sessions and policies as the walk knows them, without a walk. */

import { Facts } from '../../../src/exchange/facts.ts'
import type { ExchangeRecord } from '../../../src/exchange/record.ts'
import { type Authority, parseAuthority } from '../../../src/net/authority.ts'
import { type Mode, Policy } from '../../../src/policy/policy.ts'
import { PolicyBook } from '../../../src/policy/policy-book.ts'
import { Budget } from '../../../src/sessions/budget.ts'
import type { LiveSession, Session } from '../../../src/sessions/session.ts'
import { limitsOf } from '../sessions/limits.ts'

export function authorityOf(text: string): Authority {
  const authority = parseAuthority(text)
  if (authority === null) throw new Error(text)
  return authority
}

function policyOf(rules: readonly object[]): Policy {
  const policy = new PolicyBook({ presets: [], credentials: new Map() }).compileInline({ rules })
  if (!(policy instanceof Policy)) throw new Error(JSON.stringify(policy))
  return policy
}

export function sessionOf(rules: readonly object[], mode: Mode = 'enforce', id = 's-1'): Session {
  return {
    id,
    policy: policyOf(rules),
    mode,
    placeholders: new Map(),
    tokenHash: null,
    secrets: null,
    labels: { team: 'label-of-the-operator' },
    credentials: new Map(),
    refusal: 'auto',
    createdAt: 0,
    expiresAt: null,
  }
}

export function liveOf(current: Session): LiveSession {
  return {
    id: current.id,
    current,
    ended: false,
    open: new Set(),
    counters: { allowed: 0, denied: 0, bytesUp: 0, bytesDown: 0, redactions: 0 },
    budget: new Budget(current.id, limitsOf(), null),
  }
}

export function factsOf(): Facts {
  return new Facts({
    client: '192.0.2.1',
    decisionId: 'd-1',
    kind: 'request',
    listener: '127.0.0.1:0',
    startedAt: 1000,
    wallStart: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  })
}

export function recordOf(changes: Partial<ExchangeRecord> = {}): ExchangeRecord {
  const facts = factsOf()
  facts.authority = authorityOf('denied.test:443')
  const record = facts.finalRecord({ kind: 'deny', reason: 'host_not_allowed', detail: '', rule: null }, 403, 1001)
  return { ...record, session: 's-1', ...changes }
}
