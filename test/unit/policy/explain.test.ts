import { describe, expect, it } from 'vitest'
import { explainRequest, parseQuestion, type Question } from '../../../src/policy/explain.ts'
import { issueText, parsePolicy, type PlaceOf } from '../../../src/policy/parse-policy.ts'
import { PolicyBook } from '../../../src/policy/policy-book.ts'
import { runPolicyTests } from '../../../src/policy/policy-tests.ts'
import { Policy, type Grant } from '../../../src/policy/policy.ts'

function question(text: string): Question {
  const parsed = parseQuestion(text)
  return typeof parsed === 'string' ? expect.fail(parsed) : parsed
}

function grant(rules: readonly object[], mode: 'audit' | 'enforce' = 'enforce'): Grant {
  const policy = new PolicyBook({ presets: [], credentials: new Map() }).compileInline({ rules })
  return {
    policy: policy instanceof Policy ? policy : expect.fail(JSON.stringify(policy)),
    mode,
    placeholders: new Map(),
  }
}

describe('a question', () => {
  it.each([
    ['POST https://good.test/v1?x=1', 'POST', 'https', 'good.test:443', '/v1?x=1'],
    ['https://good.test', null, 'https', 'good.test:443', '/'],
    ['http://good.test:8080?x', null, 'http', 'good.test:8080', '/?x'],
    ['wss://good.test/a', 'WEBSOCKET', 'https', 'good.test:443', '/a'],
    ['GET  HTTP://GOOD.test./', 'GET', 'http', 'good.test:80', '/'],
    ['https://[::1]/', null, 'https', '[::1]:443', '/'],
  ])('%s', (text, method, scheme, authority, target) => {
    const { authority: asked, ...rest } = question(text)
    expect({ ...rest, authority: asked.text }).toEqual({ method, scheme, authority, target })
  })

  it.each([
    '',
    'good.test',
    'get https://good.test',
    'FROB https://good.test',
    'ftp://good.test',
    'https://',
    'https://a@good.test/',
    'https://good.test:0/',
    'https://good.test/#x',
    'https://good.test/ü',
    'https://good.test/a b',
    'https://ｇood.test/',
    'GET https://good.test/ HTTP/1.1',
  ])('%j is none', (text) => expect(typeof parseQuestion(text)).toBe('string')) // prettier-ignore
})

describe('an explanation', () => {
  const rules = [
    { host: 'api.good.example', methods: ['POST'], paths: ['/v1/messages'] },
    { host: '*.good.example', ports: [8443], methods: ['GET'] },
    { host: 'good.example', methods: ['GET'] },
    { host: 'git.good.example', methods: ['GET'], query: { service: 'git-upload-pack' } },
    { host: 'other.example', methods: ['GET'] },
    { host: 'no.good.example', action: 'deny' },
  ]
  const explain = (text: string) => explainRequest(grant(rules), question(text))

  it('names the rule that allows, and no rule of other hosts', () => {
    const found = explain('POST https://api.good.example/v1/messages')
    expect(found).toMatchObject({ verdict: 'allow', rule: 'inline#1', reason: null, route: 'intercept' })
    expect(found.misses.map(({ rule }) => rule)).not.toContain('inline#5')
  })

  it.each([
    ['POST https://api.good.example/v1/files', 'path_not_allowed', 'inline#1', null],
    ['GET https://api.good.example/v1/messages', 'method_not_allowed', 'inline#1', null],
    ['GET https://api.good.example:9/', 'port_not_allowed', null, 'port 9 is not one of 80, 443'],
    ['GET https://x.good.example/', 'port_not_allowed', null, 'port 443 is not one of 8443'],
    ['GET https://none.example/', 'host_not_allowed', null, null],
    ['GET https://no.good.example/', 'denied_by_rule', 'inline#6', null],
    [
      'GET https://sub.git.good.example/',
      'port_not_allowed',
      null,
      'it names git.good.example only, not names below it',
    ],
    ['POST https://api.good.example/a//b', 'ambiguous_path', null, 'path /a//b matches none of /v1/messages'],
    ['GET https://git.good.example/x?service=git-receive-pack', 'path_not_allowed', 'inline#4', null],
  ])('%s is denied by %s', (text, reason, rule, why) => {
    const found = explain(text)
    expect([found.verdict, found.reason, found.rule]).toEqual(['deny', reason, rule])
    if (why !== null) expect(found.misses.map((miss) => miss.why).join('\n')).toContain(why)
  }) // prettier-ignore

  it('says what a wildcard leaves out', () => {
    const found = explainRequest(grant([{ host: '*.good.example' }]), question('https://good.example/'))
    expect(found.misses).toEqual([
      {
        rule: 'inline#1',
        action: 'allow',
        host: '*.good.example',
        why: 'it names what is below good.example, not good.example itself',
      },
    ]) // prettier-ignore
  })

  it('says that a tunnel is not seen into, and that a question without method is judged as GET', () => {
    const tunnel = explainRequest(grant([{ host: 'a.test' }]), question('DELETE https://a.test/x'))
    expect(tunnel).toMatchObject({ verdict: 'allow', rule: 'inline#1', route: 'tunnel' })
    expect(tunnel.says).toContain('tunnel')
    expect(explainRequest(grant([{ host: 'a.test', methods: ['GET'] }]), question('https://a.test/')).says).toContain(
      'GET',
    )
  })

  it('tells audit from allowed', () => {
    const audit = grant(
      [
        { host: 'a.test', methods: ['GET'] },
        { host: 'b.test', action: 'deny' },
      ],
      'audit',
    )
    expect(explainRequest(audit, question('https://none.test/'))).toMatchObject({
      verdict: 'audit',
      reason: 'host_not_allowed',
    })
    expect(explainRequest(audit, question('PUT https://a.test/'))).toMatchObject({
      verdict: 'audit',
      reason: 'method_not_allowed',
    })
    expect(explainRequest(audit, question('https://a.test/')).verdict).toBe('allow')
    expect(explainRequest(audit, question('https://b.test/')).verdict).toBe('deny')
  })

  it('lists twenty rules at most, of any number', () => {
    const many = Array.from({ length: 500 }, (_, i) => ({ host: 'a.test', methods: ['GET'], paths: [`/${i}`] }))
    expect(explainRequest(grant(many), question('GET https://a.test/x')).misses).toHaveLength(20)
  })
})

describe('a deny by query', () => {
  const denied = grant([{ host: 'a.test' }, { host: 'a.test', action: 'deny', query: { service: 'git-receive-pack' } }])
  it.each([
    'service=git-receive-pack',
    'service=git%2Dreceive-pack',
    'x=1&service=git-receive-pack',
    'service=x&service=git-receive-pack',
    'service=git-receive-pack&service=x',
    '%73ervice=git-receive-pack',
    'x=1;service=git-receive-pack',
  ])('is met by %s', (query) =>
    expect(explainRequest(denied, question(`GET https://a.test/?${query}`)).reason).toBe('denied_by_rule'),
  ) // prettier-ignore

  it('is not met by others', () => {
    for (const query of [
      'service=git-upload-pack',
      'services=git-receive-pack',
      'x=service=git-receive-pack',
      'service',
    ])
      expect(explainRequest(denied, question(`GET https://a.test/?${query}`)).verdict).toBe('allow')
  })
})

describe('the tests of a policy', () => {
  it('become a table, judged as enforced even in audit mode', () => {
    const at: PlaceOf = () => ({ file: 'f', line: 1, column: 1 })
    const raw = {
      version: 1,
      name: 'p',
      mode: 'audit',
      rules: [{ host: 'a.test', methods: ['GET'] }],
      tests: [
        { allow: 'GET https://a.test/' },
        { deny: 'PUT https://a.test/', because: 'method_not_allowed' },
        { deny: 'PUT https://a.test/', because: 'host_not_allowed' },
        { allow: 'https://b.test/' },
      ],
    }
    const source = parsePolicy(raw, at)
    if (Array.isArray(source)) expect.fail(source.map(issueText).join('\n'))
    const book = new PolicyBook({ presets: [], credentials: new Map() })
    expect(book.replace([source])).toEqual([])
    const rows = runPolicyTests(book.get('p') ?? expect.fail(), source.tests)
    expect(rows.map(({ verdict, reason, passed }) => [verdict, reason, passed])).toEqual([
      ['allow', null, true],
      ['deny', 'method_not_allowed', true],
      ['deny', 'method_not_allowed', false],
      ['deny', 'host_not_allowed', false],
    ])
  })
})
