import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Paint } from '../../../src/cli/paint.ts'
import { runSummary } from '../../../src/cli/run-summary.ts'
import { type Group, RunTally } from '../../../src/cli/run-tally.ts'
import { rulesYaml, suggestRules } from '../../../src/cli/suggest-rules.ts'
import { parseYaml } from '../../../src/config/yaml.ts'
import { explainRequest, parseQuestion } from '../../../src/policy/explain.ts'
import { PolicyBook } from '../../../src/policy/policy-book.ts'
import { Policy } from '../../../src/policy/policy.ts'
import { recordOf } from './record.ts'

const plain: Paint = (_style, text) => text

function denied(change: Partial<Group>): Group {
  return {
    scheme: 'https',
    host: 'api.example.org',
    port: 443,
    method: 'GET',
    path: '/v1',
    reason: 'host_not_allowed',
    count: 1,
    ...change,
  }
}

/** The lines, pasted into a policy file. */
function pasted(groups: readonly Group[]): Policy {
  const yaml = parseYaml(`rules:\n${rulesYaml(suggestRules(groups).rules)}`, 'pasted.yaml')
  if (yaml.kind === 'issues') throw new Error(JSON.stringify(yaml.issues))
  const policy = new PolicyBook({ presets: [], credentials: new Map() }).compileInline(yaml.value)
  if (!(policy instanceof Policy)) throw new Error(JSON.stringify(policy))
  return policy
}

function verdict(policy: Policy, { scheme, host, port, method, path }: Group): string {
  const question = parseQuestion(`${method ?? 'GET'} ${scheme ?? 'https'}://${host}:${port ?? 443}${path ?? '/'}`)
  if (typeof question === 'string') throw new Error(question)
  return explainRequest({ policy, mode: 'enforce', placeholders: new Map() }, question).verdict
}

describe('the tally', () => {
  test('equal requests are one group, and loops count as often as they were', () => {
    const tally = new RunTally()
    const deny = recordOf({ outcome: 'deny', reason: 'host_not_allowed' })
    for (const record of [deny, { ...deny, repeated: 4 }, { ...deny, path: '/other' }, recordOf(), recordOf()])
      tally.note(record)
    const { denied: groups, allowed } = tally.result()
    expect(groups.map(({ path, count }) => [path, count])).toEqual([
      ['/v1', 5],
      ['/other', 1],
    ])
    expect(allowed).toEqual([{ host: 'api.example.org', port: 443, count: 2, bytesUp: 200, bytesDown: 4096 }])
  })

  test('what opens, and a first request without proxy credentials, is not counted', () => {
    const tally = new RunTally()
    tally.note(recordOf({ event: 'open' }))
    tally.note(recordOf({ outcome: 'challenge' }))
    expect(runSummary(tally.result(), plain)).toBe('sallyport: nothing asked for the network\n')
  })

  test('a command that asks for ever new paths costs bounded memory, and the rest is counted', () => {
    const tally = new RunTally()
    for (let path = 0; path < 5000; path++)
      tally.note(recordOf({ outcome: 'deny', reason: 'path_not_allowed', path: `/${path}` }))
    const { denied: groups, more } = tally.result()
    expect(groups.length + more).toBe(5000)
    expect(groups.length).toBeLessThanOrEqual(2000)
  })
})

describe('the lines to paste', () => {
  test.each([
    ['an unknown host', denied({}), '  - host: "api.example.org"\n    methods: [GET, HEAD]\n'],
    [
      'a refused CONNECT',
      denied({ method: null, path: null }),
      '  - host: "api.example.org"\n    methods: [GET, HEAD]\n',
    ],
    ['a writing method', denied({ method: 'POST' }), '  - host: "api.example.org"\n    methods: [POST]\n'],
    [
      'an unusual port',
      denied({ port: 8443, reason: 'port_not_allowed' }),
      '  - host: "api.example.org"\n    ports: [8443]\n    methods: [GET, HEAD]\n',
    ],
    [
      'a path',
      denied({ method: 'POST', reason: 'path_not_allowed' }),
      '  - host: "api.example.org"\n    methods: [POST]\n    paths:\n      - "/v1"\n',
    ],
  ])('%s', (_name, group, expected) => {
    expect(rulesYaml(suggestRules([group]).rules)).toBe(expected)
    expect(verdict(pasted([group]), group)).toBe('allow')
  })

  test.each(['/**', '/a/*', '/x**y'])(
    'a denied %s is no pattern to suggest: it would allow more than was asked',
    (path) => {
      expect(suggestRules([denied({ path, reason: 'path_not_allowed' })]).rules).toEqual([])
    },
  )

  test('one rule for one host, with all methods and paths that were seen', () => {
    const groups = [denied({}), denied({ method: 'POST' }), denied({ host: 'b.example.org' })]
    expect(suggestRules(groups).rules).toEqual([
      { host: 'api.example.org', methods: ['GET', 'HEAD', 'POST'] },
      { host: 'b.example.org', methods: ['GET', 'HEAD'] },
    ])
  })

  test('two methods on two paths do not become four', () => {
    const groups = [
      denied({ reason: 'path_not_allowed' }),
      denied({ reason: 'path_not_allowed', method: 'POST', path: '/v2' }),
    ]
    expect(verdict(pasted(groups), denied({ method: 'POST', path: '/v1' }))).toBe('deny')
  })

  test.each(['denied_by_rule', 'address_not_public', 'foreign_credential', 'malformed_request', 'own_address'])(
    '%s gets none: no rule should allow it',
    (reason) => {
      expect(suggestRules([denied({ reason })])).toMatchObject({ rules: [], without: [{ reason }] })
    },
  )

  test('whatever was denied, the lines load', () => {
    const host = fc.oneof(
      fc.domain(),
      fc.ipV4(),
      fc.string(),
      fc.constantFrom('*', '*.com', 'com', '[::1]', 'a"b', 'x: y'),
    )
    const path = fc.oneof(
      fc.string({ maxLength: 12 }).map((text) => `/${text}`),
      fc.string(),
      fc.constantFrom('/../x', '/a//b', '/*', '/%2e', '/"', '/a: b #c', '/{x}'),
    )
    const group = fc.record({
      scheme: fc.constantFrom('http' as const, 'https' as const),
      host,
      port: fc.option(fc.integer({ min: 1, max: 65_535 })),
      method: fc.option(fc.constantFrom('GET', 'POST', 'PUT', 'NONSENSE', 'WEBSOCKET')),
      path: fc.option(path),
      reason: fc.constantFrom('host_not_allowed', 'port_not_allowed', 'method_not_allowed', 'path_not_allowed'),
      count: fc.constant(1),
    })
    fc.assert(
      fc.property(fc.array(group, { maxLength: 8 }), (groups) => {
        const { rules } = suggestRules(groups)
        if (rules.length > 0) pasted(groups)
      }),
      { numRuns: 100 },
    )
  })
})

test('the summary has counts, reasons and the lines', () => {
  const tally = new RunTally()
  tally.note(recordOf())
  tally.note(
    recordOf({
      outcome: 'deny',
      reason: 'host_not_allowed',
      host: 'pypi.example.com',
      method: null,
      path: null,
      kind: 'connect',
    }),
  )
  expect(runSummary(tally.result(), plain)).toBe(`sallyport: what the command asked of the network
allowed: 1
  1x  api.example.org:443  100 B up, 2.0 KiB down
denied: 1
  1x  pypi.example.com:443  host_not_allowed
these lines under "rules:" of a policy would allow it:
  - host: "pypi.example.com"
    methods: [GET, HEAD]
`)
})

test('what audit mode let through is told apart, and gets its lines too', () => {
  const tally = new RunTally()
  tally.note(recordOf({ outcome: 'audit', reason: 'method_not_allowed', method: 'POST' }))
  expect(runSummary(tally.result(), plain)).toBe(`sallyport: what the command asked of the network
let through by audit mode: 1
  1x  POST https://api.example.org/v1  method_not_allowed
these lines under "rules:" of a policy would allow it:
  - host: "api.example.org"
    methods: [POST]
    paths:
      - "/v1"
`)
})
