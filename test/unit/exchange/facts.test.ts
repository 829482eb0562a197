import { describe, expect, it } from 'vitest'
import type { Outcome } from '../../../src/exchange/outcome.ts'
import { deny } from '../../../src/policy/decision.ts'
import { noCredentials } from '../../../src/sessions/identify.ts'
import { failure } from '../../../src/upstream/failure.ts'
import { authorityOf, factsOf, liveOf, sessionOf } from './fixture.ts'

describe('a record', () => {
  it('of nothing known is whole all the same', () => {
    expect(factsOf().finalRecord(deny('malformed_request', 'why'), 400, 1002.3456)).toEqual({
      event: 'final',
      time: '2026-01-02T03:04:05.678Z',
      decisionId: 'd-1',
      session: null,
      labels: {},
      listener: '127.0.0.1:0',
      client: '192.0.2.1',
      policy: null,
      policyVersion: null,
      policyLabel: null,
      rule: null,
      ruleHost: null,
      kind: 'request',
      scheme: null,
      host: null,
      port: null,
      method: null,
      path: null,
      outcome: 'deny',
      reason: 'malformed_request',
      detail: 'why',
      status: 400,
      address: null,
      bytesUp: 0,
      bytesDown: 0,
      durations: { total: 2.35, decide: null, connect: null, firstByte: null },
      credentials: [],
      redactions: 0,
      bodyPlaceholders: 0,
      nearLimits: [],
      repeated: 1,
    })
  })

  it('names session, policy, rule, target and every duration', () => {
    const facts = factsOf()
    const session = liveOf(sessionOf([{ host: 'api.test' }]))
    facts.session = session
    facts.policy = session.current.policy
    facts.rule = session.current.policy.rules[0] ?? null
    facts.authority = authorityOf('api.test:8443')
    facts.scheme = 'https'
    facts.method = 'GET'
    facts.path = '/p'
    facts.address = '192.0.2.9:8443'
    facts.decidedAt = 1001
    facts.connectMs = 20.006
    facts.firstByteAt = 1050
    facts.bytesUp = 10
    facts.bytesDown = 20
    facts.credentials = ['anthropic']
    expect(facts.finalRecord({ kind: 'completed', status: 201 }, 201, 1100)).toMatchObject({
      session: 's-1',
      labels: { team: 'label-of-the-operator' },
      policy: session.current.policy.name,
      policyLabel: 'inline',
      rule: session.current.policy.rules[0]?.id,
      ruleHost: 'api.test',
      host: 'api.test',
      port: 8443,
      outcome: 'allow',
      status: 201,
      address: '192.0.2.9:8443',
      durations: { total: 100, decide: 1, connect: 20.01, firstByte: 50 },
      credentials: ['anthropic'],
    })
  })

  it('of a refusal names the rule that refused, not the one that nearly allowed', () => {
    const facts = factsOf()
    facts.rule = sessionOf([{ host: 'api.test' }]).policy.rules[0] ?? null
    expect(facts.finalRecord(deny('denied_by_rule', '', 'p#9'), 403, 1001).rule).toBe('p#9')
    expect(facts.finalRecord(deny('own_address', ''), 403, 1001).rule).toBe(facts.rule?.id)
  })
})

describe('an outcome becomes the words of the record', () => {
  it.each<readonly [string, Outcome, object]>([
    ['completed: allow', { kind: 'completed', status: 200 }, { outcome: 'allow', reason: null, detail: null }],
    ['deny: deny', deny('path_not_allowed', 'd'), { outcome: 'deny', reason: 'path_not_allowed', detail: 'd' }],
    [
      'a first request without credentials: challenge',
      deny('session_unknown', noCredentials),
      { outcome: 'challenge', reason: 'session_unknown' },
    ],
    ['wrong credentials: deny', deny('session_unknown', 'wrong'), { outcome: 'deny', reason: 'session_unknown' }],
    ['failed: failed', failure('dns_failed', new Error('x')), { outcome: 'failed', reason: 'dns_failed', detail: 'x' }],
    [
      'failed by what is no error',
      failure('tls_failed', 'y'),
      { outcome: 'failed', reason: 'tls_failed', detail: 'y' },
    ],
    ['abandoned: abandoned', { kind: 'abandoned', detail: 'z' }, { outcome: 'abandoned', reason: null, detail: 'z' }],
    ['fault: fault', { kind: 'fault', error: new Error('bug') }, { outcome: 'fault', reason: null, detail: 'bug' }],
  ])('%s', (_name, outcome, said) => {
    expect(factsOf().finalRecord(outcome, null, 1001)).toMatchObject({ event: 'final', ...said })
  })

  it('in audit mode what passed says what it would have been, and what failed says how it failed', () => {
    const facts = factsOf()
    facts.wouldDeny = deny('host_not_allowed', 'evil.test:443')
    const audited = { outcome: 'audit', reason: 'host_not_allowed', detail: 'evil.test:443' }
    expect(facts.finalRecord({ kind: 'completed', status: 200 }, 200, 1001)).toMatchObject(audited)
    expect(facts.finalRecord(failure('dns_failed', 'x'), 502, 1001)).toMatchObject({ outcome: 'failed' })
    expect(facts.finalRecord(deny('own_address', ''), 403, 1001)).toMatchObject({
      outcome: 'deny',
      reason: 'own_address',
    })
  })
})

describe('a line for what is under way', () => {
  it('is open, not final, and says the same id', () => {
    const facts = factsOf()
    expect(facts.openRecord(2500)).toMatchObject({ event: 'open', outcome: 'allow', reason: null, status: null })
    expect(facts.openRecord(2500).decisionId).toBe(
      facts.finalRecord({ kind: 'completed', status: 200 }, 200, 3000).decisionId,
    )
    facts.wouldDeny = deny('host_not_allowed', '')
    expect(facts.openRecord(2500)).toMatchObject({ event: 'open', outcome: 'audit', reason: 'host_not_allowed' })
  })
})
