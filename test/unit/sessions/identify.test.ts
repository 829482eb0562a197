import { describe, expect, test } from 'vitest'
import { createAuthLimiter } from '../../../src/sessions/auth-limiter.ts'
import { identify, noCredentials, type Proof } from '../../../src/sessions/identify.ts'
import { deny } from '../../../src/policy/decision.ts'
import { createBench, createSession } from './fixture.ts'

const nothing: Proof = { authorization: [], listenerSession: null, peer: null, source: '192.0.2.7' }
const agent = { policy: { name: 'dev' }, mode: null, labels: {}, credentials: {}, refusal: 'auto' as const }

function basic(id: string, token: string): string {
  return `Basic ${Buffer.from(`${id}:${token}`).toString('base64')}`
}

describe('proxy credentials', () => {
  test('id and token prove the session', async () => {
    const bench = createBench()
    const { session, token } = await createSession(bench)
    const decision = identify(bench.book, { ...nothing, authorization: [basic(session.id, token)] })
    expect(decision).toMatchObject({ kind: 'allow', permit: { id: session.id } })
    expect(session.stored.tokenUsed).toBe(true)
  })

  test('the scheme is read in any case', async () => {
    const bench = createBench()
    const { session, token } = await createSession(bench)
    const value = basic(session.id, token).replace('Basic', 'bAsIC')
    expect(identify(bench.book, { ...nothing, authorization: [value] }).kind).toBe('allow')
  })

  const wrong: Record<string, (id: string, token: string) => string[]> = {
    'a wrong token': (id, token) => [basic(id, `${token.slice(0, -1)}_`)],
    'a token cut short': (id, token) => [basic(id, token.slice(0, -1))],
    'a token with more behind it': (id, token) => [basic(id, `${token}x`)],
    'an unknown id': (_id, token) => [basic('s-aaaaaaaaaaaa', token)],
    'an id in capitals': (id, token) => [basic(id.toUpperCase(), token)],
    'a name of the prototype': (_id, token) => [basic('__proto__', token)],
    'no id': (_id, token) => [basic('', token)],
    'no token': (id) => [basic(id, '')],
    'no colon': (id) => [`Basic ${Buffer.from(id).toString('base64')}`],
    'two fields, both right': (id, token) => [basic(id, token), basic(id, token)],
    'two fields in one': (id, token) => [`${basic(id, token)}, ${basic(id, token)}`],
    'an empty value': () => [''],
    'another scheme': (_id, token) => [`Bearer ${token}`],
    'base64 without its padding': (id, token) => [basic(id, token).replace(/=+$/, '')],
    base64url: (id) => [`Basic ${Buffer.from(`${id}:???>>>`).toString('base64url')}`],
    'base64 with a line break': (id, token) => [basic(id, token).replace(/(.{20})/, '$1\n')],
    'base64 with bits to spare': () => ['Basic YTpiYh=='],
    'text behind it': (id, token) => [`${basic(id, token)} x`],
    'a very long value': (id, token) => [`${basic(id, token)}${'A'.repeat(100_000)}`],
    'bytes beyond ASCII': (id) => [`Basic ${Buffer.from(`${id}:\u00e9`).toString('base64')}`],
    'NUL behind the token': (id, token) => [basic(id, `${token}\0`)],
  }
  for (const [name, values] of Object.entries(wrong)) {
    test(`${name} is an unknown session, and no fallback`, async () => {
      const bench = createBench()
      const { session, token } = await createSession(bench)
      bench.book.addStatic({ ...agent, id: 'by-source', token: null, sources: ['192.0.2.0/24'] })
      const decision = identify(bench.book, { ...nothing, authorization: values(session.id, token) })
      expect(decision).toMatchObject({ kind: 'deny', reason: 'session_unknown' })
      expect(decision).not.toMatchObject({ detail: noCredentials })
      expect(JSON.stringify(decision)).not.toContain(token)
    })
  }

  test('none at all is told apart, for the challenge', () => {
    const { book } = createBench()
    expect(identify(book, nothing)).toMatchObject({ reason: 'session_unknown', detail: noCredentials })
  })

  test('an expired session is told so, but only to who holds its token', async () => {
    const bench = createBench()
    const { session, token } = await createSession(bench)
    bench.now += 60_000
    const asked = (proof: string) => identify(bench.book, { ...nothing, authorization: [proof] })
    expect(asked(basic(session.id, token))).toMatchObject({ reason: 'session_expired' })
    expect(asked(basic(session.id, 'wrong'))).toMatchObject({ reason: 'session_unknown' })
  })

  test('a revoked session is unknown', async () => {
    const bench = createBench()
    const { session, token } = await createSession(bench)
    await bench.book.revoke(session.id)
    const decision = identify(bench.book, { ...nothing, authorization: [basic(session.id, token)] })
    expect(decision).toMatchObject({ reason: 'session_unknown' })
  })

  test('after rotation only the new token proves anything', async () => {
    const bench = createBench()
    const { session, token } = await createSession(bench)
    const next = (await bench.book.rotate(session.id)) ?? ''
    const kinds = [token, next].map(
      (one) => identify(bench.book, { ...nothing, authorization: [basic(session.id, one)] }).kind,
    )
    expect(kinds).toEqual(['deny', 'allow'])
  })

  test('a session whose policy does not resolve cannot be decided for', async () => {
    const bench = createBench()
    const { session, token } = await createSession(bench)
    bench.policies.clear()
    bench.book.refresh()
    const decision = identify(bench.book, { ...nothing, authorization: [basic(session.id, token)] })
    expect(decision).toMatchObject({ reason: 'decision_unavailable' })
  })

  test('no token proves a session that has none', () => {
    const { book } = createBench()
    book.addStatic({ ...agent, id: 'a', token: null, sources: null })
    expect(identify(book, { ...nothing, authorization: [basic('a', 'x')] })).toMatchObject({
      reason: 'session_unknown',
    })
  })

  test('a token with sources means both', async () => {
    const bench = createBench()
    const { session, token } = await createSession(bench, { sources: ['10.0.0.0/8', '2001:db8::/32'] })
    const from = (source: string | null, proof = token) =>
      identify(bench.book, { listenerSession: null, peer: null, source, authorization: [basic(session.id, proof)] })
        .kind
    expect(from('10.1.1.1')).toBe('allow')
    expect(from('::ffff:10.1.1.1')).toBe('allow')
    expect(from('2001:db8::9')).toBe('allow')
    expect(from('10.1.1.1', 'wrong')).toBe('deny')
    expect(from('11.1.1.1')).toBe('deny')
    expect(from('10.1.1.1%eth0')).toBe('deny')
    expect(from(null)).toBe('deny')
    expect(identify(bench.book, { ...nothing, source: '10.1.1.1' }).kind).toBe('deny')
  })
})

describe('listener and source', () => {
  test('the session of the listener wins over credentials and source', async () => {
    const bench = createBench()
    const { session, token } = await createSession(bench)
    bench.book.addStatic({ ...agent, id: 'door', token: null, sources: null })
    const decision = identify(bench.book, {
      ...nothing,
      listenerSession: 'door',
      authorization: [basic(session.id, token)],
    })
    expect(decision).toMatchObject({ kind: 'allow', permit: { id: 'door' } })
  })

  test('a listener whose session is gone lets nobody in, whatever they bring', async () => {
    const bench = createBench()
    const { session, token } = await createSession(bench)
    const proof = { ...nothing, listenerSession: 'gone', authorization: [basic(session.id, token)] }
    expect(identify(bench.book, proof)).toMatchObject({ reason: 'session_unknown' })
  })

  test('proves a session alone when its token was taken away, and no more when it has one again', async () => {
    const bench = createBench()
    const { session, token } = await createSession(bench, { sources: ['192.0.2.0/24'] })
    const kind = (authorization: readonly string[] = []) => identify(bench.book, { ...nothing, authorization }).kind
    expect(kind()).toBe('deny')
    expect(await bench.book.dropToken(session.id)).toBe(true)
    expect([kind(), kind([basic(session.id, token)])]).toEqual(['allow', 'deny'])
    expect(identify(bench.book, { ...nothing, source: '192.0.3.1' }).kind).toBe('deny')
    const other = await createSession(bench, { sources: ['192.0.2.7/32'] })
    expect(await bench.book.dropToken(other.session.id)).toBe(false)
    const fresh = await bench.book.rotate(session.id)
    expect([kind(), kind([basic(session.id, fresh ?? '')])]).toEqual(['deny', 'allow'])
    expect(await bench.book.dropToken(other.session.id)).toBe(true)
    await bench.book.revoke(other.session.id)
    expect(kind()).toBe('deny')
  })

  test('does not prove a session without sources, or one that is not there', async () => {
    const bench = createBench()
    const { session } = await createSession(bench)
    expect(await bench.book.dropToken(session.id)).toBe(false)
    expect(await bench.book.dropToken('s-aaaaaaaaaaaa')).toBe(false)
  })

  test('a source address proves the one session that lists it', async () => {
    const { book } = createBench()
    book.addStatic({ ...agent, id: 'a', token: null, sources: ['192.0.2.0/25'] })
    book.addStatic({ ...agent, id: 'b', token: null, sources: ['192.0.2.128/25'] })
    expect(identify(book, nothing)).toMatchObject({ permit: { id: 'a' } })
    expect(identify(book, { ...nothing, source: '192.0.2.200' })).toMatchObject({ permit: { id: 'b' } })
    expect(identify(book, { ...nothing, source: '192.0.3.1' })).toMatchObject({ detail: noCredentials })
    await book.revoke('a')
    expect(identify(book, nothing)).toMatchObject({ detail: noCredentials })
  })
})

describe("a client's certificate", () => {
  const certificate = 'spiffe://corp.example/agent-7'

  test('proves the one session that lists it, from its sources where it has some', () => {
    const { book } = createBench()
    book.addStatic({ ...agent, id: 'a', token: null, sources: null, certificate })
    book.addStatic({ ...agent, id: 'b', token: null, sources: ['10.0.0.0/8'], certificate: 'CN=b' })
    expect(identify(book, { ...nothing, peer: certificate })).toMatchObject({ permit: { id: 'a' } })
    expect(identify(book, { ...nothing, peer: 'CN=b', source: '10.1.1.1' })).toMatchObject({ permit: { id: 'b' } })
    expect(identify(book, { ...nothing, peer: 'CN=b' }).kind).toBe('deny')
    expect(identify(book, { ...nothing, source: '10.1.1.1' })).toMatchObject({ detail: noCredentials })
  })

  test('that no session lists is wrong, and no fallback to the address', () => {
    const { book } = createBench()
    book.addStatic({ ...agent, id: 'a', token: null, sources: ['192.0.2.0/24'] })
    const decision = identify(book, { ...nothing, peer: 'CN=nobody' })
    expect(decision).toMatchObject({ kind: 'deny', reason: 'session_unknown' })
    expect(decision).not.toMatchObject({ detail: noCredentials })
  })

  test('and a token mean both', () => {
    const { book } = createBench()
    const token = 't'.repeat(43)
    book.addStatic({ ...agent, id: 'a', token, sources: null, certificate })
    const kind = (peer: string | null, authorization: readonly string[]) =>
      identify(book, { ...nothing, peer, authorization }).kind
    expect(kind(certificate, [basic('a', token)])).toBe('allow')
    expect(kind('CN=other', [basic('a', token)])).toBe('deny')
    expect(kind(null, [basic('a', token)])).toBe('deny')
    expect(kind(certificate, [])).toBe('deny')
  })

  test('is on a listener of a session no less asked for', () => {
    const { book } = createBench()
    book.addStatic({ ...agent, id: 'a', token: null, sources: null, certificate })
    const kind = (peer: string | null) => identify(book, { ...nothing, listenerSession: 'a', peer }).kind
    expect([kind(certificate), kind('CN=other'), kind(null)]).toEqual(['allow', 'deny', 'deny'])
  })

  test('of two sessions without tokens is a mistake, and is free again when the one has ended', async () => {
    const { book } = createBench()
    book.addStatic({ ...agent, id: 'a', token: null, sources: null, certificate })
    const second = { ...agent, id: 'b', token: null, sources: null, certificate }
    expect(book.addStatic(second)).toMatchObject({ kind: 'refused', reason: 'sources_overlap' })
    await book.revoke('a')
    expect(identify(book, { ...nothing, peer: certificate }).kind).toBe('deny')
    expect(book.addStatic(second)).toMatchObject({ id: 'b' })
  })
})

describe('the limiter of failed proofs', () => {
  const failed = deny('session_unknown', 'wrong')

  test('refuses with 429 once a peer failed too often, and forgives with time', () => {
    let now = 0
    const limiter = createAuthLimiter({ now: () => now, failuresPerMinute: 3 })
    const reasons = () => limiter.temper(failed, '192.0.2.1').reason
    expect([reasons(), reasons(), reasons(), reasons()]).toEqual([
      'session_unknown',
      'session_unknown',
      'session_unknown',
      'rate_limited',
    ])
    now += 20_000
    expect([reasons(), reasons()]).toEqual(['session_unknown', 'rate_limited'])
  })

  test('another peer is not touched, nor is what is no failed proof', () => {
    const limiter = createAuthLimiter({ now: () => 0, failuresPerMinute: 1 })
    for (let i = 0; i < 10; i++) limiter.temper(failed, '192.0.2.1')
    expect(limiter.temper(failed, '192.0.2.2')).toBe(failed)
    for (const other of [deny('session_unknown', noCredentials), deny('session_expired', 's')])
      expect(limiter.temper(other, '192.0.2.1')).toBe(other)
  })

  test('remembers a bounded number of peers, and a peer that keeps failing is not the one forgotten', () => {
    const limiter = createAuthLimiter({ now: () => 0, failuresPerMinute: 1, peersMax: 10 })
    for (let i = 0; i < 1000; i++) {
      limiter.temper(failed, `peer-${i}`)
      if (i > 0) expect(limiter.temper(failed, 'loud').reason).toBe(i === 1 ? 'session_unknown' : 'rate_limited')
    }
  })
})
