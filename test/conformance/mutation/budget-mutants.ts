/** Checks of what sessions may spend and hold. */

import type { Mutant } from './mutants.ts'

type Row = Pick<Mutant, 'from' | 'to' | 'without'> & Partial<Pick<Mutant, 'cases' | 'corpus' | 'unit'>>

const pure = (file: string, row: Row): Mutant => ({ file, corpus: ['unit/sessions/budget.test.ts'], ...row })
const budget = (row: Row): Mutant => pure('sessions/budget.ts', row)
const host = (row: Row): Mutant => pure('sessions/host-budget.ts', row)
const allowance = (row: Row): Mutant => pure('sessions/allowance.ts', row)
const rate = (row: Row): Mutant => ({
  file: 'sessions/rate-window.ts',
  corpus: ['unit/sessions/rate-window.test.ts'],
  ...row,
})
const walk = (file: string, row: Row): Mutant => ({ file, corpus: ['integration/budgets.test.ts'], ...row })

export const budgetMutants: readonly Mutant[] = [
  host({
    without: 'the upload budget of the session',
    from: 'if (all.used + bytes > all.max || own.used',
    to: 'if (own.used',
  }),
  host({
    without: 'the download budget of one host',
    from: ' || own.used + bytes > own.max) return false',
    to: ') return false',
  }),
  budget({ without: 'the length that a body announces', from: 'if (up <= 0 || up < bodyBytes)', to: 'if (up <= 0)' }),
  budget({ without: 'a spent download budget', from: 'if (down <= 0)', to: 'if (down < -1)' }),
  budget({
    without: 'the number of hosts',
    from: 'if (known === undefined && this.#hosts.size >= limits.distinctHosts)',
    to: 'if (known === undefined && this.#hosts.size < 0)',
  }),
  budget({
    without: 'the rate',
    from: 'if (!this.#requests.take(now, here))',
    to: 'if (this.#requests.take(now, limits.requestsPerMinute) === null)',
  }),
  budget({
    without: 'the rate of one host',
    from: 'known.requests.recent(now) >= perHost)',
    to: 'known.requests.recent(now) < 0)',
  }),
  budget({
    without: 'the number of connections',
    from: 'return this.#connections < this.#limits.concurrentConnections',
    to: 'return this.#connections >= 0',
  }),
  budget({
    without: 'what may have been spent before a crash',
    from: 'one.restore(one.ahead())',
    to: 'one.restore(0)',
  }),
  budget({
    without: 'new limits for hosts that are known',
    from: 'for (const host of this.#hosts.values()) host.resize(limits)',
    to: '',
  }),
  allowance({
    without: 'writing before more is spent',
    from: "const write = this.isLow ? (this.used > this.kept ? 'now' : 'soon') : 'no'",
    to: "const write = this.isLow ? 'soon' : 'no'",
  }),
  allowance({ without: 'the word at 80 %', from: 'this.near ||= neared\n', to: 'this.near = true\n' }),
  rate({ without: 'the second that has begun', from: 'const slotCount = 61', to: 'const slotCount = 60' }),
  rate({ without: 'the limit', from: 'if (this.#total >= max) return false', to: '' }),
  walk('exchange/request-body.ts', {
    without: 'the count of bodies on their way',
    from: 'if (this.#meter !== null && !this.#meter.takeUp(piece.length)) return false\n',
    to: '',
    cases: 'in chunks',
  }),
  walk('exchange/deliver.ts', {
    without: 'the count of bodies that are here',
    from: 'else if (!exchange.takeUp(body.length))',
    to: 'else if (body.length < 0)',
    cases: 'whole bodies',
  }),
  walk('upstream/tunnel.ts', {
    without: 'the count of what goes up',
    from: 'if (!meter.takeUp(chunk.length)) return nothing\n',
    to: '',
    cases: 'through a tunnel',
  }),
  walk('upstream/tunnel.ts', {
    without: 'the count of what comes down',
    from: 'if (!meter.takeDown(chunk.length)) return nothing\n',
    to: '',
    cases: 'where the budget ends',
  }),
  walk('upstream/forward.ts', {
    without: 'the count of answers',
    from: 'if (!this.#request.meter.takeDown(chunk.length)) return\n',
    to: '',
    cases: 'where the budget ends',
  }),
  walk('exchange/open-tunnel.ts', {
    without: 'how long a tunnel may be',
    from: 'if (now - this.#openedAt > tunnelDurationMs)',
    to: 'if (now < 0)',
    cases: 'of a tunnel ends',
  }),
  walk('exchange/connection.ts', {
    without: 'room for one connection more',
    from: 'if (!session.budget.hasRoom()) {',
    to: 'if (session.ended) {',
    cases: 'beyond the limit',
  }),
  walk('exchange/connection.ts', {
    without: 'connections that ended',
    from: 'session.budget.closeConnection()',
    to: '',
    cases: 'beyond the limit',
  }),
]
