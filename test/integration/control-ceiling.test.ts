import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ControlBench, createControlBench, recordOf } from '../unit/control/fixture.ts'

let api: ControlBench
beforeAll(async () => {
  api = await createControlBench()
})
afterAll(() => api.close())

const extendsCorp = { extends: ['corp'], rules: [{ host: 'example.net' }] }

describe('the ceiling of a token', () => {
  const cases: readonly (readonly [name: string, as: string, body: object, breach: string | null])[] = [
    ['allows a listed policy', 'team-a', { policy: 'dev' }, null],
    ['refuses another policy', 'team-a', { policy: 'model' }, '/policies'],
    ['refuses an inline policy where it does not say inline', 'team-a', { policy: extendsCorp }, '/policies'],
    ['refuses audit mode asked for', 'team-a', { policy: 'dev', mode: 'audit' }, '/modes'],
    ['refuses sources where it lists none', 'team-a', { policy: 'dev', sources: ['10.9.0.0/24'] }, '/sources'],
    ['refuses another value of its label', 'team-a', { policy: 'dev', labels: { team: 'b' } }, '/labels'],
    ['allows sources inside its own', 'team-b', { policy: 'dev', sources: ['10.9.1.0/24'] }, null],
    ['refuses sources around its own', 'team-b', { policy: 'dev', sources: ['10.0.0.0/8'] }, '/sources'],
    ['allows inline that extends what is listed', 'team-b', { policy: extendsCorp }, null],
    [
      'refuses inline that extends what is not listed',
      'team-b',
      { policy: { extends: ['model'], rules: [] } },
      '/extends',
    ],
    [
      'refuses a credential that an inline policy names',
      'team-b',
      { policy: { rules: [{ host: 'api.anthropic.com', credential: 'anthropic' }] } },
      '/credentials',
    ],
    [
      'refuses a credential that comes in by extends',
      'team-b',
      { policy: { extends: ['model'], rules: [] } },
      '/credentials',
    ],
    [
      'refuses addresses that an inline policy names',
      'team-b',
      { policy: { rules: [{ host: 'x.corp.example', addresses: ['10.3.0.0/16'] }] } },
      '/addresses',
    ],
    [
      'refuses addresses around its own',
      'team-b',
      { policy: { rules: [{ host: 'x.corp.example', addresses: ['10.0.0.0/8'] }] } },
      '/addresses',
    ],
    ['refuses addresses that come in by extends', 'team-b', { policy: { extends: ['corp-wide'] } }, '/addresses'],
    ['of a token that has none written allows nothing', 'bare', { policy: 'dev' }, '/policies'],
  ]
  it.each(cases)('%s', async (_name, as, body, breach) => {
    const answer = await api.call('POST', '/v1/sessions', { as, body })
    if (breach === null) expect(answer.status, answer.text).toBe(201)
    else {
      expect([answer.status, answer.body.code]).toEqual([403, 'ceiling_exceeded'])
      expect(answer.body.issues.map(({ path }) => path)).toContain(breach)
    }
  })

  it('judges the mode that a policy brings along', async () => {
    const answer = await api.call('POST', '/v1/sessions', {
      as: 'team-b',
      body: { policy: { mode: 'audit', rules: [] } },
    })
    expect(answer.status).toBe(201)
    const narrow = await api.call('PATCH', `/v1/sessions/${answer.body.id}`, {
      as: 'team-b',
      body: { mode: 'enforce' },
    })
    expect(narrow.status).toBe(200)
  })

  it('holds for a change as for a new session', async () => {
    const made = await api.call('POST', '/v1/sessions', { as: 'team-a', body: { policy: 'dev' } })
    for (const body of [{ policy: 'model' }, { policy: extendsCorp }, { mode: 'audit' }]) {
      const answer = await api.call('PATCH', `/v1/sessions/${made.body.id}`, { as: 'team-a', body })
      expect([answer.status, answer.body.code]).toEqual([403, 'ceiling_exceeded'])
    }
    expect(api.book.get(made.body.id)?.current.policy.name).toBe('dev')
  })

  it('gives no token and no change of a session that goes beyond it, but lets it end', async () => {
    const body = { policy: 'model', labels: { team: 'a' } }
    const made = await api.call('POST', '/v1/sessions', { as: 'platform', body })
    const path = `/v1/sessions/${made.body.id}`
    expect((await api.call('POST', `${path}/token`, { as: 'team-a' })).status).toBe(403)
    expect((await api.call('PATCH', path, { as: 'team-a', body: { ttlSeconds: 9 } })).status).toBe(403)
    expect((await api.call('DELETE', path, { as: 'team-a' })).status).toBe(204)
  })
})

describe('the labels of a token', () => {
  it('are forced on the sessions it makes', async () => {
    const made = await api.call('POST', '/v1/sessions', { as: 'team-a', body: { policy: 'dev', labels: { run: '1' } } })
    const shown = await api.call('GET', `/v1/sessions/${made.body.id}`, { as: 'team-a' })
    expect(shown.body.labels).toEqual({ run: '1', team: 'a' })
  })

  it('hide the sessions of others from every call', async () => {
    const made = await api.call('POST', '/v1/sessions', { as: 'team-b', body: { policy: 'dev' } })
    const path = `/v1/sessions/${made.body.id}`
    const explain = { session: made.body.id, url: 'https://example.org/' }
    const answers = [
      await api.call('GET', path, { as: 'team-a' }),
      await api.call('PATCH', path, { as: 'team-a', body: { mode: 'enforce' } }),
      await api.call('DELETE', path, { as: 'team-a' }),
      await api.call('POST', `${path}/token`, { as: 'team-a' }),
      await api.call('POST', '/v1/policies/explain', { as: 'team-a', body: explain }),
    ]
    const unknown = await api.call('GET', '/v1/sessions/s-unknown', { as: 'team-a' })
    for (const answer of answers) expect([answer.status, answer.body]).toEqual([404, unknown.body])
    const listed = await api.call('GET', '/v1/sessions?limit=1000', { as: 'team-a' })
    expect(listed.body.sessions.every((one) => one.labels['team'] === 'a')).toBe(true)
    expect(listed.body.sessions.length).toBeGreaterThan(0)
    expect(api.book.get(made.body.id)).toBeDefined()
  })

  it('hide the decisions of others, also those of no session', async () => {
    api.records.push(recordOf({ labels: { team: 'a' } }), recordOf({ labels: { team: 'b' } }), recordOf())
    const seen = await api.call('GET', '/v1/decisions', { as: 'team-a' })
    expect(seen.body.decisions.map((one) => one.labels)).toEqual([{ team: 'a' }])
    expect((await api.call('GET', '/v1/decisions', { as: 'platform' })).body.decisions).toHaveLength(3)
  })
})
