/** A book of sessions over a store, with one policy for all. */

import { randomBytes } from 'node:crypto'
import { noLimits } from '../../src/policy/parse-limits.ts'
import { Policy } from '../../src/policy/policy.ts'
import { type NewSession, SessionBook } from '../../src/sessions/session-book.ts'
import type { SessionStore } from '../../src/sessions/session-store.ts'
import { defaultLimits } from '../unit/sessions/limits.ts'

export const newSession: NewSession = {
  policy: { name: 'dev' },
  mode: null,
  labels: {},
  credentials: {},
  refusal: 'auto',
  limits: { uploadBytes: '20MiB', downloadBytes: '40MiB', distinctHosts: 3 },
  sources: null,
  idempotencyKey: null,
  owner: 'test',
  ttlMs: 3_600_000,
}

export function bookOver(store: SessionStore, logged: string[] = []): SessionBook {
  const policy = new Policy({ name: 'dev', version: 1, mode: 'enforce', rules: [], limits: noLimits, label: 'dev' })
  return new SessionBook({
    store,
    grantFor: () => ({ policy, mode: 'enforce', placeholders: new Map() }),
    limits: defaultLimits,
    log: (message) => logged.push(message),
    now: Date.now,
    random: randomBytes,
    sweepMs: 3_600_000,
  })
}
