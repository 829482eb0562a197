/** A stored session like any other. */

import type { StoredSession } from '../../src/sessions/session-store.ts'

export const stored: StoredSession = {
  id: 's-aaaaaaaaaaaa',
  tokenHash: 'ab'.repeat(32),
  policy: { name: 'dev' },
  mode: null,
  labels: { team: 'a', __proto__x: 'b' },
  credentials: { anthropic: 'anthropic-team-a' },
  refusal: 'auto',
  createdAt: 1,
  expiresAt: 2,
  sources: null,
  tokenUsed: false,
  idempotencyKey: null,
  owner: 'platform',
}
