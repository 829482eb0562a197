import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { credentialsSchema, parseCredentials } from '../../../src/credentials/credential-schema.ts'

const entry = {
  name: 'anthropic',
  kind: 'header',
  header: 'x-api-key',
  secret: { env: 'ANTHROPIC_API_KEY' },
  hosts: ['api.anthropic.test'],
  placeholder: { env: 'ANTHROPIC_API_KEY', like: 'sk-ant-api03-{95}AA' },
}

function issuesOf(raw: unknown): string[] {
  const parsed = parseCredentials(raw)
  return parsed.kind === 'issues' ? parsed.issues.map(({ path, message }) => `${path}: ${message}`) : []
}

test('the entry of the manual becomes a credential', () => {
  expect(parseCredentials([entry])).toMatchObject({
    kind: 'parsed',
    credentials: [
      {
        name: 'anthropic',
        kind: 'header',
        secret: { source: 'env', variables: ['ANTHROPIC_API_KEY'] },
        hosts: [{ kind: 'exact', host: 'api.anthropic.test' }],
        placeholder: { env: 'ANTHROPIC_API_KEY', shape: ['sk-ant-api03-', 95, 'AA'] },
        unsafeShortSecret: false,
        unsafeWildcardHosts: false,
      },
    ],
  })
})

describe('what is wrong is told with its place', () => {
  const cases: Readonly<Record<string, readonly [raw: unknown, issue: RegExp]>> = {
    'no list': [{}, /^credentials: is not a list/],
    'no group of keys': [['x'], /^credentials\[0\]: is not a group/],
    'no kind': [[{ ...entry, kind: undefined }], /\[0\]\.kind: is not a kind/],
    'an unknown kind': [[{ ...entry, kind: 'toString' }], /\[0\]\.kind: is not a kind/],
    'a key of another kind': [[{ ...entry, username: 'x' }], /\[0\]\.username: unknown key/],
    'a key of the prototype': [[{ ...entry, toString: 1 }], /\[0\]\.toString: unknown key/],
    'an unknown key inside': [[{ ...entry, placeholder: { env: 'A', x: 1 } }], /placeholder\.x: unknown key/],
    'a name in capitals': [[{ ...entry, name: 'A' }], /\[0\]\.name/],
    'no secret': [[{ ...entry, secret: undefined }], /\[0\]\.secret: does not say where/],
    'a secret written down': [[{ ...entry, secret: 'sk-live-value' }], /\[0\]\.secret: does not say where/],
    'a value under secret': [[{ ...entry, secret: { value: 'sk-live-value' } }], /\[0\]\.secret: does not say where/],
    'two sources': [[{ ...entry, secret: { env: 'A', file: '/a' } }], /\[0\]\.secret: does not say where/],
    'a secret where its variable belongs': [[{ ...entry, secret: { env: 'sk-live-value' } }], /\[0\]\.secret\.env/],
    'a relative file': [[{ ...entry, secret: { file: 'a' } }], /\[0\]\.secret\.file/],
    'no hosts': [[{ ...entry, hosts: [] }], /\[0\]\.hosts/],
    'a host that is none': [[{ ...entry, hosts: ['https://a.test'] }], /hosts\[0\]/],
    'a wildcard': [[{ ...entry, hosts: ['a.test', '*.a.test'] }], /hosts\[1\]: is a wildcard/],
    'any host, unsafe or not': [[{ ...entry, hosts: ['*'], unsafeWildcardHosts: true }], /hosts\[0\]: would send/],
    'a placeholder that can be guessed': [
      [{ ...entry, placeholder: { env: 'A', like: 'sk-{4}' } }],
      /placeholder\.like/,
    ],
    'something else required': [[{ ...entry, require: 'x' }], /\[0\]\.require/],
    'a placeholder required and none given': [
      [{ ...entry, placeholder: undefined, require: 'placeholder' }],
      /\[0\]: "placeholder" is missing/,
    ],
    'a kind that swaps, and nothing to swap': [
      [{ ...entry, header: undefined, kind: 'placeholder', in: [{ basic: true }], placeholder: undefined }],
      /\[0\]: "placeholder" is missing/,
    ],
    'a source with a key of another': [[{ ...entry, secret: { env: 'A', ttl: '5m' } }], /secret\.ttl: unknown key/],
    'a command without its ttl': [[{ ...entry, secret: { command: ['sk-live-value'] } }], /secret: "ttl" is missing/],
    'one name twice': [[entry, entry], /\[1\]\.name: is the name of credentials\[0\]/],
  }
  for (const [what, [raw, issue]] of Object.entries(cases)) {
    test(what, () => {
      expect(issuesOf(raw)).toContainEqual(expect.stringMatching(issue))
      expect(JSON.stringify(parseCredentials(raw))).not.toContain('sk-live-value')
    })
  }

  test('everything at once', () => {
    const worst = { kind: 'header', headr: 'x', secret: 'x', hosts: ['*.a.test'], placeholder: { env: 'A', like: 'x' } }
    expect(issuesOf([worst, { ...entry, kind: 'x' }]).map((line) => line.split(':')[0])).toEqual([
      'credentials[0].headr',
      'credentials[0]',
      'credentials[0].secret',
      'credentials[0]',
      'credentials[0].hosts[0]',
      'credentials[0].placeholder.like',
      'credentials[1].kind',
    ])
  })
})

test('a wildcard is taken where the entry says that it is unsafe', () => {
  expect(parseCredentials([{ ...entry, hosts: ['*.a.test'], unsafeWildcardHosts: true }]).kind).toBe('parsed')
})

test('the schema for editors agrees about the entry, and about a literal secret', () => {
  const validate = new Ajv({ strict: true, allowUnionTypes: true }).compile(credentialsSchema)
  expect(validate([entry])).toBe(true)
  expect(validate([{ ...entry, secret: 'sk-live-value' }])).toBe(false)
  expect(validate([{ ...entry, extra: 1 }])).toBe(false)
})
