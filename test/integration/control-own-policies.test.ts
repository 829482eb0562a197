/** Policies that are made, changed and taken away over the API. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type ControlBench, createControlBench } from '../unit/control/fixture.ts'

let api: ControlBench
beforeAll(async () => {
  api = await createControlBench()
})
afterAll(() => api.close())

const rules = [{ host: 'a.example', methods: ['GET'] }]
const wider = [...rules, { host: 'b.example' }]
type Options = { readonly as?: string; readonly headers?: Readonly<Record<string, string>>; readonly query?: string }
const put = (name: string, body: unknown, { as = 'platform', headers = {}, query = '' }: Options = {}) =>
  api.call('PUT', `/v1/policies/${name}${query}`, { as, body, headers })
const remove = (name: string, as = 'platform', headers = {}) =>
  api.call('DELETE', `/v1/policies/${name}`, { as, headers })
const show = (name: string) => api.call('GET', `/v1/policies/${name}`, { as: 'platform' })
let count = 0
let name = ''
beforeEach(() => {
  name = `made-${count++}`
})

describe('PUT /v1/policies/:name', () => {
  it('makes a policy, then changes it, and each change has a version of its own', async () => {
    const made = await put(name, { description: 'mine', rules, extends: ['corp'] })
    expect([made.status, made.headers.get('etag')]).toEqual([201, '"1"'])
    expect(made.body).toMatchObject({ name, version: 1, rules: 2, extends: ['corp'], origin: 'api', sessions: 0 })
    const shown = await show(name)
    expect(shown.body).toMatchObject({ version: 1, document: { description: 'mine', rules, extends: ['corp'] } })
    const changed = await put(name, { rules: wider })
    expect([changed.status, changed.body, changed.headers.get('etag')]).toEqual([
      200,
      expect.objectContaining({ version: 2, rules: 2 }),
      '"2"',
    ])
    expect((await put(name, { rules: wider })).body).toMatchObject({ version: 2 })
  })

  it('is in force for the sessions that use it when it answers, and cuts what it no longer allows', async () => {
    await put(name, { rules: wider })
    const made = await api.call('POST', '/v1/sessions', { as: 'platform', body: { policy: name } })
    const session = api.book.get(made.body.id)
    let cuts = 0
    session?.open.add({ stillAllowed: ({ policy }) => policy.rules.length > 1, cut: () => void cuts++ })
    expect((await put(name, { rules })).body).toMatchObject({ sessions: 1 })
    expect([cuts, session?.current.policy.rules.length]).toEqual([1, 1])
  })

  it('makes one of two changes that name the same version', async () => {
    await put(name, { rules })
    const headers = { 'if-match': '"1"' }
    const both = await Promise.all([
      put(name, { rules: wider }, { headers }),
      put(name, { rules: [{ host: 'c.example' }] }, { headers }),
    ])
    expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 412])
    expect(both.find(({ status }) => status === 412)?.body.code).toBe('policy_version')
    expect((await put(name, { rules }, { headers: { 'if-none-match': '*' } })).status).toBe(412)
    expect((await put(`${name}-new`, { rules }, { headers: { 'if-none-match': '*' } })).status).toBe(201)
  })

  it.each([{ 'if-match': 'W/"1"' }, { 'if-match': '*' }, { 'if-none-match': '"1"' }])(
    'refuses the condition %o',
    async (headers) => {
      expect((await put(name, { rules }, { headers })).status).toBe(400)
    },
  )

  const refused: readonly (readonly [what: string, name: string, body: object, as: string, status: number])[] = [
    ['of a file', 'dev', { rules }, 'platform', 405],
    ['with problems', 'mine', { rules: [{ host: '*.com' }] }, 'platform', 422],
    ['that extends itself', 'mine', { extends: ['mine'] }, 'platform', 422],
    ['that extends nobody', 'mine', { extends: ['nobody'] }, 'platform', 422],
    ['with another name inside', 'mine', { name: 'other', rules }, 'platform', 422],
    ['named inline', 'inline', { rules }, 'platform', 422],
    ['with a name that is none', 'Mine', { rules }, 'platform', 400],
    ['from a token of sessions', 'mine', { rules }, 'team-b', 403],
    ['of a file, from a token of sessions', 'dev', { rules }, 'team-b', 403],
    ['from an admin of one team', 'mine', { rules }, 'lead-a', 403],
    ['from a reader', 'mine', { rules }, 'viewer', 403],
  ]
  it.each(refused)('refuses a policy %s', async (_what, to, body, as, status) => {
    const answer = await put(to, body, { as })
    expect(answer.status, answer.text).toBe(status)
    expect(api.policies.get('mine')).toBeNull()
  })

  it('refuses a change that breaks a policy which extends it, dry or not', async () => {
    await put(name, { rules: [{ host: 'api.anthropic.com', credential: 'anthropic' }] })
    await put(`${name}-over`, { extends: [name], rules: [] })
    const broken = { extends: [`${name}-over`], rules: [] }
    for (const query of ['', '?dryRun=true']) {
      const answer = await put(name, broken, { query })
      expect([answer.status, answer.body.code], answer.text).toEqual([422, 'policy_invalid'])
    }
    expect(api.policies.get(name)?.version).toBe(1)
  })

  it('with dryRun changes nothing, and says the version it would have', async () => {
    await put(name, { rules })
    const dry = await put(name, { rules: wider }, { query: '?dryRun=true', as: 'viewer' })
    expect([dry.status, dry.body]).toEqual([200, expect.objectContaining({ version: 2, rules: 2 })])
    expect(api.policies.get(name)?.version).toBe(1)
  })

  it('changes nothing where the store fails', async () => {
    await put(name, { rules })
    api.full = true
    const answer = await put(name, { rules: wider })
    expect([answer.status, answer.body.code, answer.text.includes('disk')]).toEqual([503, 'unavailable', false])
    expect([(await remove(name)).status, api.policies.get(name)?.version]).toEqual([503, 1])
    api.full = false
    expect((await put(name, { rules: wider })).status).toBe(200)
  })
})

describe('DELETE /v1/policies/:name', () => {
  it('takes it away, and a new one of the name counts on', async () => {
    await put(name, { rules })
    expect((await remove(name, 'platform', { 'if-match': '"7"' })).status).toBe(412)
    expect([(await remove(name)).status, (await show(name)).status, (await remove(name)).status]).toEqual([
      204, 404, 404,
    ])
    expect((await put(name, { rules })).body).toMatchObject({ version: 2 })
  })

  it('refuses while a session or a policy uses it, and policies of files', async () => {
    await put(name, { rules })
    await put(`${name}-over`, { extends: [name] })
    const body = { policy: `${name}-over` }
    const made = await api.call('POST', '/v1/sessions', { as: 'platform', body })
    for (const used of [name, `${name}-over`]) {
      const answer = await remove(used)
      expect([answer.status, answer.body.code]).toEqual([409, 'policy_conflict'])
    }
    await api.call('DELETE', `/v1/sessions/${made.body.id}`, { as: 'platform' })
    expect([(await remove(`${name}-over`)).status, (await remove(name)).status]).toEqual([204, 204])
    expect((await remove('dev')).status).toBe(405)
    expect((await remove('dev', 'team-a')).status).toBe(403)
  })
})
