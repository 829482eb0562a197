import { describe, expect, test } from 'vitest'
import { CredentialBook } from '../../../src/credentials/credential-book.ts'
import { parseCredentials } from '../../../src/credentials/credential-schema.ts'
import { createEquip } from '../../../src/credentials/equip.ts'
import type { Secret } from '../../../src/credentials/secret.ts'
import { parseRequestHead } from '../../../src/net/request-head.ts'
import { decideHost } from '../../../src/policy/decide-host.ts'
import { decideRequest } from '../../../src/policy/decide-request.ts'
import { allowed, authorityNamed, grantWith, requestHead } from '../../conformance/credential-walk.ts'

const secretText = 'sk-real-0123456789'
const noPlaceholders = new Map<string, string>()
const filled = { credentials: new Map([['slot', 'account']]), placeholders: noPlaceholders }

function bench(changes: Readonly<Record<string, unknown>> = {}) {
  const entry = {
    name: 'account',
    kind: 'bearer',
    secret: { env: 'KEY' },
    hosts: ['api.good.test'],
    placeholder: { env: 'KEY', like: 'sk-{40}' },
    ...changes,
  }
  const parsed = parseCredentials([entry, { ...entry, name: 'other', placeholder: { env: 'KEY' } }])
  if (parsed.kind === 'issues') throw new Error(JSON.stringify(parsed.issues))
  const world = { value: secretText as string | undefined, reads: 0 }
  const logged: string[] = []
  const book = new CredentialBook({
    credentials: parsed.credentials,
    placeholderKey: Buffer.alloc(32, 1),
    world: {
      variable: () => {
        world.reads++
        return world.value
      },
      now: () => 0,
    },
    log: (message) => logged.push(message),
  })
  return { book, equip: createEquip(book), world, logged }
}

describe('with a credential', () => {
  const grant = grantWith({ credential: 'slot' })
  const permit = allowed(grant, requestHead([], 'a=1'))

  test('the secret is put on, and its name is told', async () => {
    const { equip } = bench()
    expect(await equip(permit, filled)).toEqual({
      kind: 'equipped',
      head: {
        method: 'GET',
        target: '/v1?a=1',
        host: 'api.good.test',
        fields: ['Accept-Encoding', 'identity', 'Authorization', `Bearer ${secretText}`],
        body: { kind: 'none' },
      },
      identity: null,
      body: null,
      rewrite: null,
      used: ['account'],
      secrets: [expect.toSatisfy((secret: Secret) => secret.reveal() === secretText)],
      drops: [],
    })
  })

  test('a slot that nothing fills, or something unknown, is refused, and no secret is read', async () => {
    const { equip, world } = bench()
    for (const credentials of [
      new Map<string, string>(),
      new Map([['slot', 'nope']]),
      new Map([['slot', '__proto__']]),
    ])
      expect(await equip(permit, { credentials, placeholders: noPlaceholders })).toMatchObject({
        kind: 'deny',
        reason: 'secret_unavailable',
        rule: 'p#1',
      })
    expect(world.reads).toBe(0)
  })

  test('a secret that is not there is refused, logged once, and logged when it is back', async () => {
    const { equip, world, logged } = bench()
    world.value = undefined
    for (let i = 0; i < 3; i++) expect(await equip(permit, filled)).toMatchObject({ reason: 'secret_unavailable' })
    world.value = secretText
    expect(await equip(permit, filled)).toMatchObject({ kind: 'equipped' })
    expect(logged).toEqual(['credential account: variable KEY is not set', 'credential account: available again'])
  })

  test('a host outside the credential is refused though the policy allowed it', async () => {
    const { equip, world } = bench()
    for (const name of ['other.good.test', 'good.test', 'xapi.good.test', 'api.good.test.good.test']) {
      const elsewhere = allowed(grant, requestHead([], '', authorityNamed(name)))
      expect(await equip(elsewhere, filled)).toMatchObject({ kind: 'deny', reason: 'secret_unavailable' })
    }
    expect(world.reads).toBe(0)
  })

  test('plain http gets none though a permit was given', async () => {
    const { equip, world } = bench()
    const raw = {
      method: 'GET',
      target: 'http://api.good.test/v1',
      httpVersion: '1.1',
      fields: ['Host', 'api.good.test'],
    }
    const head = parseRequestHead(raw, { kind: 'proxy' })
    if ('kind' in head) throw new Error(head.detail)
    const judged = decideHost(grant, head.authority)
    if (judged.kind === 'deny') throw new Error(judged.reason)
    expect(decideRequest(grant, judged.permit, head)).toMatchObject({ reason: 'credential_needs_tls' })
    const forged = Object.assign(Object.create(permit) as typeof permit, { head })
    expect(await equip(forged, filled)).toMatchObject({ kind: 'deny', reason: 'credential_needs_tls' })
    expect(world.reads).toBe(0)
  })

  test('the placeholder stays behind, and so do cookies', async () => {
    const { book, equip } = bench()
    const placeholders = book.placeholdersFor('s-1', filled.credentials)
    const placeholder = placeholders.get('slot') ?? ''
    const fields = ['X-Api-Key', placeholder, 'Cookie', 'a=b', 'Accept', 'text/html']
    const equipped = await equip(
      allowed(grantWith({ credential: 'slot' }, placeholders), requestHead(fields, `key=${placeholder}`)),
      { ...filled, placeholders },
    )
    if (equipped.kind !== 'equipped') throw new Error(equipped.kind)
    const asked = ['Accept', 'text/html', 'Accept-Encoding', 'identity']
    expect(equipped.head.fields).toEqual([...asked, 'Authorization', `Bearer ${secretText}`])
    expect(equipped.head.target).toBe('/v1')
    expect(equipped.drops).toEqual(['x-api-key', 'cookie', '?key'])
  })

  test('the answer is asked for whole and uncoded, so that it can be searched, however that was spelled', async () => {
    const { equip } = bench()
    const codings = ['Accept-Encoding', 'gzip', 'accept_encoding', 'br', 'grpc-accept-encoding', 'gzip']
    const ranges = ['Range', 'bytes=0-9', 'If-Range', '"a"', 'if_range', '"b"']
    const equipped = await equip(allowed(grant, requestHead([...codings, ...ranges], '')), filled)
    if (equipped.kind !== 'equipped') throw new Error(equipped.kind)
    expect(equipped.head.fields).toEqual(['Accept-Encoding', 'identity', 'Authorization', `Bearer ${secretText}`])
  })

  test('and so it is where only cookies may be on the request', async () => {
    const { equip } = bench({ kind: 'placeholder', in: [{ header: 'x-key' }] })
    const asked = async (cookies: 'jar' | 'strip') => {
      const permit = allowed(grantWith({ credential: 'slot', cookies }), requestHead(['Range', 'bytes=0-9'], ''))
      const equipped = await equip(permit, filled)
      return equipped.kind === 'equipped' ? equipped.head.fields : expect.fail(equipped.kind)
    }
    expect(await asked('jar')).toEqual(['Accept-Encoding', 'identity'])
    expect(await asked('strip')).toEqual(['Range', 'bytes=0-9'])
  })

  test('or in parts, where the rule says so', async () => {
    const { equip } = bench()
    const fields = ['Range', 'bytes=0-9', 'Accept-Encoding', 'gzip', 'If-Range', '"a"']
    const asked = allowed(grantWith({ credential: 'slot', ranges: true }), requestHead(fields, ''))
    const equipped = await equip(asked, filled)
    if (equipped.kind !== 'equipped') throw new Error(equipped.kind)
    const kept = ['Range', 'bytes=0-9', 'If-Range', '"a"', 'Accept-Encoding', 'identity']
    expect(equipped.head.fields).toEqual([...kept, 'Authorization', `Bearer ${secretText}`])
  })

  test('a short secret is refused unless the entry takes it', async () => {
    const strict = bench()
    strict.world.value = 'short'
    expect(await strict.equip(permit, filled)).toMatchObject({ reason: 'secret_unavailable' })
    const unsafe = bench({ unsafeShortSecret: true })
    unsafe.world.value = 'short'
    expect(await unsafe.equip(permit, filled)).toMatchObject({ kind: 'equipped' })
  })
})

/** What a request gets, with this session's placeholder put for `PH` and that of another host's credential for `OTHER`. */
async function sent(
  changes: Readonly<Record<string, unknown>>,
  fields: readonly string[],
  query = '',
  rule: Parameters<typeof grantWith>[0] = { credential: 'slot' },
) {
  const { book, equip, world } = bench(changes)
  const credentials = new Map([
    ['slot', 'account'],
    ['elsewhere', 'other'],
  ])
  const placeholders = book.placeholdersFor('s-1', credentials)
  const [own = '', other = ''] = [placeholders.get('slot'), placeholders.get('elsewhere')]
  const fill = (text: string): string => {
    const plain = text.replaceAll('PH', own).replaceAll('OTHER', other)
    return plain.replace(/\{(.*)\}/, (_, pair: string) => Buffer.from(pair, 'latin1').toString('base64'))
  }
  const head = requestHead(fields.map(fill), fill(query))
  const equipped = await equip(allowed(grantWith(rule, placeholders), head), { credentials, placeholders })
  for (const one of [own, other]) expect(JSON.stringify(equipped)).not.toContain(one)
  if (equipped.kind === 'body_wanted' || equipped.kind === 'token_request') throw new Error(equipped.kind)
  if (equipped.kind === 'deny') return { reason: equipped.reason, place: equipped.detail, reads: world.reads }
  const { used, secrets, head: outbound } = equipped
  expect(secrets.map((secret) => secret.reveal())).toEqual(used.map(() => secretText))
  return { used, fields: beforeCodings(outbound.fields, used), target: outbound.target, reads: world.reads }
}

/** Fields without the one that we add where a credential was put on. */
function beforeCodings(fields: readonly string[], used: readonly string[]): readonly string[] {
  const at = fields.findIndex((text, i) => text === 'Accept-Encoding' && fields[i + 1] === 'identity')
  expect(at >= 0).toBe(used.length > 0)
  return at < 0 ? fields : fields.toSpliced(at, 2)
}

describe('a kind that swaps', () => {
  const swap = {
    kind: 'placeholder',
    in: [{ header: 'x-key' }, { header: 'Authorization' }, { basic: true }, { query: 'auth' }],
  }
  const pair = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`

  test.each<readonly [fields: readonly string[], query: string, went: readonly string[], target: string]>([
    [['X-Key', 'PH'], '', ['X-Key', secretText], '/v1'],
    [['authorization', 'Token PH'], '', ['authorization', `Token ${secretText}`], '/v1'],
    [['Authorization', 'Basic {PH:}'], '', ['Authorization', pair(`${secretText}:`)], '/v1'],
    [['Authorization', 'Basic {git:PH}'], '', ['Authorization', pair(`git:${secretText}`)], '/v1'],
    [[], 'a=1&auth=PH', [], `/v1?a=1&auth=${secretText}`],
    [['X-Key', 'PH'], 'auth=PH', ['X-Key', secretText], `/v1?auth=${secretText}`],
    [['Accept', 'a', 'X-Key', 'PH', 'x-key', 'PH'], '', ['Accept', 'a', 'x-key', secretText], '/v1'],
    // No page of another site knows the placeholder.
    [['X-Key', 'PH', 'Origin', 'https://app.test'], '', ['Origin', 'https://app.test', 'X-Key', secretText], '/v1'],
  ])('%j ?%s', async (fields, query, went, target) => {
    expect(await sent(swap, fields, query)).toEqual({ used: ['account'], fields: went, target, reads: 1 })
  })

  test('a request without the placeholder goes out without the secret, and the secret is not read', async () => {
    const bare = { used: [], fields: ['Accept', 'a'], target: '/v1?a=1', reads: 0 }
    expect(await sent(swap, ['Accept', 'a', 'Cookie', 'a=b'], 'a=1')).toEqual(bare)
    expect(await sent(swap, ['Accept', 'a', 'Sec-Fetch-Site', 'cross-site'])).toMatchObject({ used: [], reads: 0 })
    const strip = { credential: 'slot', foreignCredentials: 'strip' } as const
    expect(await sent(swap, ['Accept', 'a', 'x_key', 'theirs'], 'a=1&auth=theirs', strip)).toEqual(bare)
  })

  test('and its answer is searched for nothing, so it may come in parts and coded', async () => {
    const fields = ['Accept-Encoding', 'gzip', 'Range', 'bytes=0-9']
    expect(await sent(swap, fields)).toEqual({ used: [], fields, target: '/v1', reads: 0 })
  })

  test('unless the placeholder is required', async () => {
    const required = { ...swap, require: 'placeholder' }
    expect(await sent(required, [])).toEqual({ reason: 'placeholder_missing', place: 'account', reads: 0 })
    expect(await sent(required, ['X-Key', 'PH'])).toMatchObject({ used: ['account'] })
  })

  test.each<readonly [fields: readonly string[], query: string, place: string]>([
    [['X-Other', 'PH'], '', 'field X-Other'],
    [['User-Agent', 'agent/1 (PH)'], '', 'field User-Agent'],
    [['X-Key', 'PH', 'X-Note', 'PH'], '', 'field X-Note'],
    [['X-Key', 'PH and more'], '', 'field X-Key'],
    [['X-Key', 'Basic {PH:}'], '', 'field X-Key'],
    [['x_key', 'PH'], '', 'field x_key'],
    [['Authorization', 'Bearer eyJhIjoxfQ.{{"iss" :"PH"}}.x'], '', 'field Authorization'],
    [['Cookie', 'a=PH'], '', 'field Cookie'],
    [['X-Forwarded-For', 'PH'], '', 'field X-Forwarded-For'],
    [['X-Api-Key', 'PH'], '', 'field X-Api-Key'],
    [[], 'q=PH', 'query parameter q'],
    [[], 'PH', 'the path or query'],
    [['X-Key', 'OTHER'], '', 'field X-Key'],
    [['X-Key', 'PH', 'X-Note', 'OTHER'], '', 'field X-Note'],
  ])('%j ?%s is elsewhere', async (fields, query, place) => {
    expect(await sent(swap, fields, query)).toEqual({ reason: 'placeholder_elsewhere', place, reads: 0 })
  })
})

describe('a placeholder where the secret is put on anyway', () => {
  test.each<readonly [fields: readonly string[], query: string]>([
    [['Authorization', 'Bearer PH'], ''],
    [['X-Api-Key', 'PH'], ''],
    [['Authorization', 'Basic {x-access-token:PH}'], ''],
    [[], 'api_key=PH'],
  ])('%j ?%s stays behind', async (fields, query) => {
    expect(await sent({}, fields, query)).toMatchObject({ fields: ['Authorization', `Bearer ${secretText}`] })
  })

  test.each<readonly [fields: readonly string[], query: string]>([
    [['User-Agent', 'PH'], ''],
    [['Cookie', 'a=PH'], ''],
    [[], 'q=PH'],
    [['X-Note', 'OTHER'], ''],
  ])('%j ?%s is elsewhere', async (fields, query) => {
    expect(await sent({}, fields, query)).toMatchObject({ reason: 'placeholder_elsewhere', reads: 0 })
  })

  test('at a host that gets no credential it is elsewhere too', async () => {
    for (const fields of [
      ['Authorization', 'Bearer PH'],
      ['Authorization', 'Basic {x:PH}'],
      ['X-Note', 'a OTHER'],
    ])
      expect(await sent({}, fields, '', {})).toMatchObject({ reason: 'placeholder_elsewhere' })
    expect(await sent({}, ['Authorization', 'Bearer mine'], '', {})).toMatchObject({ used: [] })
  })

  test("a field that is the kind's own but looks like none is a place for it", async () => {
    const odd = { kind: 'header', header: 'X-Odd' }
    expect(await sent(odd, ['x-odd', 'PH'])).toMatchObject({ fields: ['X-Odd', secretText] })
  })
})

describe('who may spend a credential', () => {
  test.each([
    [['Sec-Fetch-Site', 'cross-site'], 'field sec-fetch-site'],
    [['Origin', 'https://evil.test'], 'field origin'],
  ])('a page of another site may not: %j', async (fields, place) => {
    expect(await sent({}, fields)).toEqual({ reason: 'cross_site', place, reads: 0 })
    expect(await sent({}, [...fields, 'Authorization', 'Bearer PH'])).toMatchObject({ used: ['account'] })
    expect(await sent({}, fields, '', {})).toMatchObject({ used: [] })
  })

  test('a browser at the site itself may', async () => {
    const own = ['Sec-Fetch-Site', 'same-origin', 'Origin', 'https://api.good.test']
    expect(await sent({}, own)).toMatchObject({ used: ['account'] })
  })

  test('where the placeholder is required, only who sends it', async () => {
    const required = { require: 'placeholder' }
    expect(await sent(required, ['Accept', 'a'])).toMatchObject({ reason: 'placeholder_missing', reads: 0 })
    expect(await sent(required, ['X-Api-Key', 'PH'])).toMatchObject({ used: ['account'] })
  })
})

describe('without a credential', () => {
  const theirs = ['Authorization', 'Bearer x', 'Cookie', 'a=b', 'Accept', '*/*']
  const none = { credentials: new Map<string, string>(), placeholders: noPlaceholders }

  test('strip leaves the credentials and cookies of the client behind', async () => {
    const { equip, world } = bench()
    const permit = allowed(grantWith({ foreignCredentials: 'strip' }), requestHead(theirs, 'api_key=x&a=1'))
    const equipped = await equip(permit, none)
    expect(equipped).toMatchObject({
      head: { fields: ['Accept', '*/*'], target: '/v1?a=1' },
      used: [],
    })
    expect(world.reads).toBe(0)
  })

  test('where nothing is said the client keeps its own', async () => {
    const { equip } = bench()
    const equipped = await equip(allowed(grantWith({}), requestHead(theirs, 'api_key=x')), none)
    expect(equipped).toMatchObject({ head: { fields: theirs, target: '/v1?api_key=x' }, drops: [] })
  })
})

describe('the book', () => {
  test('placeholders are of the session, for the slots that are filled', () => {
    const { book } = bench()
    const slots = new Map([
      ['slot', 'account'],
      ['empty', 'nope'],
    ])
    const placeholders = book.placeholdersFor('s-1', slots)
    expect([...placeholders.keys()]).toEqual(['slot'])
    expect(placeholders.get('slot')).toMatch(/^sk-[A-Za-z0-9]{40}$/)
    expect(book.placeholdersFor('s-2', slots).get('slot')).not.toBe(placeholders.get('slot'))
  })

  test('the environment holds the placeholder of the credential the session has', () => {
    const { book } = bench()
    expect(book.environmentFor('s-1').get('KEY')).toBe(book.placeholdersFor('s-1', filled.credentials).get('slot'))
    expect(book.environmentFor('s-1', ['other']).get('KEY')).toMatch(/^placeholder-[A-Za-z0-9]{32}$/)
    expect(book.environmentFor('s-1', ['nope', 'toString']).size).toBe(0)
  })

  test('hosts are for the policy compiler', () => {
    const { book } = bench()
    expect(book.hosts().get('account')).toMatchObject({
      hosts: [{ host: 'api.good.test' }],
      unsafeWildcardHosts: false,
    })
  })

  test('health says what is missing, without the value', async () => {
    const { book, world } = bench()
    expect(await book.health()).toMatchObject([{ name: 'account', available: true, problem: null }, { name: 'other' }])
    world.value = 'short'
    const [first] = await book.health()
    expect(first).toMatchObject({ available: false, problem: expect.stringContaining('under 16 bytes') as string })
    expect(JSON.stringify(first)).not.toContain('"short')
    book.close()
  })
})
