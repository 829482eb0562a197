/** Checks of the control API, `src/control`, and of the book that it changes. */

import type { Mutant } from './mutants.ts'

type Row = Pick<Mutant, 'from' | 'to' | 'without'> & Partial<Pick<Mutant, 'cases' | 'corpus'>>

const keys = (row: Row): Mutant => ({
  file: 'sessions/idempotency-keys.ts',
  corpus: ['unit/sessions/session-book.test.ts'],
  ...row,
})
const asked = (row: Row): Mutant => ({
  file: 'sessions/new-session.ts',
  corpus: ['unit/sessions/session-book.test.ts'],
  ...row,
})
const digest = (row: Row): Mutant => ({
  file: 'control/idempotency.ts',
  corpus: ['integration/control-sessions.test.ts'],
  cases: 'idempotent',
  ...row,
})

const tenants = (row: Row & Pick<Mutant, 'file'>): Mutant => ({
  corpus: ['integration/control-tenants.test.ts'],
  ...row,
})
const stream = (row: Row): Mutant => ({
  file: 'control/decision-stream.ts',
  corpus: ['integration/control-decisions.test.ts'],
  cases: 'stream',
  ...row,
})
const narrow = (row: Row & Pick<Mutant, 'file'>): Mutant => ({
  corpus: ['integration/narrow-sessions.test.ts'],
  ...row,
})
const policies = ['integration/control-policies.test.ts', 'integration/control-own-policies.test.ts']

export const controlMutants: readonly Mutant[] = [
  keys({ without: 'the end of a key', from: 'made.until > now ? made', to: 'made.until > 0 ? made' }),
  keys({ without: 'a bound of keys', from: '|| this.#spent.size > this.#options.spentMax', to: '' }),
  keys({ without: 'keys after a restart', from: 'this.#graves.set(id, graveOf(stored, now))', to: '' }),
  asked({ without: 'used tokens', from: 'isAsMade && !stored.tokenUsed', to: 'isAsMade' }),
  asked({
    without: 'what was asked',
    from: 'if (stored.asked !== spec.asked) return',
    to: "if (stored.id === '') return",
  }),
  asked({ without: 'changes since', from: 'isAsMade && !', to: '!' }),
  digest({ without: 'the order of names', from: 'entries.toSorted(([a], [b]) => (a < b ? -1 : 1))', to: 'entries' }),
  digest({
    without: 'values of sessions',
    from: '{ sealed: credentials.seal(owner, slot, filling.value) }',
    to: '{ sealed: slot }',
    corpus: ['integration/session-secrets.test.ts'],
    cases: 'another value another',
  }),
  tenants({
    file: 'control/routes/sessions.ts',
    without: 'labels in lists',
    from: 'pageAfter(options.sessions.list(), isSeen, after, limit + 1)',
    to: 'pageAfter(options.sessions.list(), (session) => isSeen(session) || true, after, limit + 1)',
  }),
  tenants({
    file: 'control/routes/sessions.ts',
    without: 'labels of one session',
    from: 'session !== undefined && isVisible(token.labels, session.current.labels) ? session',
    to: 'session !== undefined ? session',
  }),
  tenants({
    file: 'control/routes/policies.ts',
    without: 'labels in explanations',
    from: 'session !== undefined && isVisible(token.labels, session.current.labels)',
    to: 'session !== undefined',
  }),
  tenants({
    file: 'control/routes/decisions.ts',
    without: 'labels in decisions',
    from: '(record) => isVisible(labels, record.labels)',
    to: '() => labels !== null',
  }),
  tenants({
    file: 'control/routes/sessions.ts',
    without: 'labels of new sessions',
    from: 'if (breaches.length > 0) return',
    to: "if (idempotencyKey === '') return",
  }),
  stream({
    without: 'a bound of what waits',
    from: '    if (isFull()) {\n      missed++\n      return\n    }\n',
    to: '',
  }),
  stream({ without: 'filters', from: 'if (!passes(one.record)) return', to: '' }),
  stream({
    without: 'readers let go',
    from: '>= options.stalledMs) response.destroy()',
    to: '< 0) response.destroy()',
  }),
  stream({ without: 'what is not known', from: 'if (!complete) write(missedEvent(null))', to: '' }),
  {
    file: 'control/routes/decisions.ts',
    without: 'a share of streams',
    from: ' || own >= streamsPerTokenMax',
    to: '',
    corpus: ['integration/control-decisions.test.ts'],
    cases: 'stream',
  },
  {
    file: 'telemetry/recent-decisions.ts',
    without: 'places of other runs',
    from: 'run === options.run && ',
    to: '',
    corpus: ['unit/telemetry/recent-decisions.test.ts'],
  },
  narrow({
    file: 'exchange/exchange.ts',
    without: 'accounts',
    from: 'if (this.facts.credentials.some((name) => name !== account)) return unknowable',
    to: '',
  }),
  narrow({
    file: 'exchange/exchange.ts',
    without: 'addresses of what is open',
    from: "return dialled.kind === 'deny' ? dialled : null",
    to: 'return null',
  }),
  narrow({
    file: 'exchange/exchange.ts',
    without: 'bodies of what is open',
    from: 'demand === null ? what : body',
    to: 'demand !== null ? what : body',
  }),
  narrow({
    file: 'exchange/deliver.ts',
    without: 'changes while it waited',
    from: 'live.current === session ? null :',
    to: 'live.current !== session ? null :',
  }),
  narrow({
    file: 'exchange/open-tunnel.ts',
    without: 'addresses of tunnels',
    from: "return dialled.kind === 'deny' ? dialled : null",
    to: 'return null',
  }),
  narrow({
    file: 'gateway/session-parts.ts',
    without: 'inline policies that extend',
    from: 'return book.extendsOf(policy).some((name) => changed.has(name))',
    to: 'return false',
    cases: 'near or far',
  }),
  narrow({ file: 'sessions/session-book.ts', without: 'streams apart', from: 'one.narrow?.(session.current)', to: '' }),
  {
    file: 'control/server.ts',
    without: 'a limit of wrong tokens',
    from: "if (isWrong && !failures.spend(request.socket.remoteAddress ?? 'unix'))",
    to: 'if (isWrong && fields.length === 0)',
    corpus: ['integration/control-security.test.ts'],
    cases: 'control token',
  },
  tenants({
    file: 'control/auth.ts',
    without: 'metrics apart',
    from: ' && !(isApart && hasLabels(token))',
    to: '',
    corpus: policies,
  }),
  tenants({
    file: 'control/policy-change.ts',
    without: 'labels of admins',
    from: 'token.ceiling !== null || hasLabels(token)',
    to: 'token.ceiling !== null',
    corpus: policies,
  }),
  tenants({
    file: 'control/control-token.ts',
    without: 'a ceiling of readers with labels',
    from: ' || Object.keys(labels).length > 0',
    to: '',
    corpus: policies,
  }),
  {
    file: 'sessions/session-book.ts',
    without: 'calls that are under way',
    from: "if (this.#making.has(key)) return refusal('idempotency_busy', spec.idempotencyKey)",
    to: '',
    corpus: ['unit/sessions/session-book.test.ts'],
  },
  {
    file: 'policy/policy-book.ts',
    without: 'changes of body conditions',
    from: 'body: rule.body?.map(({ text, values }) => [text, values.map((value) => value.text)]),',
    to: 'body: null,',
    corpus: ['unit/policy/policy-book.test.ts'],
  },
]
