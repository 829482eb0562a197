import { describe, expect, it } from 'vitest'
import { type Authority, parseAuthority } from '../../../src/net/authority.ts'
import { type Ip, parseIp } from '../../../src/net/ip.ts'
import type { RequestHead } from '../../../src/net/request-head.ts'
import { decideAddress } from '../../../src/policy/decide-address.ts'
import { decideHost, type HostPermit } from '../../../src/policy/decide-host.ts'
import { decideRequest, type RequestPermit } from '../../../src/policy/decide-request.ts'
import type { Decision } from '../../../src/policy/decision.ts'
import { auditable, denyReasons } from '../../../src/policy/deny-reason.ts'
import { isCredentialField, isCredentialParameter } from '../../../src/policy/foreign-credential.ts'
import { parseDomainPattern } from '../../../src/policy/domain-pattern.ts'
import { PolicyBook } from '../../../src/policy/policy-book.ts'
import { type Grant, Policy } from '../../../src/policy/policy.ts'

const apiHost = parseDomainPattern('api.test')
const credential = { hosts: typeof apiHost === 'string' ? expect.fail(apiHost) : [apiHost], unsafeWildcardHosts: false }
const placeholder = 'sk-placeholder-0123456789'

/** A token as anybody can make one. */
function signedBy(issuer: string): string {
  return ['{"alg":"RS256"}', JSON.stringify({ iss: issuer }), 'x']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.')
}

function grant(rules: readonly object[], mode: 'audit' | 'enforce' = 'enforce'): Grant {
  const book = new PolicyBook({ presets: [], credentials: new Map([['key', credential]]) })
  const policy = book.compileInline({ rules })
  if (!(policy instanceof Policy)) expect.fail(JSON.stringify(policy))
  return { policy, mode, placeholders: new Map([['key', placeholder]]) }
}

function at(text: string): Authority {
  return parseAuthority(text) ?? expect.fail(text)
}

type Asked = {
  method?: string
  authority?: string
  path?: string
  query?: string
  scheme?: 'http' | 'https'
  fields?: string[]
}

function head({
  method = 'GET',
  authority = 'api.test:443',
  path = '/',
  query,
  scheme = 'https',
  fields = [],
}: Asked): RequestHead {
  const body = { kind: 'none' } as const
  return { method, scheme, authority: at(authority), path, query: query ?? null, fields, body, expectContinue: false }
}

function permitOf<Permit>(decision: Decision<Permit>): Permit {
  return decision.kind === 'allow' ? decision.permit : expect.fail(`${decision.reason}: ${decision.detail}`)
}

function reasonOf(decision: Decision<unknown>): string {
  return decision.kind === 'deny' ? decision.reason : 'allowed'
}

function ask(given: Grant, asked: Asked): Decision<RequestPermit> {
  const host = decideHost(given, at(asked.authority ?? 'api.test:443'))
  return host.kind === 'deny' ? host : decideRequest(given, host.permit, head(asked))
}

describe('a host', () => {
  const rules = [
    { host: 'api.test', methods: ['GET'] },
    { host: '*.good.example' },
    { host: 'x.good.example', action: 'deny' },
    { host: 'odd.example', ports: [8443] },
    { host: 'part.example' },
    { host: 'part.example', action: 'deny', paths: ['/x'] },
    { host: 'wide.example', tls: 'intercept' },
    { host: '10.0.0.1' },
  ]
  it.each([
    ['api.test:443', 'intercept'],
    ['a.good.example:443', 'tunnel'],
    ['A.GOOD.example.:80', 'tunnel'],
    ['part.example:443', 'intercept'], // a deny rule looks inside too (decision 12)
    ['wide.example:443', 'intercept'],
    ['odd.example:8443', 'tunnel'],
    ['10.0.0.1:443', 'tunnel'],
  ])('%s is allowed, by %s', (text, route) => expect(permitOf(decideHost(grant(rules), at(text))).route).toBe(route))

  it.each([
    ['good.example:443', 'host_not_allowed'],
    ['evilgood.example:443', 'host_not_allowed'],
    ['x.good.example:443', 'denied_by_rule'],
    ['X.good.example.:8443', 'denied_by_rule'],
    ['a.good.example:22', 'port_not_allowed'], // POL-09
    ['a.good.example:25', 'port_not_allowed'],
    ['a.good.example:6379', 'port_not_allowed'],
    ['odd.example:443', 'port_not_allowed'],
    ['10.0.0.2:443', 'host_not_allowed'],
    ['[::1]:443', 'host_not_allowed'],
    ['__proto__:443', 'host_not_allowed'], // POL-17
    ['constructor:443', 'host_not_allowed'],
  ])('%s is denied: %s', (text, reason) => expect(reasonOf(decideHost(grant(rules), at(text)))).toBe(reason))

  it('in audit mode passes with the refusal that would have been, explicit denies aside', () => {
    const audit = grant(rules, 'audit')
    expect(permitOf(decideHost(audit, at('none.example:443'))).wouldDeny?.reason).toBe('host_not_allowed')
    expect(permitOf(decideHost(audit, at('api.test:22'))).wouldDeny?.reason).toBe('port_not_allowed')
    expect(reasonOf(decideHost(audit, at('x.good.example:443')))).toBe('denied_by_rule')
  })
})

describe('a request', () => {
  const rules = [
    { host: 'api.test', methods: ['POST'], paths: ['/v1/messages', '/public/**'], credential: 'key' },
    { host: 'api.test', methods: ['POST'], paths: ['/public/secret'], action: 'deny' },
    { host: 'plain.test' },
    { host: 'plain.test', methods: ['GET'], foreignCredentials: 'strip' },
    { host: 'strict.test', foreignCredentials: 'deny' },
    { host: 'strict.test', foreignCredentials: 'allow' },
  ]
  const given = grant(rules)

  it('gets the credential of its rule', () => {
    const permit = permitOf(ask(given, { method: 'POST', path: '/v1/messages' }))
    expect([permit.credential, permit.foreignCredentials, permit.rule?.id]).toEqual(['key', 'deny', 'inline#1'])
  })

  it('may be answered in parts where every rule that gives it the credential says so', () => {
    const ranged = grant([
      { host: 'api.test', credential: 'key', ranges: true },
      { host: 'api.test', methods: ['POST'] },
      { host: 'api.test', paths: ['/whole'], credential: 'key' },
    ])
    expect(permitOf(ask(ranged, { path: '/x' })).ranges).toBe(true)
    expect(permitOf(ask(ranged, { path: '/x', method: 'POST' })).ranges).toBe(true)
    expect(permitOf(ask(ranged, { path: '/whole' })).ranges).toBe(false)
    expect(permitOf(ask(given, { method: 'POST', path: '/v1/messages' })).ranges).toBe(false)
  })

  it('gets its own cookies back where every rule that gives it the credential says so', () => {
    const jarred = grant([
      { host: 'api.test', credential: 'key', cookies: 'jar' },
      { host: 'api.test', methods: ['POST'] },
      { host: 'api.test', paths: ['/none'], credential: 'key' },
    ])
    expect(permitOf(ask(jarred, { path: '/x' })).cookies).toBe('jar')
    expect(permitOf(ask(jarred, { path: '/x', method: 'POST' })).cookies).toBe('jar')
    expect(permitOf(ask(jarred, { path: '/none' })).cookies).toBe('strip')
    expect(permitOf(ask(grant([{ host: 'plain.test' }]), { authority: 'plain.test:443' })).cookies).toBe('strip')
  })

  it.each<[Asked, string]>([
    [{ method: 'GET', path: '/v1/messages' }, 'method_not_allowed'],
    [{ method: 'POST', path: '/v1/files' }, 'path_not_allowed'],
    [{ method: 'POST', path: '/v1/messages/' }, 'path_not_allowed'],
    [{ method: 'WEBSOCKET', path: '/v1/messages' }, 'method_not_allowed'],
    [{ method: 'POST', path: '/public/secret' }, 'denied_by_rule'],
    [{ method: 'POST', path: '/public/../secret' }, 'ambiguous_path'],
    [{ method: 'POST', path: '/public/%2e%2e/secret' }, 'ambiguous_path'],
    [{ method: 'POST', path: '//public/x' }, 'ambiguous_path'],
    [{ method: 'POST', path: '/public%2fsecret' }, 'denied_by_rule'], // its other reading
    [{ method: 'POST', path: '/public%2fx' }, 'path_not_allowed'], // allowed in one reading only
    [{ method: 'POST', path: '/public/a%2fb' }, 'allowed'],
    [{ method: 'POST', path: '/v1/messages', query: 'beta=true' }, 'allowed'],
  ])('%j: %s', (asked, reason) => expect(reasonOf(ask(given, asked))).toBe(reason))

  it('with a credential is refused over plain HTTP', () => {
    const open = grant([{ host: 'api.test', ports: [80], credential: 'key' }])
    expect(reasonOf(ask(open, { authority: 'api.test:80', scheme: 'http' }))).toBe('credential_needs_tls')
  })

  it('for another authority than the permit is refused', () => {
    const permit: HostPermit = permitOf(decideHost(given, at('plain.test:443')))
    expect(reasonOf(decideRequest(given, permit, head({ authority: 'api.test:443' })))).toBe('authority_mismatch')
  })

  // SEC-26
  it.each<[string[], string | undefined, string]>([
    [['Authorization', 'Bearer attacker'], undefined, 'foreign_credential'],
    [['X_Api.Key', 'attacker'], undefined, 'foreign_credential'],
    [['Authorization', `Bearer ${signedBy('attacker')}`], undefined, 'foreign_credential'],
    [['Authorization', `Bearer ${signedBy(placeholder)}`], undefined, 'allowed'],
    [['Authorization', `Basic ${signedBy(placeholder)}`], undefined, 'foreign_credential'],
    [[], `jwt=${signedBy(placeholder)}`, 'foreign_credential'],
    [['x-api-key', placeholder], undefined, 'allowed'],
    [['Authorization', `Bearer ${placeholder}`], undefined, 'allowed'],
    [['Authorization', `Bearer ${placeholder}x`], undefined, 'foreign_credential'],
    [['Authorization', `Basic ${btoa(`x-access-token:${placeholder}`)}`], undefined, 'allowed'],
    [['Authorization', `Basic ${btoa(`attacker:${placeholder}`)}`], undefined, 'foreign_credential'],
    [['x-api-key', placeholder, 'Authorization', 'Bearer attacker'], undefined, 'foreign_credential'],
    [[], 'api_key=attacker', 'foreign_credential'],
    [[], 'a=1&%61ccess_token=attacker', 'foreign_credential'],
    [[], 'a=1;token=attacker', 'foreign_credential'],
    [[], `key=${placeholder}`, 'allowed'],
    [[], 'keyword=x', 'allowed'],
    [['X-CSRF-Token', 'x'], undefined, 'allowed'],
  ])('with %j and %s on a pinned host: %s', (fields, query, reason) => {
    const asked: Asked = { method: 'POST', path: '/v1/messages', fields, ...(query === undefined ? {} : { query }) }
    expect(reasonOf(ask(given, asked))).toBe(reason)
  })

  it('meets the strictest of several allows', () => {
    expect(permitOf(ask(given, { authority: 'plain.test:443' })).foreignCredentials).toBe('strip')
    expect(permitOf(ask(given, { authority: 'plain.test:443', method: 'PUT' })).foreignCredentials).toBe('allow')
    expect(permitOf(ask(given, { authority: 'strict.test:443' })).foreignCredentials).toBe('deny')
  })

  it('is judged by path only where a rule looks at paths', () => {
    expect(reasonOf(ask(given, { authority: 'plain.test:443', path: '/a/../b' }))).toBe('allowed')
  })

  it('on a host that is pinned takes no other account by a plain rule beside it (decision 11)', () => {
    const beside = grant([
      { host: 'api.test', methods: ['POST'], credential: 'key' },
      { host: 'api.test', methods: ['GET'] },
    ])
    expect(reasonOf(ask(beside, { fields: ['Authorization', 'Bearer attacker'] }))).toBe('foreign_credential')
    expect(permitOf(ask(beside, {})).credential).toBeNull()
  })

  it('in audit mode passes for method and path, never for an explicit deny, and gets no credential', () => {
    const audit = grant(rules, 'audit')
    const passed = permitOf(ask(audit, { method: 'PUT', path: '/v1/messages' }))
    expect([passed.wouldDeny?.reason, passed.credential]).toEqual(['method_not_allowed', null])
    expect(reasonOf(ask(audit, { method: 'POST', path: '/public/secret' }))).toBe('denied_by_rule')
    expect(reasonOf(ask(audit, { method: 'POST', path: '/a//b' }))).toBe('ambiguous_path')
    expect(reasonOf(ask(audit, { method: 'PUT', fields: ['Authorization', 'Bearer attacker'] }))).toBe(
      'foreign_credential',
    )
    for (const reason of auditable) expect(denyReasons[reason].status).toBe(403)
  })
})

describe('addresses', () => {
  const ips = (...texts: string[]): Ip[] => texts.map((text) => parseIp(text) ?? expect.fail(text))
  const none = () => false
  const decide = (rules: readonly object[], answers: Ip[], isOwn: (ip: Ip, port: number) => boolean = none) =>
    decideAddress(permitOf(decideHost(grant(rules), at('a.test:443'))), answers, isOwn)
  const open = [{ host: 'a.test' }]
  const pinned = [{ host: 'a.test', addresses: ['10.2.0.0/16', '127.0.0.0/8'] }]

  // IP-17, IP-18
  it.each<[object[], string[], string]>([
    [open, ['93.184.216.34'], 'allowed'],
    [open, ['93.184.216.34', '2606:4700::1'], 'allowed'],
    [open, ['64:ff9b::808:808'], 'allowed'],
    [open, [], 'address_not_public'],
    [open, ['127.0.0.1'], 'address_not_public'],
    [open, ['10.0.0.5'], 'address_not_public'],
    [open, ['::ffff:10.0.0.5'], 'address_not_public'],
    [open, ['64:ff9b::a00:5'], 'address_not_public'],
    [open, ['93.184.216.34', '127.0.0.1'], 'address_not_public'],
    [open, ['127.0.0.1', '93.184.216.34'], 'address_not_public'],
    [open, ['93.184.216.34', '::1'], 'address_not_public'],
    [pinned, ['10.2.3.4'], 'allowed'],
    [pinned, ['::ffff:10.2.3.4'], 'allowed'],
    [pinned, ['127.0.0.1'], 'allowed'],
    [pinned, ['10.3.0.1'], 'address_not_allowed'],
    [pinned, ['93.184.216.34'], 'address_not_allowed'], // a pin, public or not (decision 17)
    [pinned, ['10.2.3.4', '93.184.216.34'], 'address_not_allowed'],
    [[{ host: 'a.test', addresses: ['0.0.0.0/0'] }], ['169.254.169.254'], 'address_not_public'],
    [[{ host: 'a.test', addresses: ['0.0.0.0/0', '::/0'] }], ['fd00:ec2::254'], 'address_not_public'],
    [[{ host: 'a.test', addresses: ['0.0.0.0/0'] }], ['0.0.0.0'], 'address_not_public'],
    [
      [
        { host: 'a.test', addresses: ['10.0.0.0/8'] },
        { host: 'a.test', addresses: ['10.2.0.0/16'] },
      ],
      ['10.3.0.1'],
      'address_not_allowed',
    ],
  ])('of %j that are %j: %s', (rules, answers, reason) => expect(reasonOf(decide(rules, ips(...answers)))).toBe(reason)) // prettier-ignore

  it('that are our own are refused, in whatever form they come', () => {
    const isOwn = (ip: Ip, port: number) => ip.text === '127.0.0.1' && port === 443
    expect(reasonOf(decide(pinned, ips('127.0.0.1'), isOwn))).toBe('own_address')
    expect(reasonOf(decide(pinned, ips('::ffff:127.0.0.1'), isOwn))).toBe('own_address')
    expect(reasonOf(decide(pinned, ips('127.0.0.2'), isOwn))).toBe('allowed')
  })

  it('are carried by the permit, so that what is dialled is what was judged', () => {
    const answers = ips('93.184.216.34', '93.184.216.35')
    expect(permitOf(decide(open, answers)).addresses).toEqual(answers)
  })
})

describe('a credential of the client', () => {
  it.each([
    'Authorization',
    'authorization_',
    'HTTP_AUTHORIZATION',
    'X-Api-Key',
    'x_api_key',
    'api-key',
    'x-goog-api-key',
    'PRIVATE-TOKEN',
    'x-amz-security-token',
    'x-auth-token',
    'Ocp-Apim-Subscription-Key',
    'x-ms-authorization-auxiliary',
    'X-ApiToken',
    'Cf-Access-Jwt-Assertion',
  ])('is the field %s', (name) => expect(isCredentialField(name)).toBe(true)) // prettier-ignore
  it.each([
    'Accept',
    'Content-Type',
    'X-CSRF-Token',
    'Idempotency-Key',
    'Proxy-Authorization',
    'X-Request-Id',
    'Sec-WebSocket-Key',
  ])('is not the field %s', (name) => expect(isCredentialField(name)).toBe(false)) // prettier-ignore
  it.each(['key', 'api_key', 'APIKEY', 'access_token', 'sig', 'X-Amz-Signature', '_token_', 'x-api-token', 'jwt'])(
    'is the parameter %s',
    (name) => expect(isCredentialParameter(name)).toBe(true),
  )
  it.each(['q', 'page', 'keyword', 'signed', 'monkey', 'page_token', 'max_tokens'])('is not the parameter %s', (name) =>
    expect(isCredentialParameter(name)).toBe(false),
  )
})
