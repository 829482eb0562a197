import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ControlBench, createControlBench } from '../unit/control/fixture.ts'

let api: ControlBench
let id = ''
beforeAll(async () => {
  api = await createControlBench()
  id = (await api.call('POST', '/v1/sessions', { as: 'platform', body: { policy: 'dev' } })).body.id
})
afterAll(() => api.close())

const word = fc.constantFrom(
  'dev',
  'model',
  'inline',
  'audit',
  'enforce',
  '10.0.0.0/8',
  '*.example.org',
  '*',
  'GET',
  '50MiB',
  '',
  '\u0000',
  '\ud800',
  'https://example.org/a?b=%2F',
)
const keys =
  'policy credentials ttlSeconds mode labels limits sources refusal session method url name version extends rules host ' +
  'ports paths query addresses tests tls uploadBytes idleTimeout toString hasOwnProperty length anthropic unsafeAnyHost'
const key = fc.constantFrom('', ...keys.split(' '))
const { json } = fc.letrec((tie) => ({
  json: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    word,
    fc.string({ maxLength: 20 }),
    fc.double(),
    fc.constantFrom(0, -1, 443, 1e21, null, true),
    tie('object'),
    fc.array(tie('json'), { maxLength: 4 }),
  ),
  object: fc.dictionary(fc.oneof(key, fc.string({ maxLength: 5 })), tie('json'), { maxKeys: 8 }),
}))
/** Mostly the right shape with something odd in it: what only looks valid comes furthest. */
const nearly = fc.record(
  {
    policy: fc.oneof(word, fc.record({ rules: fc.array(fc.record({ host: word, paths: json, ports: json })) }), json),
    credentials: json,
    ttlSeconds: fc.oneof(fc.integer({ min: 1, max: 2_592_000 }), json),
    mode: fc.oneof(word, json),
    labels: fc.oneof(fc.dictionary(fc.string({ maxLength: 3 }), word, { maxKeys: 3 }), json),
    limits: fc.oneof(fc.dictionary(key, fc.oneof(word, fc.integer()), { maxKeys: 3 }), json),
    sources: fc.oneof(fc.array(word), json),
    url: word,
    session: fc.oneof(fc.constant('s-1'), json),
  },
  { requiredKeys: [] },
)

const calls = () =>
  fc.constantFrom(
    ['POST', '/v1/sessions'],
    ['PATCH', `/v1/sessions/${id}`],
    ['POST', '/v1/policies/explain'],
    ['PUT', '/v1/policies/dev?dryRun=true'],
    ['POST', `/v1/sessions/${id}/token`],
  )

describe('any JSON body', () => {
  it('is answered, and never with a fault', async () => {
    await fc.assert(
      fc.asyncProperty(
        calls(),
        fc.oneof(json, nearly),
        fc.constantFrom('platform', 'team-b'),
        async ([method = '', path = ''], body, as) => {
          const { status, text } = await api.call(method, path, { as, raw: JSON.stringify(body) })
          expect(status, text).toBeLessThan(500)
        },
      ),
      { numRuns: 400 },
    )
    expect(api.logged).toEqual([])
  })

  it('of any text is answered, and never with a fault', async () => {
    const soup = fc
      .array(
        fc.oneof(fc.constantFrom('{', '}', '[', ']', ',', ':', '"policy"', '"dev"', '\\', '1', 'null'), fc.string()),
      )
      .map((pieces) => pieces.join(''))
    await fc.assert(
      fc.asyncProperty(calls(), soup, async ([method = '', path = ''], raw) => {
        const { status, text } = await api.call(method, path, { as: 'platform', raw })
        expect(status, text).toBeLessThan(500)
      }),
      { numRuns: 150 },
    )
  })
})

describe('any query', () => {
  it('is answered, and never with a fault', async () => {
    const name = fc.constantFrom(
      'limit',
      'cursor',
      'since',
      'host',
      'outcome',
      'session',
      'dryRun',
      '__proto__',
      'a[b]',
    )
    const query = fc
      .array(fc.tuple(name, fc.string({ maxLength: 12 })), { maxLength: 4 })
      .map((pairs) => pairs.map(([key, value]) => `${key}=${encodeURIComponent(value.toWellFormed())}`).join('&'))
    const path = fc.constantFrom('/v1/sessions', '/v1/decisions', '/v1/policies', '/v1/policies/dev')
    await fc.assert(
      fc.asyncProperty(path, query, async (to, text) => {
        expect((await api.call('GET', `${to}?${text}`, { as: 'viewer' })).status).toBeLessThan(500)
      }),
      { numRuns: 150 },
    )
  })
})
