import { describe, expect, it } from 'vitest'
import { type Denial, describeEgress, isEgressLocal, RecentDenials } from '../../../src/exchange/egress-local.ts'
import type { RequestHead } from '../../../src/net/request-head.ts'
import { authorityOf, liveOf, sessionOf } from './fixture.ts'

const session = sessionOf([
  { host: 'api.test', methods: ['POST'], paths: ['/v1/*'], ports: [443] },
  { host: 'inside.test', addresses: ['10.9.8.0/24'] },
  { host: 'not.test', action: 'deny' },
])

const denial: Denial = {
  time: '2026-01-02T03:04:05.678Z',
  decisionId: 'd-9',
  host: 'evil.test',
  port: 443,
  method: 'GET',
  path: '/x',
  reason: 'host_not_allowed',
}

function head(changes: Partial<RequestHead> = {}): RequestHead {
  return {
    method: 'GET',
    scheme: 'http',
    authority: authorityOf('egress.local:80'),
    path: '/',
    query: null,
    fields: [],
    body: { kind: 'none' },
    expectContinue: false,
    ...changes,
  }
}

describe('the name egress.local', () => {
  it.each([
    ['egress.local:80', true],
    ['EGRESS.local.:80', true],
    ['egress.local:443', false],
    ['x.egress.local:80', false],
    ['egress.local.test:80', false],
  ])('%s is ours: %s', (authority, ours) => {
    expect(isEgressLocal(authorityOf(authority))).toBe(ours)
  })
})

describe('what is said there', () => {
  it('to people and agents: what is allowed, what was refused last, how to ask', () => {
    const { status, body, fields } = describeEgress(head(), session, [denial])
    expect(status).toBe(200)
    expect(fields).toContain('text/plain; charset=utf-8')
    expect(body).toContain('  POST api.test:443 /v1/*')
    expect(body).toContain('NOT any method not.test')
    expect(body).toContain('GET evil.test:443/x (host_not_allowed): no rule of this session allows the host')
    expect(body).toMatch(/tell the user/)
  })

  it('to programs: the same as JSON, where Accept or the path asks for it', () => {
    for (const asked of [head({ fields: ['accept', 'application/json'] }), head({ path: '/v1/policy' })]) {
      const { body, fields } = describeEgress(asked, session, [denial])
      expect(fields).toContain('application/json')
      expect(JSON.parse(body)).toMatchObject({
        session: 's-1',
        mode: 'enforce',
        rules: [
          { action: 'allow', host: 'api.test', methods: ['POST'], ports: [443], paths: ['/v1/*'], credential: false },
          { action: 'allow', host: 'inside.test' },
          { action: 'deny', host: 'not.test' },
        ],
        rulesOmitted: 0,
        lastDenials: [denial],
      })
    }
  })

  it.each([head(), head({ path: '/v1/policy' })])('never an address, a label or a source: %#', (asked) => {
    const { body } = describeEgress(asked, session, [denial])
    expect(body).not.toMatch(/10\.9\.8|label-of-the-operator|192\.0\.2\.1/)
  })

  it('of a policy of thousands, the first rules and how many more', () => {
    const many = sessionOf(Array.from({ length: 1000 }, (_, i) => ({ host: `h${i}.test` })))
    expect(describeEgress(head(), many, []).body).toContain('and 800 more')
    expect(JSON.parse(describeEgress(head({ path: '/v1/policy' }), many, []).body)).toMatchObject({ rulesOmitted: 800 })
  })

  it.each([
    ['POST', '/', 405],
    ['PUT', '/v1/policy', 405],
    ['GET', '/v1/ask', 404],
    ['HEAD', '/', 200],
  ])('%s %s: %i', (method, path, status) => {
    expect(describeEgress(head({ method, path }), session, []).status).toBe(status)
  })
})

describe('what was refused last', () => {
  it('is kept per session, ten of them, the last ones', () => {
    const denials = new RecentDenials()
    const [one, other] = [liveOf(session), liveOf(session)]
    for (let i = 0; i < 25; i++) denials.note(one, { ...denial, decisionId: `d-${i}` })
    expect(denials.of(one).map(({ decisionId }) => decisionId)).toEqual(
      Array.from({ length: 10 }, (_, i) => `d-${i + 15}`),
    )
    expect(denials.of(other)).toEqual([])
  })
})
