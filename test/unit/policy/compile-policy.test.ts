import { describe, expect, it } from 'vitest'
import { compilePolicy } from '../../../src/policy/compile-policy.ts'
import { parseDomainPattern } from '../../../src/policy/domain-pattern.ts'
import {
  type Issue,
  issueText,
  parsePolicy,
  type PlaceOf,
  type PolicySource,
} from '../../../src/policy/parse-policy.ts'
import { Policy } from '../../../src/policy/policy.ts'
import { cpuMs } from '../../support/cpu-ms.ts'

function source(name: string, body: object): PolicySource {
  const at: PlaceOf = () => ({ file: `${name}.yaml`, line: 1, column: 1 })
  const found = parsePolicy({ version: 1, name, ...body }, at)
  return Array.isArray(found) ? expect.fail(found.map(issueText).join('\n')) : found
}

function hosts(...texts: string[]) {
  const patterns = texts.map((text) => {
    const pattern = parseDomainPattern(text)
    return typeof pattern === 'string' ? expect.fail(pattern) : pattern
  })
  return { hosts: patterns, unsafeWildcardHosts: texts.some((text) => text.includes('*')) }
}

const credentials = new Map([
  ['one', hosts('api.test.example')],
  ['two', hosts('api.test.example')],
  ['wide', hosts('**.wide.example')],
])

function compiled(body: object, others: Record<string, object> = {}): Policy | Issue[] {
  const own = source('own', body)
  const sources = new Map([
    [own.name, own],
    ...Object.entries(others).map(([name, other]) => [name, source(name, other)] as const),
  ])
  return compilePolicy(own, { sources, credentials, presets: new Set(['preset']), version: 7, label: 'own' })
}

function policyOf(found: Policy | Issue[] | null): Policy {
  return found instanceof Policy ? found : expect.fail(JSON.stringify(found))
}

function messages(found: Policy | Issue[]): string[] {
  return Array.isArray(found) ? found.map(({ path, message }) => `${path}: ${message}`) : []
}

describe('extends', () => {
  it('joins rules near and far, each once, and takes the smallest limit of all', () => {
    const policy = policyOf(
      compiled(
        { extends: ['a', 'b'], rules: [{ host: 'own.test' }], limits: { requestsPerMinute: 50 } },
        {
          a: { extends: ['c'], rules: [{ host: 'a.test' }], limits: { requestsPerMinute: 10, uploadBytes: '1MiB' } },
          b: { extends: ['c'], mode: 'audit', limits: { requestsPerMinute: 70, uploadBytes: '2MiB' } },
          c: { rules: [{ host: 'c.test' }], limits: { idleTimeout: '5s' } },
        },
      ),
    )
    expect(policy.rules.map(({ id }) => id)).toEqual(['own#1', 'a#1', 'c#1'])
    expect(policy.limits).toMatchObject({ requestsPerMinute: 10, uploadBytes: 2 ** 20, idleTimeoutMs: 5000 })
    expect([policy.mode, policy.version, policy.label]).toEqual(['enforce', 7, 'own'])
  })

  it('in a circle is an issue wherever it closes, and so is a name that is not there', () => {
    expect(messages(compiled({ extends: ['a'] }, { a: { extends: ['b'] }, b: { extends: ['a', 'nowhere'] } }))).toEqual(
      ['extends[0]: policies extend each other in a circle: a → b → a', 'extends[1]: there is no policy "nowhere"'],
    )
  })

  it('brings the contradictions between policies to light', () => {
    const tunnel = { rules: [{ host: '*.x.example', tls: 'tunnel' }] }
    const inside = { rules: [{ action: 'deny', host: 'a.x.example', paths: ['/x'] }] }
    expect(messages(compiled({ extends: ['a', 'b'] }, { a: tunnel, b: inside }))).toHaveLength(1)
    const elsewhere = { rules: [{ action: 'deny', host: 'a.y.example', paths: ['/x'] }] }
    expect(messages(compiled({ extends: ['a', 'b'] }, { a: tunnel, b: elsewhere }))).toEqual([])
  })
})

describe('rules together', () => {
  const api = { host: 'api.test.example', credential: 'one' }
  it.each<[string, object[], number]>([
    ['a credential for its host', [api], 0],
    ['two credentials for all of a host', [api, { ...api, credential: 'two' }], 1],
    [
      'two, apart by method',
      [
        { ...api, methods: ['GET'] },
        { ...api, credential: 'two', methods: ['POST'] },
      ],
      0,
    ],
    ['two, apart by port', [api, { ...api, credential: 'two', ports: [8443] }], 0],
    [
      'two, apart by path',
      [
        { ...api, paths: ['/a'] },
        { ...api, credential: 'two', paths: ['/b'] },
      ],
      0,
    ],
    [
      'two, with a path of both',
      [
        { ...api, paths: ['/a/*'] },
        { ...api, credential: 'two', paths: ['/a/b'] },
      ],
      1,
    ],
    [
      'two, apart by query',
      [
        { ...api, query: { a: '1' } },
        { ...api, credential: 'two', query: { a: '2' } },
      ],
      0,
    ],
    [
      'two, with a query of both',
      [
        { ...api, query: { a: '1' } },
        { ...api, credential: 'two', query: { b: '2' } },
      ],
      1,
    ],
    ['the same credential twice', [api, { ...api, methods: ['GET'] }], 0],
    ['a credential on a wildcard that says it is unsafe', [{ host: '*.wide.example', credential: 'wide' }], 0],
    ['a credential wider than its hosts', [{ host: '**.example.org', credential: 'wide' }], 1],
    ['a tunnel alone', [{ host: 'a.test', tls: 'tunnel' }, { host: 'a.test' }], 0],
    [
      'a tunnel beside methods',
      [
        { host: 'a.test', tls: 'tunnel' },
        { host: 'a.test', methods: ['GET'] },
      ],
      1,
    ],
    [
      'a tunnel beside methods on another port',
      [
        { host: 'a.test', tls: 'tunnel', ports: [22] },
        { host: 'a.test', methods: ['GET'] },
      ],
      0,
    ],
    [
      'a tunnel beside interception',
      [
        { host: 'a.test', tls: 'tunnel' },
        { host: '**.a.test', tls: 'intercept' },
        { host: '*.good.example', tls: 'intercept' },
      ],
      1,
    ],
    [
      'a tunnel beside strip',
      [
        { host: 'a.test', tls: 'tunnel' },
        { host: 'a.test', foreignCredentials: 'strip' },
      ],
      1,
    ],
    [
      'a tunnel beside allow',
      [
        { host: 'a.test', tls: 'tunnel' },
        { host: 'a.test', foreignCredentials: 'allow' },
      ],
      0,
    ],
    [
      'a tunnel beside a deny of the port',
      [
        { host: 'a.test', tls: 'tunnel' },
        { host: 'a.test', action: 'deny', ports: [80] },
      ],
      0,
    ],
    [
      'a tunnel beside a deny of methods',
      [
        { host: 'a.test', tls: 'tunnel' },
        { host: 'a.test', action: 'deny', methods: ['PUT'] },
      ],
      1,
    ],
    [
      'a tunnel beside a credential of its name on another port',
      [{ host: 'api.test.example', tls: 'tunnel', ports: [22] }, api],
      1,
    ],
  ])('%s', (_, rules, count) => {
    expect(messages(compiled({ rules }))).toHaveLength(count)
  }) // prettier-ignore

  it('may use a credential that is not there in a shipped policy, and only there', () => {
    const rules = [{ host: 'x.test', credential: 'unfilled' }]
    expect(messages(compiled({ extends: ['preset'] }, { preset: { rules } }))).toEqual([])
    expect(messages(compiled({ extends: ['other'] }, { other: { rules } }))).toHaveLength(1)
    expect(messages(compiled({ rules }))).toHaveLength(1)
  })

  it('may be a hundred thousand, and are found as fast as ten', () => {
    const rules = Array.from({ length: 100_000 }, (_, i) => ({
      host: `${i % 2 ? '*.' : ''}h${i}.example.org`,
      methods: ['GET'],
    }))
    const before = cpuMs()
    const policy = policyOf(compiled({ rules: [...rules, { host: 'tunnel.example.org', tls: 'tunnel' }] }))
    expect(cpuMs() - before).toBeLessThan(8000)
    expect(policy.rules).toHaveLength(100_001)
  })

  it('are a thousand for one host at most', () => {
    const rules = Array.from({ length: 1001 }, (_, i) => ({ host: 'a.test', paths: [`/${i}`] }))
    expect(messages(compiled({ rules }))).toEqual(['rules[1000].host: more than 1000 rules for "a.test"'])
    expect(messages(compiled({ rules: rules.slice(1) }))).toEqual([])
  })
})
