import { describe, expect, it } from 'vitest'
import { type ReplyFacts, replyTo } from '../../../src/exchange/reply.ts'
import { type Authority, parseAuthority } from '../../../src/net/authority.ts'
import { deny } from '../../../src/policy/decision.ts'
import { type DenyReason, denyReasons } from '../../../src/policy/deny-reason.ts'
import { parsePolicy } from '../../../src/policy/parse-policy.ts'
import { type FailureCode, failure, failures } from '../../../src/upstream/failure.ts'

const reasons = Object.keys(denyReasons) as DenyReason[]
const codes = Object.keys(failures) as FailureCode[]
const leak = 'operator-only 10.2.3.4 CN=internal.corp /etc/secret'

function facts(changes: Partial<ReplyFacts> = {}): ReplyFacts {
  return {
    decisionId: 'd-7f3a',
    session: { id: 's-12' },
    policy: { version: 7 },
    scheme: 'https',
    authority: at('pypi.example.com:443'),
    method: 'POST',
    path: '/simple/left-pad',
    ...changes,
  }
}

function at(text: string): Authority {
  return parseAuthority(text) ?? expect.fail(text)
}

const unknown = facts({ session: null, policy: null, scheme: null, authority: null, method: null, path: null })

function replied(outcome: Parameters<typeof replyTo>[0], given: ReplyFacts = facts()) {
  const reply = replyTo(outcome, given) ?? expect.fail('no reply')
  const fields: Record<string, string> = {}
  for (let i = 0; i < reply.fields.length; i += 2) {
    const name = reply.fields[i] ?? ''
    expect(fields[name], `${name} once`).toBeUndefined()
    fields[name] = reply.fields[i + 1] ?? ''
  }
  return { ...reply, fields, json: JSON.parse(reply.body) as Record<string, unknown> }
}

describe('what needs no words of ours', () => {
  it('is an answer that was streamed, and a client that is gone', () => {
    expect(replyTo({ kind: 'completed', status: 200 }, facts())).toBeNull()
    expect(replyTo({ kind: 'abandoned', detail: leak }, facts())).toBeNull()
  })
})

describe.each(reasons)('a refusal for %s', (reason) => {
  const reply = replied(deny(reason, leak))
  const { status, says } = denyReasons[reason]

  it('says the same in status line, fields and body', () => {
    expect(reply.status).toBe(status)
    expect(reply.reason).toContain(`(${reason})`)
    expect(reply.reason).toContain('[d-7f3a]')
    expect(reply.fields).toMatchObject({
      'X-Egress-Decision': 'deny',
      'X-Egress-Reason': reason,
      'X-Egress-Decision-Id': 'd-7f3a',
      'X-Should-Retry': String(reply.json['retryable']),
      'Proxy-Status': `sallyport; error=http_request_denied; details="${reason}"`,
      'Content-Type': 'application/json',
      'Cache-Control': 'no-store',
    })
    expect(reply.json['error']).toContain(says)
  })

  it('has a body of the promised shape and nothing more', () => {
    const { suggestedRule, error, message, ...rest } = reply.json
    expect(error).toContain('egress_denied: pypi.example.com:443: ')
    expect(message).toMatch(/^[A-Z].{60,}\.$/)
    expect(rest).toEqual({
      reason,
      target: {
        scheme: 'https',
        host: 'pypi.example.com',
        port: 443,
        method: 'POST',
        path: '/simple/left-pad',
      },
      retryable: status === 429 || status === 503,
      session: 's-12',
      policyVersion: 7,
      decisionId: 'd-7f3a',
    })
    expect(suggestedRule === undefined).toBe(!/^(?:host|port|method|path)_not_allowed$/.test(reason))
  })

  it('is printable ASCII, tells nothing of the operator, and asks to retry only where that helps', () => {
    expect(reply.reason).toMatch(/^[ -~]+$/)
    expect(reply.reason.length).toBeLessThan(400)
    expect(JSON.stringify([reply.reason, reply.fields, reply.json])).not.toMatch(
      /operator-only|10\.2\.3\.4|internal|secret\b/,
    )
    expect('Retry-After' in reply.fields).toBe(status === 429)
    expect('Proxy-Authenticate' in reply.fields).toBe(status === 407)
    expect(Object.keys(reply.fields)).not.toContain('Strict-Transport-Security')
    if (!reply.json['retryable'] && status !== 407) expect(reply.reason).toContain('do not retry or bypass')
  })

  it('can be said of an exchange of which nothing is known', () => {
    const bare = replied(deny(reason, leak), unknown)
    expect(bare.json).toMatchObject({ reason, target: null, session: null, policyVersion: null })
    expect(bare.json['suggestedRule']).toBeUndefined()
  })
})

describe('a rule that is suggested', () => {
  it.each([
    ['host_not_allowed', {}, { host: 'pypi.example.com', methods: ['POST'] }],
    ['host_not_allowed', { method: null, path: null }, { host: 'pypi.example.com', methods: ['GET', 'HEAD'] }],
    ['host_not_allowed', { method: 'HEAD' }, { host: 'pypi.example.com', methods: ['GET', 'HEAD'] }],
    ['port_not_allowed', { authority: at('a.test:8443') }, { host: 'a.test', ports: [8443], methods: ['POST'] }],
    ['host_not_allowed', { authority: at('[2001:db8::1]:443') }, { host: '[2001:db8::1]', methods: ['POST'] }],
    ['host_not_allowed', { authority: at('192.0.2.7:443') }, { host: '192.0.2.7', methods: ['POST'] }],
    ['method_not_allowed', {}, { host: 'pypi.example.com', methods: ['POST'], paths: ['/simple/left-pad'] }],
    [
      'method_not_allowed',
      { method: 'WEBSOCKET' },
      { host: 'pypi.example.com', methods: ['WEBSOCKET'], paths: ['/simple/left-pad'] },
    ],
    ['path_not_allowed', { path: '/%D1%84' }, { host: 'pypi.example.com', methods: ['POST'], paths: ['/%D1%84'] }],
  ] as const)('for %s is narrow, and loads: case %$', (reason, changes, rule) => {
    const { suggestedRule } = replied(deny(reason, ''), facts(changes)).json
    expect(suggestedRule).toEqual(rule)
    const parsed = parsePolicy({ version: 1, name: 'p', rules: [suggestedRule] }, () => ({
      file: 'p',
      line: 1,
      column: 1,
    }))
    expect(Array.isArray(parsed) ? parsed : []).toEqual([])
  })
})

describe('no rule is suggested', () => {
  it.each(['/a/*', '/**', '/*', '/a/../b', '/a?', '/\u00fc', `/${'a'.repeat(30_000)}`])(
    'for a path that as a pattern would say more than itself, or nothing: case %$',
    (path) => {
      expect(replied(deny('path_not_allowed', ''), facts({ path })).json['suggestedRule']).toBeUndefined()
      expect(replied(deny('method_not_allowed', ''), facts({ path })).json['suggestedRule']).toBeUndefined()
    },
  )
})

describe.each(codes)('a failure of the network, %s', (code) => {
  it('is allowed but failed: 502 or 504, a generic body, no word of what was really said', () => {
    const reply = replied(failure(code, new Error(leak)))
    expect(reply.status).toBe(failures[code].status)
    expect(reply.reason).toBe(`Egress allowed but failed (${code}) [d-7f3a]`)
    expect(reply.fields).toMatchObject({ 'X-Egress-Decision': 'allow', 'X-Egress-Reason': code })
    expect(reply.fields['Proxy-Status']).toMatch(/^sallyport; error=[a-z_]+$/)
    expect(reply.json).toMatchObject({ reason: code, retryable: true, decisionId: 'd-7f3a' })
    expect(JSON.stringify(reply)).not.toContain('operator-only')
    expect(JSON.stringify(reply)).not.toContain('http_request_denied')
  })
})

describe('a bug of ours', () => {
  it('is a 500 that says nothing of itself', () => {
    const reply = replied({ kind: 'fault', error: new Error(leak) })
    expect(reply).toMatchObject({ status: 500, json: { reason: 'fault', retryable: false } })
    expect(JSON.stringify(reply)).not.toContain('operator-only')
  })
})

it('is written for a long host and an odd path too: one line of printable ASCII', () => {
  const authority = parseAuthority(`${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.test:65535`)
  const { reason } = replied(deny('host_not_allowed', ''), facts({ authority, path: '/\u0000\u2028' }))
  expect(reason).toMatch(/^[ -~]+$/)
})
