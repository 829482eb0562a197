import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isTokenOf } from '../../src/sessions/session-token.ts'
import { type ControlBench, createControlBench } from '../unit/control/fixture.ts'

let api: ControlBench
beforeAll(async () => {
  api = await createControlBench()
})
afterAll(() => api.close())

async function make(body: object, as = 'platform'): Promise<string> {
  const made = await api.call('POST', '/v1/sessions', { as, body })
  expect(made.status, made.text).toBe(201)
  return made.body.id
}

const inlineCorp = { extends: ['corp'], rules: [{ host: 'example.net' }] }

describe('DELETE /v1/sessions/:id/token', () => {
  it('leaves the sources of a session to prove it, and needs some', async () => {
    const id = await make({ policy: 'dev', sources: ['192.0.2.0/24'] })
    const path = `/v1/sessions/${id}/token`
    expect((await api.call('DELETE', path, { as: 'viewer' })).status).toBe(403)
    expect((await api.call('DELETE', path, { as: 'platform' })).status).toBe(204)
    expect(api.book.get(id)?.current.tokenHash).toBe(null)
    const plain = await make({ policy: 'dev' })
    expect((await api.call('DELETE', `/v1/sessions/${plain}/token`, { as: 'platform' })).status).toBe(409)
    await api.call('DELETE', `/v1/sessions/${id}`, { as: 'platform' })
  })
})

describe('POST /v1/sessions', () => {
  it('makes a session that its token proves', async () => {
    const made = await api.call('POST', '/v1/sessions', { as: 'platform', body: { policy: 'dev', ttlSeconds: 60 } })
    expect(made.status).toBe(201)
    const { id, token } = made.body
    expect(made.body).toEqual({
      id,
      token,
      proxyUrl: `http://${id}:${token}@127.0.0.1:3128`,
      env: { HTTPS_PROXY: `http://${id}:${token}@127.0.0.1:3128` },
      caCertificate: '-----BEGIN CERTIFICATE-----\n',
      policyVersion: 1,
      expiresAt: new Date(api.now + 60_000).toISOString(),
    })
    expect(made.headers.get('location')).toBe(`/v1/sessions/${id}`)
    expect(isTokenOf(api.book.get(id)?.current.tokenHash ?? null, token)).toBe(true)
  })

  it('shows the token nowhere again', async () => {
    const made = await api.call('POST', '/v1/sessions', { as: 'platform', body: { policy: 'dev' } })
    const shown = await api.call('GET', `/v1/sessions/${made.body.id}`, { as: 'platform' })
    const listed = await api.call('GET', '/v1/sessions?limit=1000', { as: 'platform' })
    const hash = api.book.get(made.body.id)?.stored.tokenHash ?? 'none'
    for (const { text } of [shown, listed]) {
      expect(text).not.toContain(made.body.token)
      expect(text).not.toContain(hash)
    }
  })

  it('fills credential slots: with the one of the same name, or the one that is asked for', async () => {
    const plain = await make({ policy: 'model' })
    expect(Object.fromEntries(api.book.get(plain)?.current.credentials ?? [])).toEqual({ anthropic: 'anthropic' })
    const bound = await make({ policy: 'model', credentials: { anthropic: 'other-account' } })
    expect(Object.fromEntries(api.book.get(bound)?.current.credentials ?? [])).toEqual({ anthropic: 'other-account' })
  })

  it('takes an inline policy, mode, labels, limits, sources and refusal', async () => {
    const id = await make({
      policy: inlineCorp,
      mode: 'audit',
      labels: { run: '7' },
      limits: { uploadBytes: '50MiB' },
      sources: ['10.1.0.0/16'],
      refusal: 'inside',
    })
    const shown = await api.call('GET', `/v1/sessions/${id}`, { as: 'platform' })
    expect(shown.body).toMatchObject({
      policy: 'inline',
      inline: true,
      mode: 'audit',
      labels: { run: '7' },
      limits: { uploadBytes: '50MiB' },
      sources: ['10.1.0.0/16'],
      refusal: 'inside',
      state: 'live',
      counters: { allowed: 0, denied: 0, bytesUp: 0, bytesDown: 0, redactions: 0, open: 0 },
    })
  })

  const refused: readonly (readonly [name: string, body: unknown, status: number, code: string])[] = [
    ['an unknown policy', { policy: 'nope' }, 404, 'policy_not_found'],
    ['a policy with problems', { policy: { rules: [{ host: '*.com' }, { hots: 'x' }] } }, 422, 'policy_invalid'],
    ['limits with problems', { policy: 'dev', limits: { idleTimeout: '10 parsecs' } }, 422, 'policy_invalid'],
    ['limits of zero', { policy: 'dev', limits: { uploadBytes: 0 } }, 422, 'policy_invalid'],
    ['an unknown credential', { policy: 'model', credentials: { anthropic: 'x' } }, 422, 'credential_unknown'],
    ['a slot the policy lacks', { policy: 'dev', credentials: { anthropic: 'anthropic' } }, 422, 'credential_unknown'],
    ['a secret source', { policy: 'model', credentials: { anthropic: { env: 'HOME' } } }, 400, 'invalid_request'],
    ['an unknown key', { policy: 'dev', tokne: 1 }, 400, 'invalid_request'],
    ['no policy', {}, 400, 'invalid_request'],
    ['no body', undefined, 400, 'invalid_request'],
    ['a number written as text', { policy: 'dev', ttlSeconds: '60' }, 400, 'invalid_request'],
    ['a session without end', { policy: 'dev', ttlSeconds: 0 }, 400, 'invalid_request'],
    ['too long a life', { policy: 'dev', ttlSeconds: 2_592_001 }, 400, 'invalid_request'],
    ['a source without a prefix', { policy: 'dev', sources: ['10.0.0.1'] }, 400, 'invalid_request'],
    ['sources that allow nobody', { policy: 'dev', sources: [] }, 400, 'invalid_request'],
    ['a label with a line break', { policy: 'dev', labels: { a: 'b\nc' } }, 400, 'invalid_request'],
    ['too long a label', { policy: 'dev', labels: { a: 'b'.repeat(129) } }, 400, 'invalid_request'],
    [
      'too many labels',
      { policy: 'dev', labels: Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`l${n}`, ''])) },
      400,
      'invalid_request',
    ],
  ]
  it.each(refused)('refuses %s', async (_name, body, status, code) => {
    const answer = await api.call('POST', '/v1/sessions', { as: 'platform', body })
    expect([answer.status, answer.body.code]).toEqual([status, code])
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(answer.body.type).toBe(`urn:sallyport:problem:${code}`)
  })

  it('names every problem of an inline policy at once', async () => {
    const body = { policy: { rules: [{ host: '*.com' }, { host: 'a.example', ports: [0] }] } }
    const answer = await api.call('POST', '/v1/sessions', { as: 'platform', body })
    expect(answer.body.issues.map((one) => one.path)).toEqual(
      expect.arrayContaining(['rules[0].host', expect.stringContaining('rules[1].ports')]),
    )
  })
})

describe('an idempotent create', () => {
  const as = 'platform'
  const headers = { 'idempotency-key': 'run-42' }
  it('gives the same session and a new token while the first was never used, else 409', async () => {
    const first = await api.call('POST', '/v1/sessions', { as, headers, body: { policy: 'dev' } })
    const again = await api.call('POST', '/v1/sessions', { as, headers, body: { policy: 'dev' } })
    expect([first.status, again.status, again.body.id]).toEqual([201, 201, first.body.id])
    expect(again.body.token).not.toBe(first.body.token)
    const session = api.book.get(first.body.id)
    expect(isTokenOf(session?.current.tokenHash ?? null, first.body.token)).toBe(false)
    expect(isTokenOf(session?.current.tokenHash ?? null, again.body.token)).toBe(true)

    if (session !== undefined) api.book.noteTokenUse(session)
    const late = await api.call('POST', '/v1/sessions', { as, headers, body: { policy: 'dev' } })
    expect([late.status, late.body.code]).toEqual([409, 'idempotency_conflict'])
  })

  it('with another body is 422, and of another token a session of its own', async () => {
    const key = { 'idempotency-key': 'run-43' }
    const first = await api.call('POST', '/v1/sessions', { as, headers: key, body: { policy: 'dev' } })
    const other = await api.call('POST', '/v1/sessions', { as, headers: key, body: { policy: 'dev', mode: 'audit' } })
    expect([other.status, other.body.code]).toEqual([422, 'idempotency_mismatch'])
    const foreign = await api.call('POST', '/v1/sessions', { as: 'team-a', headers: key, body: { policy: 'dev' } })
    expect(foreign.status).toBe(201)
    expect(foreign.body.id).not.toBe(first.body.id)
  })

  it('is the same call in whatever order the body says it, and with the key in quotes', async () => {
    const raw = '{"policy":"dev","labels":{"a":"1","b":"2"},"mode":"enforce"}'
    const turned = '{ "mode": "enforce", "labels": { "b": "2", "a": "1" }, "policy": "dev" }'
    const first = await api.call('POST', '/v1/sessions', { as, headers: { 'idempotency-key': 'run-44' }, raw })
    const again = await api.call('POST', '/v1/sessions', {
      as,
      headers: { 'idempotency-key': '"run-44"' },
      raw: turned,
    })
    expect([first.status, again.status]).toEqual([201, 201])
    expect(again.body.id).toBe(first.body.id)
  })

  it('is 409 while the first is under way, and when its session is over', async () => {
    const one = { as, headers: { 'idempotency-key': 'run-45' }, body: { policy: 'dev' } }
    const both = await Promise.all([api.call('POST', '/v1/sessions', one), api.call('POST', '/v1/sessions', one)])
    const [made, busy] = both[0].status === 201 ? both : [both[1], both[0]]
    expect(made.status).toBe(201)
    if (busy.status !== 201) {
      expect([busy.status, busy.body.code]).toEqual([409, 'idempotency_busy'])
      expect(busy.headers.get('retry-after')).toBe('1')
    }
    await api.call('DELETE', `/v1/sessions/${made.body.id}`, { as })
    const late = await api.call('POST', '/v1/sessions', one)
    expect([late.status, late.body.code]).toEqual([409, 'idempotency_conflict'])
  })

  it.each(['a b', '"a', 'a"b', '"a\\"b"', '', '""', 'x'.repeat(129)])('refuses a key that is none: %j', async (key) => {
    const body = { policy: 'dev' }
    const answer = await api.call('POST', '/v1/sessions', { as, headers: { 'idempotency-key': key }, body })
    expect(answer.status).toBe(400)
  })
})

describe('GET /v1/sessions', () => {
  it('pages through all sessions, each once', async () => {
    for (let n = 0; n < 7; n++) await make({ policy: 'dev', labels: { page: 'yes' } })
    const seen: string[] = []
    let cursor = ''
    for (;;) {
      const page = await api.call('GET', `/v1/sessions?limit=3${cursor}`, { as: 'platform' })
      expect(page.status).toBe(200)
      seen.push(...page.body.sessions.map(({ id }) => id))
      if (page.body.next === null) break
      cursor = `&cursor=${page.body.next}`
    }
    expect(seen.toSorted()).toEqual(
      api.book
        .list()
        .map(({ id }) => id)
        .toSorted(),
    )
    expect(new Set(seen).size).toBe(seen.length)
  })

  it.each(['limit=0', 'limit=1e3', 'limit=3&limit=4', 'cursor=AAAA', 'foo=1', '__proto__=1'])(
    'refuses ?%s',
    async (query) => {
      const answer = await api.call('GET', `/v1/sessions?${query}`, { as: 'platform' })
      expect([answer.status, answer.body.code]).toEqual([400, 'invalid_request'])
    },
  )
})

describe('PATCH /v1/sessions/:id', () => {
  it('changes policy, mode, limits and end at once', async () => {
    const id = await make({ policy: 'dev' })
    const body = { policy: 'model', mode: 'audit', ttlSeconds: 5, limits: { downloadBytes: '1GiB' } }
    const patched = await api.call('PATCH', `/v1/sessions/${id}`, { as: 'platform', body })
    expect(patched.status, patched.text).toBe(200)
    expect(patched.body).toMatchObject({
      policy: 'model',
      mode: 'audit',
      limits: { downloadBytes: '1GiB' },
      credentials: { anthropic: 'anthropic' },
      expiresAt: new Date(api.now + 5000).toISOString(),
    })
    expect(api.book.get(id)?.current.policy.name).toBe('model')
  })

  it('keeps what it does not name', async () => {
    const credentials = { anthropic: 'other-account' }
    const id = await make({ policy: 'model', credentials, mode: 'audit', limits: { uploadBytes: '1MiB' } })
    const patched = await api.call('PATCH', `/v1/sessions/${id}`, { as: 'platform', body: { ttlSeconds: 5 } })
    expect(patched.body).toMatchObject({ policy: 'model', credentials, mode: 'audit', limits: { uploadBytes: '1MiB' } })
  })

  it('refuses labels, an empty change and what is not there', async () => {
    const id = await make({ policy: 'dev' })
    const patch = (to: string, body: object) => api.call('PATCH', `/v1/sessions/${to}`, { as: 'platform', body })
    expect((await patch(id, { labels: { team: 'b' } })).status).toBe(400)
    expect((await patch(id, {})).status).toBe(400)
    expect((await patch('s-unknown', { mode: 'audit' })).status).toBe(404)
  })

  it('refuses sessions of the configuration, and gives them no token', async () => {
    api.book.addStatic({
      id: 'agent-7',
      policy: { name: 'dev' },
      mode: null,
      labels: {},
      credentials: {},
      refusal: 'auto',
      sources: ['10.77.0.1/32'],
      token: null,
    })
    const as = 'platform'
    const patched = await api.call('PATCH', '/v1/sessions/agent-7', { as, body: { mode: 'audit' } })
    expect([patched.status, patched.body.code]).toEqual([409, 'session_conflict'])
    const rotated = await api.call('POST', '/v1/sessions/agent-7/token', { as })
    expect([rotated.status, rotated.body.code]).toEqual([409, 'session_conflict'])
  })
})

describe('DELETE /v1/sessions/:id', () => {
  it('answers 204 when the last connection is cut, then 404', async () => {
    const id = await make({ policy: 'dev' })
    let cuts = 0
    api.book.get(id)?.open.add({ stillAllowed: () => true, cut: () => void cuts++ })
    const ended = await api.call('DELETE', `/v1/sessions/${id}`, { as: 'platform' })
    expect([ended.status, cuts, ended.text]).toEqual([204, 1, ''])
    expect((await api.call('DELETE', `/v1/sessions/${id}`, { as: 'platform' })).status).toBe(404)
  })
})

describe('POST /v1/sessions/:id/token', () => {
  it('takes an empty body, with a type or without', async () => {
    const id = await make({ policy: 'dev' })
    for (const headers of [{}, { 'content-type': 'application/json' }]) {
      const answer = await api.call('POST', `/v1/sessions/${id}/token`, { as: 'platform', headers })
      expect(answer.status, answer.text).toBe(201)
    }
  })

  it('gives a new token, and the old one proves nothing', async () => {
    const made = await api.call('POST', '/v1/sessions', { as: 'platform', body: { policy: 'dev' } })
    const rotated = await api.call('POST', `/v1/sessions/${made.body.id}/token`, { as: 'platform' })
    expect(rotated.status).toBe(201)
    const hash = api.book.get(made.body.id)?.current.tokenHash ?? null
    expect([isTokenOf(hash, made.body.token), isTokenOf(hash, rotated.body.token)]).toEqual([false, true])
    expect(rotated.body.proxyUrl).toContain(rotated.body.token)
  })
})

describe('a store that fails', () => {
  it('is 503, and nothing of the cause is told', async () => {
    const failing = await createControlBench({
      store: {
        load: async () => [],
        put: async () => Promise.reject(new Error('disk /var/secret is full')),
        remove: async () => {},
        loadUsage: async () => ({ rows: [], exact: true }),
        putUsage: async () => {},
        close: async () => {},
      },
    })
    const answer = await failing.call('POST', '/v1/sessions', { as: 'platform', body: { policy: 'dev' } })
    expect([answer.status, answer.body.code]).toEqual([503, 'unavailable'])
    expect(answer.text).not.toContain('disk')
    expect(failing.logged).toHaveLength(1)
    await failing.close()
  })
})
