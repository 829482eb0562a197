/** A book with a clock and a policy table in the test's hand. */

import { randomBytes } from 'node:crypto'
import { noLimits } from '../../../src/policy/parse-limits.ts'
import { type Grant, Policy } from '../../../src/policy/policy.ts'
import { createMemoryStore } from '../../../src/sessions/memory-store.ts'
import { type NewSession, SessionBook } from '../../../src/sessions/session-book.ts'
import type { Cuttable, Session } from '../../../src/sessions/session.ts'
import type { SessionStore, StoredSession } from '../../../src/sessions/session-store.ts'
import { defaultLimits } from './limits.ts'

export function grantOf(name: string, version = 1): Grant {
  const policy = new Policy({ name, version, mode: 'enforce', rules: [], limits: noLimits, label: name })
  return { policy, mode: 'enforce', placeholders: new Map() }
}

export const spec: NewSession = {
  policy: { name: 'dev' },
  mode: null,
  labels: { team: 'a' },
  credentials: {},
  refusal: 'auto',
  sources: null,
  idempotencyKey: null,
  owner: 'platform',
  ttlMs: 60_000,
}

export type Bench = {
  readonly book: SessionBook
  readonly store: SessionStore
  readonly policies: Map<string, Grant>
  readonly logged: string[]
  now: number
}

export function createBench(store: SessionStore = createMemoryStore(), sessionsMax = 100): Bench {
  const policies = new Map([['dev', grantOf('dev')]])
  const logged: string[] = []
  const grantFor = (stored: StoredSession): Grant | null =>
    'name' in stored.policy ? (policies.get(stored.policy.name) ?? null) : grantOf('inline')
  const bench: Bench = {
    policies,
    logged,
    store,
    now: 1_000_000,
    book: new SessionBook({
      store,
      grantFor,
      limits: defaultLimits,
      log: (message) => logged.push(message),
      now: () => bench.now,
      random: randomBytes,
      sweepMs: 3_600_000,
      sessionsMax,
    }),
  }
  return bench
}

export async function createSession(bench: Bench, changes: Partial<NewSession> = {}) {
  const created = await bench.book.create({ ...spec, ...changes })
  if (created.kind === 'refused') throw new Error(created.reason)
  return created
}

/** Something open that lives on while `isAllowed` says so. */
export function openOf(isAllowed: (session: Session) => boolean): Cuttable & { readonly cuts: () => number } {
  let cuts = 0
  return { stillAllowed: isAllowed, cut: () => void cuts++, cuts: () => cuts }
}
