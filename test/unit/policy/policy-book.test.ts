import { describe, expect, it } from 'vitest'
import { parseDomainPattern } from '../../../src/policy/domain-pattern.ts'
import {
  type Issue,
  issueText,
  parsePolicy,
  type PlaceOf,
  type PolicySource,
} from '../../../src/policy/parse-policy.ts'
import { PolicyBook } from '../../../src/policy/policy-book.ts'
import { Policy } from '../../../src/policy/policy.ts'

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

function policyOf(found: Policy | Issue[] | null): Policy {
  return found instanceof Policy ? found : expect.fail(JSON.stringify(found))
}

function messages(found: Policy | Issue[]): string[] {
  return Array.isArray(found) ? found.map(({ path, message }) => `${path}: ${message}`) : []
}

describe('the book', () => {
  const shipped = source('shipped', { rules: [{ host: 'shipped.test', credential: 'slot' }] })
  const newBook = () => new PolicyBook({ presets: [shipped], credentials })

  it('allows nothing before it is filled', () => {
    expect(newBook().get('shipped')).toBeNull()
    expect(newBook().list()).toEqual([])
  })

  it('counts a version up only when the content changes, and keeps what did not change', () => {
    const book = newBook()
    const told: (readonly string[])[] = []
    const stop = book.onChange((names) => told.push(names))
    const a = (host: string) => source('a', { rules: [{ host }] })
    const b = source('b', { extends: ['a'] })
    expect(book.replace([a('1.test'), b])).toEqual([])
    const first = policyOf(book.get('b'))
    book.replace([a('1.test'), b])
    expect(book.get('b')).toBe(first)
    book.replace([a('2.test'), b])
    expect([policyOf(book.get('a')).version, policyOf(book.get('b')).version]).toEqual([2, 2])
    expect(policyOf(book.get('shipped')).version).toBe(1)
    book.replace([])
    book.replace([a('2.test')])
    expect(policyOf(book.get('a')).version).toBe(3)
    stop()
    book.replace([])
    expect(told).toEqual([['shipped', 'a', 'b'], ['a', 'b'], ['a', 'b'], ['a']])
  }) // prettier-ignore

  it.each<object>([
    { ports: [443] },
    { methods: ['GET'] },
    { paths: ['/a'] },
    { query: { a: 'b' } },
    { headers: { 'x-a': ['b'] } },
    { body: { model: ['a'] } },
    { set: { 'X-A': 'b' } },
    { addresses: ['10.0.0.0/8'] },
    { tls: 'intercept' },
    { foreignCredentials: 'deny' },
    { unsafeUncheckedBody: true },
    { credential: 'key' },
    { credential: 'key', ranges: true },
    { credential: 'key', cookies: 'jar' },
  ])('is another version with a rule that says %j', (said) => {
    const book = new PolicyBook({ presets: [], credentials: new Map([['key', hosts('a.test')]]) })
    const before = 'credential' in said ? { credential: 'key' } : {}
    const rule = Object.keys(said).length === 1 ? {} : before
    expect(book.replace([source('a', { rules: [{ host: 'a.test', ...rule }] })])).toEqual([])
    expect(book.replace([source('a', { rules: [{ host: 'a.test', ...rule, ...said }] })])).toEqual([])
    expect(policyOf(book.get('a')).version).toBe(2)
  })

  it('counts on from the versions of before: the same for the same, the next for another', () => {
    const before = newBook()
    const a = (host: string) => source('a', { rules: [{ host }] })
    before.replace([a('1.test')])
    before.replace([a('2.test'), source('gone', {})])
    const next = (host: string) => {
      const book = new PolicyBook({ presets: [shipped], credentials, versions: before.versions() })
      book.replace([a(host)])
      return policyOf(book.get('a')).version
    }
    expect([next('2.test'), next('1.test'), next('3.test')]).toEqual([2, 3, 3])
  })

  it('takes a set whole or not at all', () => {
    const book = newBook()
    book.replace([source('a', { rules: [{ host: '1.test' }] })])
    const kept = book.get('a')
    const issues = book.replace([source('a', { rules: [{ host: '2.test' }] }), source('b', { extends: ['none'] })])
    expect(issues.map(({ file }) => file)).toEqual(['b.yaml'])
    expect(book.get('a')).toBe(kept)
    expect(book.get('b')).toBeNull()
    expect(Array.isArray(book.compileInline({ extends: ['b'] }))).toBe(true)
  })

  it('refuses a name that is taken, and to lose one that is in use', () => {
    const book = newBook()
    expect(book.replace([source('shipped', {})])[0]?.message).toContain('is taken')
    expect(book.replace([source('a', {}), source('a', {})])[0]?.message).toContain('is taken')
    expect(book.replace([source('a', {})])).toEqual([])
    expect(book.replace([], new Set(['a', 'shipped', 'never-was']))[0]?.message).toBe(
      '"a" is gone, but sessions use it',
    )
    expect(book.get('a')).not.toBeNull()
  })

  it('tells a mistake once, however many policies extend it', () => {
    const issues = newBook().replace([
      source('a', { rules: [{ host: 'x.test', credential: 'none' }] }),
      source('b', { extends: ['a'] }),
      source('c', { extends: ['b'] }),
    ])
    expect(issues).toHaveLength(1)
  })

  it('compiles an inline policy that extends named ones, labelled inline', () => {
    const book = newBook()
    book.replace([source('a', { rules: [{ host: 'a.test', addresses: ['10.0.0.0/8', '10.0.0.0/8'] }], mode: 'audit' })])
    const policy = policyOf(
      book.compileInline({
        name: 'mine',
        extends: ['a', 'shipped'],
        rules: [{ host: 'api.test.example', credential: 'one' }],
      }),
    )
    expect([policy.name, policy.label, policy.version]).toEqual(['mine', 'inline', 1])
    const { addresses, ...uses } = book.usesOf(policy)
    expect(uses).toEqual({ extends: ['a', 'shipped'], credentials: ['one', 'slot'], mode: 'enforce' })
    expect(addresses.map(({ text }) => text)).toEqual(['10.0.0.0/8'])
    expect(book.list().map(({ name }) => name)).toEqual(['a', 'shipped'])
  })

  it('does not let an inline policy use a slot of its own, or pass for a shipped one', () => {
    const book = newBook()
    book.replace([])
    expect(
      messages(book.compileInline({ name: 'shipped', rules: [{ host: 'x.test', credential: 'slot' }] })),
    ).toHaveLength(1)
    expect(messages(book.compileInline(null))).toHaveLength(1)
  })
})
