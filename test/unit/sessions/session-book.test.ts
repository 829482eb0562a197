import { describe, expect, test } from 'vitest'
import { createMemoryStore } from '../../../src/sessions/memory-store.ts'
import type { SessionStore } from '../../../src/sessions/session-store.ts'
import { hashToken } from '../../../src/sessions/session-token.ts'
import { createBench, createSession, grantOf, openOf, spec } from './fixture.ts'

const always = () => true
const day = 86_400_000

describe('creating', () => {
  test('an id is public and a token is 256 bits that need no escaping in a URL', async () => {
    const { session, token } = await createSession(createBench())
    expect(session.id).toMatch(/^s-[a-z2-7]{12}$/)
    expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/)
  })

  test('the token is kept only as its hash', async () => {
    const bench = createBench()
    const { session, token } = await createSession(bench)
    const [stored] = await bench.store.load()
    expect(stored?.tokenHash).toBe(hashToken(token).toString('hex'))
    expect(JSON.stringify([stored, session, session.stored])).not.toContain(token)
  })

  test('a policy that does not resolve makes no session', async () => {
    const bench = createBench()
    expect(await bench.book.create({ ...spec, policy: { name: 'nope' } })).toMatchObject({
      reason: 'policy_unresolved',
    })
    expect(await bench.store.load()).toEqual([])
  })

  test('a store that cannot write makes no session', async () => {
    const store: SessionStore = { ...createMemoryStore(), put: () => Promise.reject(new Error('disk full')) }
    const bench = createBench(store)
    await expect(bench.book.create(spec)).rejects.toThrow('disk full')
    expect(bench.book.list()).toEqual([])
  })

  test('a full book refuses, and expired sessions make room', async () => {
    const bench = createBench(createMemoryStore(), 2)
    const first = await createSession(bench, { ttlMs: 1000 })
    await createSession(bench)
    expect(await bench.book.create(spec)).toMatchObject({ reason: 'sessions_full' })
    bench.now += 1000
    await createSession(bench)
    expect(bench.book.get(first.session.id)).toBeUndefined()
  })

  for (const id of ['__proto__', 'toString', 'constructor', '']) {
    test(`${JSON.stringify(id)} is an id like any other that nobody has`, async () => {
      const { book } = createBench()
      expect(book.get(id)).toBeUndefined()
      expect(await book.revoke(id)).toBe(false)
      expect(await book.rotate(id)).toBeNull()
      expect(await book.patch(id, {})).toBeNull()
    })
  }
})

describe('idempotent creation', () => {
  const keyed = { idempotencyKey: 'run-1' }

  test('a replay gets the same session with a new token, and the old token is dead', async () => {
    const bench = createBench()
    const first = await createSession(bench, keyed)
    const again = await createSession(bench, keyed)
    expect(again.session).toBe(first.session)
    expect(again.token).not.toBe(first.token)
    expect(again.session.current.tokenHash).toEqual(hashToken(again.token))
    expect(bench.book.list()).toHaveLength(1)
  })

  test('of two creates at once with one key the second is refused, and a third gets the session', async () => {
    const bench = createBench()
    const wish = { ...spec, ...keyed }
    const both = await Promise.all([bench.book.create(wish), bench.book.create(wish)])
    expect(both).toMatchObject([{ kind: 'created' }, { reason: 'idempotency_busy' }])
    expect(await bench.book.create(wish)).toMatchObject({ kind: 'created' })
    expect(bench.book.list()).toHaveLength(1)
  })

  test('a create that failed in the store leaves its key free', async () => {
    let full = true
    const memory = createMemoryStore()
    const store: SessionStore = {
      ...memory,
      put: (one) => (full ? Promise.reject(new Error('full')) : memory.put(one)),
    }
    const bench = createBench(store)
    await expect(bench.book.create({ ...spec, ...keyed })).rejects.toThrow('full')
    full = false
    expect(await bench.book.create({ ...spec, ...keyed })).toMatchObject({ kind: 'created' })
  })

  test('a token that was used is not rotated by a replay', async () => {
    const bench = createBench()
    const { session } = await createSession(bench, keyed)
    bench.book.noteTokenUse(session)
    expect(await bench.book.create({ ...spec, ...keyed })).toMatchObject({ reason: 'idempotency_conflict' })
  })

  test('the same key for another wish is a conflict', async () => {
    const bench = createBench()
    await createSession(bench, keyed)
    for (const other of [{ labels: {} }, { ttlMs: 1 }, { mode: 'audit' as const }])
      expect(await bench.book.create({ ...spec, ...keyed, ...other })).toMatchObject({ reason: 'idempotency_conflict' })
  })

  test('what was asked for is compared before what became of it', async () => {
    const bench = createBench()
    const { session } = await createSession(bench, { ...keyed, asked: 'aa' })
    const other = { ...spec, ...keyed, asked: 'bb' }
    expect(await bench.book.create(other)).toMatchObject({ reason: 'idempotency_mismatch' })
    await bench.book.patch(session.id, { mode: 'audit' })
    expect(await bench.book.create({ ...other, asked: 'aa' })).toMatchObject({ reason: 'idempotency_conflict' })
    await bench.book.revoke(session.id)
    expect(await bench.book.create(other)).toMatchObject({ reason: 'idempotency_mismatch' })
    expect(await bench.book.create({ ...other, asked: 'aa' })).toMatchObject({ reason: 'idempotency_conflict' })
  })

  test('a key belongs to who sent it, and outlives its session by what is left of a day', async () => {
    const bench = createBench()
    const { session } = await createSession(bench, keyed)
    expect((await createSession(bench, { ...keyed, owner: 'other' })).session).not.toBe(session)
    await bench.book.revoke(session.id)
    bench.now += day - 1
    await bench.book.sweep()
    expect(await bench.book.create({ ...spec, ...keyed })).toMatchObject({ reason: 'idempotency_conflict' })
    bench.now += 1
    expect((await createSession(bench, keyed)).session.id).not.toBe(session.id)
  })

  test('of a session that expired too, at once and when it is forgotten', async () => {
    const bench = createBench()
    await createSession(bench, keyed)
    bench.now += 60_000
    expect(await bench.book.create({ ...spec, ...keyed })).toMatchObject({ reason: 'idempotency_conflict' })
    bench.now += 3_600_000
    await bench.book.sweep()
    expect(bench.book.list()).toEqual([])
    expect(await bench.book.create({ ...spec, ...keyed })).toMatchObject({ reason: 'idempotency_conflict' })
  })

  test('a session that outlives the day keeps its key', async () => {
    const bench = createBench()
    const wish = { ...keyed, ttlMs: 3 * day }
    const { session } = await createSession(bench, wish)
    bench.now += 2 * day
    await bench.book.sweep()
    expect((await createSession(bench, wish)).session).toBe(session)
    await bench.book.revoke(session.id)
    expect(await bench.store.load()).toEqual([])
  })

  test('keys are known after a restart, and what is kept of an ended session is no session', async () => {
    const before = createBench()
    const { session, token } = await createSession(before, { ...keyed, asked: 'aa' })
    await before.book.revoke(session.id)
    const [grave] = await before.store.load()
    expect(grave).toMatchObject({ id: session.id, tokenHash: null, labels: {}, endedAt: before.now })
    expect(JSON.stringify(grave)).not.toContain(hashToken(token).toString('hex'))

    const after = createBench(before.store)
    await after.book.load()
    expect(after.book.get(session.id)).toBeUndefined()
    expect(await after.book.create({ ...spec, ...keyed, asked: 'aa' })).toMatchObject({
      reason: 'idempotency_conflict',
    })
    after.now += day
    await after.book.sweep()
    expect(await after.store.load()).toEqual([])
    await after.book.close()
  })

  test('of ended sessions a bounded number of keys is known, the latest', async () => {
    const bench = createBench(createMemoryStore(), 2)
    for (const idempotencyKey of ['a', 'b', 'c', 'd', 'e', 'f']) {
      const { session } = await createSession(bench, { idempotencyKey })
      await bench.book.revoke(session.id)
      await bench.book.sweep()
    }
    const kept = (await bench.store.load()).map(({ idempotencyKey }) => idempotencyKey)
    expect(new Set(kept)).toEqual(new Set(['c', 'd', 'e', 'f']))
    expect(await bench.book.create({ ...spec, idempotencyKey: 'c' })).toMatchObject({ reason: 'idempotency_conflict' })
    expect(await bench.book.create({ ...spec, idempotencyKey: 'a' })).toMatchObject({ kind: 'created' })
  })
})

describe('revoking', () => {
  test('everything open is cut, nothing is left in the store, and a kept reference knows', async () => {
    const bench = createBench()
    const { session } = await createSession(bench)
    const open = [openOf(always), openOf(always)]
    for (const one of open) session.open.add(one)
    expect(await bench.book.revoke(session.id)).toBe(true)
    expect(open.map((one) => one.cuts())).toEqual([1, 1])
    expect(session).toMatchObject({ ended: true })
    expect(session.open.size).toBe(0)
    expect(bench.book.get(session.id)).toBeUndefined()
    expect(await bench.store.load()).toEqual([])
    expect(await bench.book.revoke(session.id)).toBe(false)
  })

  test('one that throws when it is cut does not save the next', async () => {
    const bench = createBench()
    const { session } = await createSession(bench)
    const second = openOf(always)
    session.open.add({
      stillAllowed: always,
      cut: () => {
        throw new Error('socket gone')
      },
    })
    session.open.add(second)
    await bench.book.revoke(session.id)
    expect(second.cuts()).toBe(1)
    expect(bench.logged).toEqual([`session ${session.id}: cut: socket gone`])
  })

  test('other sessions are not touched', async () => {
    const bench = createBench()
    const gone = await createSession(bench)
    const stays = await createSession(bench)
    const open = openOf(always)
    stays.session.open.add(open)
    await bench.book.revoke(gone.session.id)
    expect(open.cuts()).toBe(0)
    expect(bench.book.list()).toEqual([stays.session])
  })

  test('a store that cannot forget fails the call, the session is cut all the same, and asking again forgets it', async () => {
    let broken = true
    const memory = createMemoryStore()
    const remove = (id: string) => (broken ? Promise.reject(new Error('disk full')) : memory.remove(id))
    const bench = createBench({ ...memory, remove })
    const { session } = await createSession(bench)
    await expect(bench.book.revoke(session.id)).rejects.toThrow('disk full')
    expect(bench.book.get(session.id)).toBeUndefined()
    broken = false
    expect(await bench.book.revoke(session.id)).toBe(true)
    expect(await memory.load()).toEqual([])
  })

  test('a change under way does not bring a revoked session back', async () => {
    const bench = createBench()
    const { session } = await createSession(bench)
    const [patched] = await Promise.all([
      bench.book.patch(session.id, { labels: {} }),
      bench.book.rotate(session.id),
      bench.book.revoke(session.id),
    ])
    expect(patched).toBeNull()
    expect(await bench.store.load()).toEqual([])
    expect(bench.book.list()).toEqual([])
  })
})

describe('changing', () => {
  test('a new policy is in force when patch resolves, and cuts exactly what it does not allow', async () => {
    const bench = createBench()
    bench.policies.set('narrow', grantOf('narrow'))
    const { session } = await createSession(bench)
    const before = session.current
    const stays = openOf(always)
    const goes = openOf(({ policy }) => policy.name !== 'narrow')
    session.open.add(stays).add(goes)
    await bench.book.patch(session.id, { policy: { name: 'narrow' } })
    expect(session.current.policy.name).toBe('narrow')
    expect(before.policy.name).toBe('dev')
    expect([stays.cuts(), goes.cuts()]).toEqual([0, 1])
    expect((await bench.store.load())[0]?.policy).toEqual({ name: 'narrow' })
  })

  test('a policy that does not resolve changes nothing', async () => {
    const bench = createBench()
    const { session } = await createSession(bench)
    expect(await bench.book.patch(session.id, { policy: { name: 'nope' } })).toMatchObject({
      reason: 'policy_unresolved',
    })
    expect(session.current.policy.name).toBe('dev')
  })

  test('a time to live counts from now', async () => {
    const bench = createBench()
    const { session } = await createSession(bench)
    bench.now += 5
    await bench.book.patch(session.id, { ttlMs: 7 })
    expect(session.current.expiresAt).toBe(bench.now + 7)
  })

  test('an expired session is not brought back by patch or a new token', async () => {
    const bench = createBench()
    const { session } = await createSession(bench)
    bench.now += 60_000
    expect(await bench.book.patch(session.id, { ttlMs: 60_000 })).toBeNull()
    expect(await bench.book.rotate(session.id)).toBeNull()
  })

  test('new sources are in force when patch resolves', async () => {
    const bench = createBench()
    const { session } = await createSession(bench)
    await bench.book.patch(session.id, { sources: ['10.0.0.0/8'] })
    expect(session.sources).toMatchObject([{ text: '10.0.0.0/8' }])
  })
})

describe('refresh after a reload', () => {
  test('cuts exactly what the new version does not allow', async () => {
    const bench = createBench()
    const { session } = await createSession(bench)
    const stays = openOf(always)
    const goes = openOf(({ policy }) => policy.version < 2)
    const confused = openOf(() => {
      throw new Error('bug')
    })
    session.open.add(stays).add(goes).add(confused)
    bench.policies.set('dev', grantOf('dev', 2))
    bench.book.refresh()
    expect([stays.cuts(), goes.cuts(), confused.cuts()]).toEqual([0, 1, 1])
    expect(session.current.policy.version).toBe(2)
  })

  test('a policy that is gone leaves a session that allows nothing, and its return mends it', async () => {
    const bench = createBench()
    const { session } = await createSession(bench)
    const open = openOf(always)
    session.open.add(open)
    bench.policies.delete('dev')
    bench.book.refresh()
    expect(open.cuts()).toBe(1)
    expect(session).toMatchObject({ unresolved: true, ended: false })
    expect(session.current.policy.rules).toEqual([])
    bench.policies.set('dev', grantOf('dev', 3))
    bench.book.refresh()
    expect(session.unresolved).toBe(false)
  })

  test('a session that is not concerned stays as it is, but for one that did not resolve', async () => {
    const bench = createBench()
    const { session } = await createSession(bench)
    bench.policies.set('dev', grantOf('dev', 2))
    bench.book.refresh({ concerns: () => false })
    expect(session.current.policy.version).toBe(1)
    bench.policies.delete('dev')
    bench.book.refresh()
    bench.policies.set('dev', grantOf('dev', 3))
    bench.book.refresh({ concerns: () => false })
    expect([session.unresolved, session.current.policy.version]).toEqual([false, 3])
  })

  test('a compiler that throws is a policy that does not resolve', async () => {
    const bench = createBench()
    const { session } = await createSession(bench)
    bench.book.refresh({
      grantFor: () => {
        throw new Error('bug')
      },
    })
    expect(session.unresolved).toBe(true)
  })
})

describe('expiry', () => {
  test('the sweep cuts what an expired session holds open, and only that', async () => {
    const bench = createBench()
    const expired = await createSession(bench, { ttlMs: 1000 })
    const alive = await createSession(bench)
    const [first, second] = [openOf(always), openOf(always)]
    expired.session.open.add(first)
    alive.session.open.add(second)
    bench.now += 999
    await bench.book.sweep()
    expect(first.cuts()).toBe(0)
    bench.now += 1
    await bench.book.sweep()
    expect([first.cuts(), second.cuts()]).toEqual([1, 0])
  })

  test('after the time of grace it is forgotten, in the store as well', async () => {
    const bench = createBench()
    const { session } = await createSession(bench)
    bench.now += 60_000
    await bench.book.sweep()
    expect(bench.book.get(session.id)).toBe(session)
    bench.now += 3_600_000
    await bench.book.sweep()
    expect(bench.book.get(session.id)).toBeUndefined()
    expect(await bench.store.load()).toEqual([])
  })
})

describe('static sessions', () => {
  const agent = {
    id: 'agent-7',
    policy: { name: 'dev' },
    mode: null,
    labels: {},
    credentials: {},
    refusal: 'auto' as const,
  }

  test('never expire, are not stored and do not change', async () => {
    const bench = createBench()
    bench.book.addStatic({ ...agent, token: null, sources: null })
    bench.now += 1e12
    await bench.book.sweep()
    expect(bench.book.get('agent-7')?.current.expiresAt).toBeNull()
    expect(await bench.store.load()).toEqual([])
    expect(await bench.book.patch('agent-7', {})).toMatchObject({ reason: 'static_session' })
    expect(await bench.book.rotate('agent-7')).toBeNull()
  })

  test('two of one name, or of overlapping sources, do not go together', () => {
    const { book } = createBench()
    book.addStatic({ ...agent, token: null, sources: ['10.0.0.0/8'] })
    expect(book.addStatic({ ...agent, token: null, sources: null })).toMatchObject({ reason: 'id_taken' })
    for (const sources of [['10.1.2.0/24'], ['0.0.0.0/0'], ['192.0.2.0/24', '10.0.0.0/8']])
      expect(book.addStatic({ ...agent, id: 'b', token: null, sources })).toMatchObject({ reason: 'sources_overlap' })
    expect(book.addStatic({ ...agent, id: 'b', token: null, sources: ['11.0.0.0/8'] })).toMatchObject({ id: 'b' })
  })
})

test('what the store kept is there after a restart, with its token', async () => {
  const store = createMemoryStore()
  const before = await createSession(createBench(store))
  const bench = createBench(store)
  await bench.book.load()
  const after = bench.book.get(before.session.id)
  expect(after?.stored).toEqual(before.session.stored)
  expect(after?.current.tokenHash).toEqual(hashToken(before.token))
  await bench.book.close()
})
