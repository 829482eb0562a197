import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseBytes, parseDurationMs } from '../../../src/policy/parse-limits.ts'
import { issueText, parsePolicy, type PlaceOf, type PolicySource } from '../../../src/policy/parse-policy.ts'
import { sharedSuffixAt } from '../../../src/policy/public-suffix.ts'

const nowhere: PlaceOf = () => ({ file: 'f', line: 1, column: 1 })

function parsed(body: object): PolicySource {
  const found = parsePolicy({ version: 1, name: 'p', ...body }, nowhere)
  return Array.isArray(found) ? expect.fail(found.map(issueText).join('\n')) : found
}

function pathsOf(raw: unknown, defaults?: { name: string }): string[] {
  const found = parsePolicy(raw, nowhere, defaults)
  return Array.isArray(found) ? found.map(({ path }) => path) : []
}

describe('a policy', () => {
  it('fills in what a rule does not say', () => {
    const [plain, pinned, deny] = parsed({
      rules: [{ host: 'a.test' }, { host: 'a.test', credential: 'c' }, { host: 'a.test', action: 'deny' }],
    }).rules
    expect([...(plain?.ports ?? [])]).toEqual([80, 443])
    expect([...(pinned?.ports ?? [])]).toEqual([443])
    expect(deny?.ports).toBeNull()
    expect(plain).toMatchObject({
      id: 'p#1',
      action: 'allow',
      methods: null,
      paths: null,
      query: null,
      addresses: null,
      tls: 'auto',
      credential: null,
      foreignCredentials: null,
      ranges: false,
      cookies: 'strip',
    })
  })

  it('takes a jar for cookies beside a credential, and nowhere else', () => {
    expect(parsed({ rules: [{ host: 'a.test', credential: 'c', cookies: 'jar' }] }).rules[0]?.cookies).toBe('jar')
    const rules = [
      { host: 'a.test', cookies: 'jar' },
      { host: 'a.test', cookies: 'strip' },
      { host: 'a.test', action: 'deny', cookies: 'jar' },
      { host: 'a.test', credential: 'c', cookies: 'pass' },
    ]
    expect(pathsOf({ version: 1, name: 'p', rules }).sort()).toEqual(rules.map((_, i) => `rules[${i}].cookies`))
  })

  it('takes ranges beside a credential, and nowhere else', () => {
    expect(parsed({ rules: [{ host: 'a.test', credential: 'c', ranges: true }] }).rules[0]?.ranges).toBe(true)
    const rules = [
      { host: 'a.test', ranges: true },
      { host: 'a.test', action: 'deny', ranges: true },
      { host: 'a.test', credential: 'c', ranges: 'yes' },
    ]
    expect(pathsOf({ version: 1, name: 'p', rules }).sort()).toEqual([
      'rules[0].ranges',
      'rules[1].ranges',
      'rules[2].ranges',
    ])
  })

  it('tells all its problems at once', () => {
    const raw = {
      version: 2,
      name: 'P',
      extra: 1,
      rules: [{ host: '*.com', methods: ['get'], paths: ['x'], addresses: ['10.0.0.1'], colour: 1 }, 7],
      limits: { uploadBytes: 0, idleTimeout: 5 },
      tests: [{ deny: 'x', because: 'y' }],
    }
    expect(pathsOf(raw).sort()).toEqual(
      [
        'version',
        'name',
        'extra',
        'rules[0].host',
        'rules[0].methods[0]',
        'rules[0].paths[0]',
        'rules[0].addresses[0]',
        'rules[0].colour',
        'rules[1]',
        'limits.uploadBytes',
        'limits.idleTimeout',
        'tests[0].deny',
        'tests[0].because',
      ].sort(),
    ) // prettier-ignore
  })

  it('with ten thousand problems lists two hundred, and says how many more', () => {
    const found = parsePolicy(
      { version: 1, name: 'p', rules: Array.from({ length: 10_000 }, () => ({ host: '*.com' })) },
      nowhere,
    )
    expect(Array.isArray(found) && found.length).toBe(201)
    expect(Array.isArray(found) && found.at(-1)?.message).toBe('and 9800 more')
  })

  it('given inline needs neither version nor name, and its rules are called inline', () => {
    const found = parsePolicy({ name: 'npm', rules: [{ host: 'a.test' }] }, nowhere, { name: 'inline' })
    expect(Array.isArray(found) ? found : found.rules[0]?.id).toBe('inline#1')
    expect(pathsOf({ rules: [] }, { name: 'inline' })).toEqual([])
    expect(pathsOf({ version: 2 }, { name: 'inline' })).toEqual(['version'])
    expect(pathsOf({ secret: 'x' }, { name: 'inline' })).toEqual(['secret'])
  })

  // POL-17
  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])('takes %s for no key of its own', (key) => {
    const raw: unknown = JSON.parse(`{"version":1,"name":"p","rules":[{"host":"a.test","${key}":1}]}`)
    expect(pathsOf(raw)).toEqual([`rules[0].${key}`])
  })

  // POL-02, POL-19
  it.each([null, undefined, [], 'x', 7, true])('is not %j', (raw) => expect(pathsOf(raw)).toEqual(['']))

  it('never throws, whatever it is given', () => {
    const key = fc.constantFrom(
      'version',
      'name',
      'rules',
      'host',
      'methods',
      'paths',
      'query',
      'limits',
      'tests',
      'addresses',
      'allow',
      'extends',
      'ports',
      '__proto__',
    )
    const leaf = fc.oneof(fc.string(), fc.integer(), fc.constantFrom(null, true, '*.com', 'GET', '/a/**', '10.0.0.0/8'))
    const { any } = fc.letrec<{ any: unknown }>((tie) => ({
      any: fc.oneof(
        { maxDepth: 4 },
        leaf,
        fc.array(tie('any'), { maxLength: 3 }),
        fc.dictionary(key, tie('any'), { maxKeys: 5 }),
      ),
    }))
    fc.assert(
      fc.property(any, fc.array(any, { maxLength: 3 }), (raw, rules) => {
        for (const one of [raw, { version: 1, name: 'p', rules, limits: raw, tests: rules }]) {
          const found = parsePolicy(one, nowhere)
          if (Array.isArray(found))
            for (const issue of found) expect(issue.message.length * issue.fix.length).toBeGreaterThan(0)
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('sizes and durations', () => {
  it.each([
    ['50MiB', 52_428_800],
    ['2GB', 2e9],
    ['1.5KiB', 1536],
    ['4096', 4096],
    [4096, 4096],
    ['1 kB', 1000],
    ['7B', 7],
  ])('%s is %i bytes', (text, bytes) => expect(parseBytes(text)).toBe(bytes))

  it.each([
    0,
    -1,
    1.5,
    '0',
    '0MiB',
    '-1MiB',
    '50M',
    '50mib',
    'MiB',
    '',
    '1e3',
    '0.0001KiB',
    '99999999999TiB',
    'constructor',
    '1constructor',
    '1 000',
    '٥B',
  ])('%j is no size', (text) => expect(parseBytes(text)).toBeNull()) // prettier-ignore

  it.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['10m', 600_000],
    ['1h', 3_600_000],
    ['1.5h', 5_400_000],
    ['2d', 172_800_000],
  ])('%s is %i ms', (text, ms) => expect(parseDurationMs(text)).toBe(ms))

  it.each(['10', '0s', '-1s', '1M', '1min', 's', '', '1h30m', '0.1ms'])('%j is no duration', (text) =>
    expect(parseDurationMs(text)).toBeNull(),
  )
})

describe('a wildcard', () => {
  // EXF-01
  it.each([
    'com',
    'test',
    'internal',
    'co.uk',
    'github.io',
    'ck',
    'kawasaki.jp',
    'amazonaws.com',
    's3.amazonaws.com',
    's3.eu-west-1.amazonaws.com',
    'eu-west-1.amazonaws.com',
    'execute-api.eu-west-1.amazonaws.com',
    'core.windows.net',
    'blob.core.windows.net',
    'windows.net',
    'azurewebsites.net',
    'azure.com',
    'openai.azure.com',
    'run.app',
    'googleapis.com',
    'storage.googleapis.com',
    'cloudfront.net',
    'workers.dev',
    'pages.dev',
    'vercel.app',
    'netlify.app',
    'ngrok.io',
    'ngrok-free.app',
    'r2.cloudflarestorage.com',
    'cloudflarestorage.com',
    'githubusercontent.com',
    'slack.com',
    'nip.io',
    'trycloudflare.com',
    'fastly.net',
    'on.aws',
  ])('over %s spans tenants', (base) => expect(sharedSuffixAt(base)).not.toBeNull()) // prettier-ignore

  it.each([
    'example.org',
    'npmjs.org',
    'debian.org',
    'anthropic.com',
    'good.test',
    'corp.internal',
    'me.github.io',
    'city.kawasaki.jp',
    'acct.blob.core.windows.net',
    'me.r2.cloudflarestorage.com',
    'example.co.uk',
    'me.workers.dev',
    'xn--bcher-kva.test',
    'a_b.good.test',
  ])('over %s has one owner', (base) => expect(sharedSuffixAt(base)).toBeNull()) // prettier-ignore

  it('over a suffix may deny, and may allow nothing', () => {
    expect(
      pathsOf({
        version: 1,
        name: 'p',
        rules: [
          { host: '*.github.io', action: 'deny' },
          { host: '*', action: 'deny' },
        ],
      }),
    ).toEqual([])
    expect(pathsOf({ version: 1, name: 'p', rules: [{ host: 'a*.github.io' }] })).toEqual(['rules[0].host'])
    expect(pathsOf({ version: 1, name: 'p', rules: [{ host: '*', unsafeAnyHost: true }] })).toEqual([])
  })
})
