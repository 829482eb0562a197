import { Value } from 'typebox/value'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openApiDocument } from '../../src/control/openapi.ts'
import { problems } from '../../src/control/problem.ts'
import { DecisionView, VerdictView } from '../../src/control/record-schemas.ts'
import {
  CreatedSession,
  NewToken,
  OnePolicyView,
  ProblemView,
  SessionPage,
  SessionView,
} from '../../src/control/schemas.ts'
import { type ControlBench, createControlBench, recordOf } from '../unit/control/fixture.ts'

let api: ControlBench
beforeAll(async () => {
  api = await createControlBench()
})
afterAll(() => api.close())

type Document = { paths: Record<string, Record<string, { security: unknown[] }>>; components: { schemas: object } }
const document = openApiDocument() as unknown as Document

describe('the OpenAPI description', () => {
  it('is what the server serves', async () => {
    const served = await api.call('GET', '/v1/openapi.json', { as: 'viewer' })
    expect(served.body).toEqual(JSON.parse(JSON.stringify(document)))
    expect(served.body.openapi).toBe('3.1.0')
  })

  it('has every reference it makes', () => {
    const references = JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)
    for (const [, name = ''] of references) expect(Object.keys(document.components.schemas)).toContain(name)
  })

  it('has exactly the calls that are served, and says rightly which need a token', async () => {
    for (const [path, methods] of Object.entries(document.paths)) {
      const plain = path.replaceAll(/\{\w+\}/g, 'x')
      const allowed = await api.call('OPTIONS', plain, { as: 'platform' })
      expect(allowed.status, path).toBe(405)
      const served = (allowed.headers.get('allow') ?? '').split(', ').filter((method) => method !== 'HEAD')
      // `/v1/policies/explain` is also a name that `/v1/policies/{name}` takes.
      const described = path === '/v1/policies/explain' ? ['delete', 'get', 'post', 'put'] : Object.keys(methods)
      expect(new Set(served.map((method) => method.toLowerCase())), path).toEqual(new Set(described))
      for (const [method, { security }] of Object.entries(methods)) {
        const answer = await api.call(method.toUpperCase(), plain)
        expect(answer.status === 401, `${method} ${path}`).toBe(security.length > 0)
      }
    }
  })

  it('has maps that generators of clients know for maps, and no texts where numbers are meant', () => {
    const text = JSON.stringify(document)
    expect(text).not.toContain('patternProperties')
    expect(text).toContain('"env":{"type":"object","additionalProperties":{"type":"string"}}')
    expect(text).toContain('"name":"limit","in":"query","required":false,"schema":{"type":"integer"')
  })

  it('lists every problem code', () => {
    for (const code of Object.keys(problems)) expect(JSON.stringify(document)).toContain(code)
  })
})

describe('what is answered', () => {
  it('has decisions that fit their schema, key by key', async () => {
    api.records.push(recordOf(), recordOf({ event: 'open', status: null, reason: 'tls_untrusted', scheme: null }))
    const { body } = await api.call('GET', '/v1/decisions', { as: 'platform' })
    expect(body.decisions).toHaveLength(2)
    for (const decision of body.decisions) expect(Value.Check(DecisionView, decision)).toBe(true)
    expect(Object.keys(DecisionView.properties).toSorted()).toEqual(Object.keys(recordOf()).toSorted())
  })

  it('fits its schema', async () => {
    const as = 'platform'
    const explained = { policy: 'dev', method: 'POST', url: 'https://example.org/' }
    const made = await api.call('POST', '/v1/sessions', { as, body: { policy: 'dev', labels: { a: 'b' } } })
    const answers = [
      [CreatedSession, made],
      [SessionView, await api.call('GET', `/v1/sessions/${made.body.id}`, { as })],
      [SessionView, await api.call('PATCH', `/v1/sessions/${made.body.id}`, { as, body: { mode: 'audit' } })],
      [NewToken, await api.call('POST', `/v1/sessions/${made.body.id}/token`, { as })],
      [SessionPage, await api.call('GET', '/v1/sessions?limit=1', { as })],
      [VerdictView, await api.call('POST', '/v1/policies/explain', { as, body: explained })],
      [OnePolicyView, await api.call('GET', '/v1/policies/corp', { as })],
      [ProblemView, await api.call('GET', '/v1/policies/none', { as })],
    ] as const
    for (const [schema, { body, text }] of answers) expect(Value.Check(schema, body), text).toBe(true)
  })
})
