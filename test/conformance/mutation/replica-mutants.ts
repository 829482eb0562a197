/** Checks of what replicas share. */

import type { Mutant } from './mutants.ts'

type Row = Pick<Mutant, 'from' | 'to' | 'without'> & Partial<Pick<Mutant, 'corpus'>>

const mutant = (file: string, corpus: string, row: Row): Mutant => ({ file, corpus: [corpus], ...row })
const shared = (file: string, row: Row): Mutant => mutant(file, 'conformance/redis-store.test.ts', row)
const among = (file: string, row: Row): Mutant => mutant(file, 'integration/replicas.test.ts', row)
const leased = (file: string, row: Row): Mutant => mutant(file, 'unit/sessions/lease-ledger.test.ts', row)

export const replicaMutants: readonly Mutant[] = [
  shared('sessions/replica.ts', {
    without: 'the seal of rows in Redis',
    from: "unseal(row.slice(sealLength + 1), Buffer.from(seal, 'base64url'), this.#options.key)",
    to: 'row.slice(sealLength + 1)',
  }),
  shared('sessions/replica.ts', {
    without: 'the id under which a row is filed',
    from: "typeof session !== 'string' && session.id === id",
    to: "typeof session !== 'string'",
  }),
  shared('sessions/replica.ts', {
    without: 'one key for all replicas',
    from: 'if (met[1] !== fingerprint) throw',
    to: 'if (met[1] === fingerprint && met.length === 0) throw',
  }),
  shared('sessions/replica.ts', {
    without: 'another beginning of what stands in Redis',
    from: 'epoch !== this.#epoch || last < this.#taken',
    to: 'last < 0',
  }),
  shared('sessions/redis-scripts.ts', {
    without: 'the row that a change was made from',
    from: '~= ARGV[3] then return -1 end',
    to: '~= ARGV[3] and false then return -1 end',
  }),
  shared('sessions/redis-scripts.ts', {
    without: 'the holder of an idempotency key',
    from: 'then return -2 end',
    to: 'and false then return -2 end',
  }),
  shared('sessions/store-news.ts', {
    without: 'what ended here and was brought back',
    from: 'else if (hands.isOver(stored.id)) hands.forget(stored.id)',
    to: 'else if (hands.isOver("")) hands.forget(stored.id)',
  }),
  shared('sessions/store-news.ts', {
    without: 'what Redis lost',
    from: 'for (const session of book.list()) if (!present.has(session.id)) lose(session)',
    to: '',
  }),
  shared('sessions/redis-scripts.ts', {
    without: 'the limit of what is reserved',
    from: 'bytes = math.min(bytes, math.max(0, limit - total))',
    to: 'bytes = bytes + 0 * limit',
  }),
  among('sessions/grants.ts', {
    without: 'the grace',
    from: "this.#shared.state() === 'lost' ? null : this.of(stored)",
    to: "this.#shared.state() === 'away' ? null : this.of(stored)",
  }),
  among('sessions/identify.ts', {
    without: 'what may have been made elsewhere',
    from: "if (book.shared.state() !== 'here')",
    to: "if (book.shared.state() === 'lost')",
  }),
  among('control/routes/sessions.ts', {
    without: 'replicas that have not cut yet',
    from: 'laggards.length === 0 ? reply.code(204)',
    to: 'laggards.length >= 0 ? reply.code(204)',
  }),
  leased('sessions/allowance.ts', {
    without: 'what was reserved',
    from: 'this.#isShared ? Math.min(this.limit, this.kept + this.#credit) : this.limit',
    to: 'this.limit',
  }),
  leased('sessions/allowance.ts', {
    without: 'what others have reserved',
    from: 'this.used += total - this.kept - granted',
    to: 'this.used += 0',
  }),
  leased('sessions/reservation.ts', {
    without: 'what is given back',
    from: "case 'spent':\n      return one.used - one.kept",
    to: "case 'spent':\n      return 0",
  }),
  leased('sessions/reservation.ts', {
    without: 'hosts that others met',
    from: 'for (const host of hosts) budget.hear(host)',
    to: '',
  }),
]
