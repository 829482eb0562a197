/** The compiled policy against a model that anyone can check by reading. */

import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { explainRequest } from '../../../src/policy/explain.ts'
import { parsePolicy, type PlaceOf } from '../../../src/policy/parse-policy.ts'
import { PolicyBook } from '../../../src/policy/policy-book.ts'
import { parseQuestion } from '../../../src/policy/question.ts'
import type { Policy } from '../../../src/policy/policy.ts'

const nowhere: PlaceOf = () => ({ file: 'f', line: 1, column: 1 })

type RawRule = { action?: 'allow' | 'deny'; host: string; ports?: number[]; methods?: string[]; paths?: string[] }
type Asked = { method: string; scheme: string; host: string; port: number; path: string }

function compile(rules: readonly RawRule[]): Policy {
  const book = new PolicyBook({ presets: [], credentials: new Map() })
  const policy = book.compileInline({ rules })
  return Array.isArray(policy) ? expect.fail(JSON.stringify(policy)) : policy
}

function verdict(policy: Policy, { method, scheme, host, port, path }: Asked): string {
  const question = parseQuestion(`${method} ${scheme}://${host}:${port}${path}`)
  if (typeof question === 'string') return expect.fail(question)
  return explainRequest({ policy, mode: 'enforce', placeholders: new Map() }, question).verdict
}

function naive(rules: readonly RawRule[], asked: Asked): string {
  const matching = rules.filter((rule) => {
    const ports = rule.ports ?? (rule.action === 'deny' ? [asked.port] : [80, 443])
    const paths = (rule.paths ?? ['/**']).map((text) => new RegExp(`^${pathExpression(text)}$`))
    return (
      hostFits(rule.host, asked.host) &&
      ports.includes(asked.port) &&
      (rule.methods ?? [asked.method]).includes(asked.method) &&
      paths.some((path) => path.test(asked.path))
    )
  })
  if (matching.some(({ action }) => action === 'deny')) return 'deny'
  return matching.length > 0 ? 'allow' : 'deny'
}

function hostFits(text: string, name: string): boolean {
  if (text.startsWith('**.')) return name === text.slice(3) || name.endsWith(text.slice(2))
  if (text.startsWith('*.')) return name.endsWith(text.slice(1))
  const [first = '', ...rest] = text.split('*')
  return rest.length === 0
    ? name === text
    : name.startsWith(first) &&
        /^[^.]*$/.test(name.slice(first.length, -rest.join('').length)) &&
        name.endsWith(rest.join('')) // prettier-ignore
}

const pathExpression = (text: string) => text.replaceAll('**', '#').replaceAll('*', '[^/]+').replaceAll('#', '.*')

const host = fc.constantFrom(
  'good.test',
  'a.good.test',
  'b.a.good.test',
  'evilgood.test',
  'ab.good.test',
  'good.test.evil.test',
  'other.test',
)
const hostPattern = fc.oneof(
  host,
  fc.constantFrom('*.good.test', '**.good.test', '*.a.good.test', 'a*.good.test', '**.evil.test'),
)
const port = fc.constantFrom(80, 443, 8443)
const method = fc.constantFrom('GET', 'HEAD', 'POST', 'DELETE')
const path = fc.constantFrom('/', '/v1', '/v1/a', '/v1/a/b', '/v2/a', '/v1x')
const pathPattern = fc.oneof(path, fc.constantFrom('/**', '/*', '/v1/*', '/v1/**', '/*/a'))
const rule: fc.Arbitrary<RawRule> = fc.record(
  {
    action: fc.constantFrom('allow' as const, 'allow' as const, 'deny' as const),
    host: hostPattern,
    ports: fc.array(port, { minLength: 1, maxLength: 2 }),
    methods: fc.array(method, { minLength: 1, maxLength: 3 }),
    paths: fc.array(pathPattern, { minLength: 1, maxLength: 2 }),
  },
  { requiredKeys: ['host'] },
)
const rules = fc.array(rule, { maxLength: 8 })
// Over plain HTTP every request is judged by itself whatever the rules; over https only where some rule looks inside.
const asked: fc.Arbitrary<Asked> = fc.record({ method, scheme: fc.constantFrom('http', 'https'), host, port, path })

describe('for any rules and any request', () => {
  it('the compiled policy says what the naive one says', () => {
    fc.assert(
      fc.property(rules, fc.array(asked, { minLength: 5, maxLength: 5 }), (written, requests) => {
        const policy = compile(written)
        for (const request of requests) expect(verdict(policy, request)).toBe(naive(written, request))
      }),
      { numRuns: 1500 },
    )
  })

  it('the order of rules never matters', () => {
    const shuffled = rules.chain((all) =>
      fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
    )
    fc.assert(
      fc.property(shuffled, asked, ([one, other], request) => {
        expect(verdict(compile(one), request)).toBe(verdict(compile(other), request))
      }),
      { numRuns: 500 },
    )
  })

  it('one more deny rule never allows more, one more allow rule never denies more', () => {
    fc.assert(
      fc.property(rules, rule, asked, (before, added, request) => {
        const [old, next] = [verdict(compile(before), request), verdict(compile([...before, added]), request)]
        if (added.action === 'deny') expect(old === 'deny' && next === 'allow').toBe(false)
        else expect(old === 'allow' && next === 'deny').toBe(false)
      }),
      { numRuns: 500 },
    )
  })

  it('no rules allow nothing (POL-01)', () => {
    const none = parsePolicy({ version: 1, name: 'none' }, nowhere)
    expect(Array.isArray(none)).toBe(false)
    fc.assert(fc.property(asked, (request) => verdict(compile([]), request) === 'deny'))
  })
})
