import { expect, test } from 'vitest'
import { CredentialBook } from '../../../src/credentials/credential-book.ts'
import { parseCredentials } from '../../../src/credentials/credential-schema.ts'
import { parseSecret, type Secret } from '../../../src/credentials/secret.ts'
import { createWithNeighbours } from '../../../src/credentials/neighbour-secrets.ts'
import { parseHost } from '../../../src/net/host.ts'

function bench() {
  const entry = { kind: 'bearer', secret: { env: 'KEY' } }
  const parsed = parseCredentials([
    { ...entry, name: 'one', hosts: ['a.test', 'b.test'] },
    { ...entry, name: 'two', hosts: ['b.test'] },
    { ...entry, name: 'wide', hosts: ['*.b.test', 'a.b.test'], unsafeWildcardHosts: true },
    { ...entry, name: 'deep', hosts: ['a.b.test'] },
    { ...entry, name: 'alone', hosts: ['c.test'] },
  ])
  if (parsed.kind === 'issues') throw new Error(JSON.stringify(parsed.issues))
  const { credentials } = parsed
  const world = { variable: () => undefined, now: () => 0 }
  const book = new CredentialBook({ credentials, placeholderKey: Buffer.alloc(32), world, log: () => undefined })
  const withNeighbours = createWithNeighbours(book)
  return (name: string, host: string, own: readonly Secret[]): readonly string[] => {
    const credential = book.get(name)
    const at = parseHost(host)
    if (credential === undefined || at === null) return expect.fail(`${name} ${host}`)
    const all = withNeighbours(credential, at, own)
    if (name === 'alone') expect(all).toBe(own)
    return all.map((one) => one.reveal())
  }
}

function secretOf(text: string): Secret {
  const secret = parseSecret(text.padEnd(16, '.'), { unsafeShortSecret: false })
  return typeof secret === 'string' ? expect.fail(secret) : secret
}

test('what others put on at the same host is looked for too: what they put on last, each once', () => {
  const ask = bench()
  const [one, two, newer, deep] = ['one', 'two', 'newer', 'deep'].map((text) => secretOf(text))
  if (one === undefined || two === undefined || newer === undefined || deep === undefined) return expect.fail()
  const texts = (...all: Secret[]): string[] => all.map((secret) => secret.reveal())
  expect(ask('one', 'a.test', [one])).toEqual(texts(one))
  expect(ask('two', 'b.test', [two])).toEqual(texts(two, one))
  expect(ask('one', 'b.test', [one])).toEqual(texts(one, two))
  expect(ask('one', 'a.test', [one])).toEqual(texts(one))
  expect(ask('two', 'b.test', [newer])).toEqual(texts(newer, one))
  expect(ask('one', 'b.test', [one])).toEqual(texts(one, newer))
  expect(ask('deep', 'a.b.test', [deep])).toEqual(texts(deep))
  expect(ask('wide', 'a.b.test', [deep, one])).toEqual(texts(deep, one))
  expect(ask('wide', 'x.b.test', [two])).toEqual(texts(two))
  expect(ask('deep', 'a.b.test', [deep])).toEqual(texts(deep, two))
  expect(ask('alone', 'c.test', [two])).toEqual(texts(two))
})
