import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ControlBench, createControlBench } from '../unit/control/fixture.ts'

let api: ControlBench
beforeAll(async () => {
  api = await createControlBench()
})
afterAll(() => api.close())

describe('GET /v1/policies', () => {
  it('lists what is loaded and what it uses', async () => {
    const { body } = await api.call('GET', '/v1/policies', { as: 'viewer' })
    expect(body.policies.map(({ name }) => name)).toEqual(['corp', 'corp-wide', 'dev', 'model', 'watching'])
    const one = await api.call('GET', '/v1/policies/corp-wide', { as: 'viewer' })
    expect(one.body).toEqual({
      name: 'corp-wide',
      version: 1,
      mode: 'enforce',
      rules: 2,
      extends: ['corp'],
      credentials: [],
      addresses: expect.arrayContaining(['10.2.0.0/16', '10.0.0.0/8']) as unknown,
      origin: 'file',
      sessions: 0,
      document: null,
    })
  })

  it('shows a token with a ceiling what it may use or extend', async () => {
    const { body } = await api.call('GET', '/v1/policies', { as: 'team-b' })
    expect(body.policies.map(({ name }) => name)).toEqual(['corp', 'dev'])
    const hidden = await api.call('GET', '/v1/policies/model', { as: 'team-b' })
    const missing = await api.call('GET', '/v1/policies/none', { as: 'team-b' })
    expect([hidden.status, hidden.body]).toEqual([404, missing.body])
  })
})

describe('PUT /v1/policies/:name', () => {
  const put = (name: string, body: unknown, query = '?dryRun=true', as = 'platform') =>
    api.call('PUT', `/v1/policies/${name}${query}`, { as, body })

  it('is 405 without dryRun for a policy of a file', async () => {
    for (const query of ['', '?dryRun=false']) {
      const answer = await put('dev', { rules: [] }, query)
      expect([answer.status, answer.body.code, answer.headers.get('allow')]).toEqual([405, 'policy_read_only', 'GET'])
    }
    expect(api.policies.get('dev')?.rules).toHaveLength(1)
  })

  it('with dryRun says whether it would load, and changes nothing', async () => {
    const answer = await put('dev', { version: 1, name: 'dev', extends: ['corp'], rules: [{ host: 'a.example' }] })
    expect(answer.status, answer.text).toBe(200)
    expect(answer.body).toMatchObject({ name: 'dev', rules: 2, extends: ['corp'], addresses: ['10.2.0.0/16'] })
    expect(api.policies.get('dev')?.version).toBe(1)
  })

  it('with dryRun lists every problem', async () => {
    const answer = await put('dev', { rules: [{ host: '*.com' }], extends: ['nobody'], mod: 1 })
    expect([answer.status, answer.body.code]).toEqual([422, 'policy_invalid'])
    expect(answer.body.issues.length).toBeGreaterThan(0)
    expect((await put('dev', { name: 'other', rules: [] })).status).toBe(422)
    expect((await put('dev', {}, '?dryRun=maybe')).status).toBe(400)
    expect((await put('dev', undefined)).status).toBe(400)
  })

  it('tells a token nothing of policies beyond its ceiling', async () => {
    expect((await put('dev', { extends: ['model'] }, '?dryRun=true', 'team-b')).status).toBe(404)
    expect((await put('dev', { extends: ['corp'] }, '?dryRun=true', 'team-b')).status).toBe(200)
    const [hidden, missing] = [await put('model', {}, '?dryRun=true', 'team-b'), await put('none', {}, '', 'team-b')]
    const dry = await put('none', {}, '?dryRun=true', 'team-b')
    expect([hidden.status, hidden.body, missing.status]).toEqual([404, dry.body, 403])
  })

  it('shows a reader of one team the policies of its ceiling only', async () => {
    const { body } = await api.call('GET', '/v1/policies', { as: 'reader-a' })
    expect(body.policies).toEqual([])
  })
})

describe('POST /v1/policies/explain', () => {
  const explain = (body: unknown, as = 'viewer') => api.call('POST', '/v1/policies/explain', { as, body })

  it('gives the verdict of a policy, named or inline', async () => {
    expect((await explain({ policy: 'dev', url: 'https://example.org/' })).body.verdict).toBe('allow')
    const denied = await explain({ policy: 'dev', method: 'POST', url: 'https://example.org/' })
    expect(denied.body).toMatchObject({ verdict: 'deny', reason: 'method_not_allowed' })
    const inline = { rules: [{ host: 'a.example' }] }
    expect((await explain({ policy: inline, url: 'https://a.example/' })).body.verdict).toBe('allow')
  })

  it('gives the verdict of a session, with the mode it has', async () => {
    const made = await api.call('POST', '/v1/sessions', { as: 'platform', body: { policy: 'dev', mode: 'audit' } })
    const answer = await explain({ session: made.body.id, url: 'https://b.example/' })
    expect(answer.body).toMatchObject({ verdict: 'audit', reason: 'host_not_allowed' })
  })

  const refused: readonly (readonly [name: string, body: object, status: number])[] = [
    ['neither policy nor session', { url: 'https://a.example/' }, 400],
    ['both', { policy: 'dev', session: 's-1', url: 'https://a.example/' }, 400],
    ['no URL', { policy: 'dev', url: 'a.example' }, 400],
    ['a scheme we do not carry', { policy: 'dev', url: 'ftp://a.example/' }, 400],
    ['a method nobody has', { policy: 'dev', method: 'FROB', url: 'https://a.example/' }, 400],
    ['an unknown session', { session: 's-none', url: 'https://a.example/' }, 404],
    ['an unknown policy', { policy: 'none', url: 'https://a.example/' }, 404],
    ['an inline policy with problems', { policy: { rules: 1 }, url: 'https://a.example/' }, 422],
  ]
  it.each(refused)('refuses %s', async (_name, body, status) => {
    expect((await explain(body)).status).toBe(status)
  })

  it('tells a token nothing of policies beyond its ceiling', async () => {
    expect((await explain({ policy: 'model', url: 'https://a.example/' }, 'team-b')).status).toBe(404)
    expect((await explain({ policy: { extends: ['model'] }, url: 'https://a.example/' }, 'team-b')).status).toBe(404)
  })
})

describe('health', () => {
  it('is open, and ready only while nothing is wrong', async () => {
    expect((await api.call('GET', '/healthz')).status).toBe(200)
    expect((await api.call('HEAD', '/readyz')).status).toBe(200)
    expect((await api.call('GET', '/readyz')).body).toEqual({ status: 'ready', problems: [] })
    api.problems = ['audit_blocked']
    const answer = await api.call('GET', '/readyz')
    expect([answer.status, answer.body]).toEqual([503, { status: 'not_ready', problems: ['audit_blocked'] }])
    api.problems = []
  })

  it('gives metrics as telemetry words them', async () => {
    const answer = await api.call('GET', '/metrics', { as: 'prometheus' })
    expect([answer.text, answer.headers.get('content-type')]).toEqual([
      'sallyport_up 1\n',
      'text/plain; version=0.0.4; charset=utf-8',
    ])
    expect((await api.call('GET', '/metrics', { as: 'platform' })).status).toBe(200)
    // They are of everybody's sessions.
    for (const as of ['lead-a', 'team-a', 'viewer'])
      expect((await api.call('GET', '/metrics', { as })).status).toBe(403)
  })
})
