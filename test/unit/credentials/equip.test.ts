import { describe, expect, test } from 'vitest'
import { CredentialBook } from '../../../src/credentials/credential-book.ts'
import { parseCredentials } from '../../../src/credentials/credential-schema.ts'
import { createEquip } from '../../../src/credentials/equip.ts'
import { parseRequestHead } from '../../../src/net/request-head.ts'
import { decideHost } from '../../../src/policy/decide-host.ts'
import { decideRequest } from '../../../src/policy/decide-request.ts'
import { allowed, authorityNamed, grantWith, requestHead } from '../../conformance/credential-walk.ts'

const secretText = 'sk-real-0123456789'
const filled = { credentials: new Map([['slot', 'account']]) }

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
        fields: ['Authorization', `Bearer ${secretText}`],
        body: { kind: 'none' },
      },
      used: ['account'],
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
      expect(await equip(permit, { credentials })).toMatchObject({
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
      filled,
    )
    if (equipped.kind === 'deny') throw new Error(equipped.detail)
    expect(equipped.head.fields).toEqual(['Accept', 'text/html', 'Authorization', `Bearer ${secretText}`])
    expect(equipped.head.target).toBe('/v1')
    expect(equipped.drops).toEqual(['x-api-key', 'cookie', '?key'])
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

describe('without a credential', () => {
  const theirs = ['Authorization', 'Bearer x', 'Cookie', 'a=b', 'Accept', '*/*']
  const none = { credentials: new Map<string, string>() }

  test('strip leaves the credentials of the client behind', async () => {
    const { equip, world } = bench()
    const permit = allowed(grantWith({ foreignCredentials: 'strip' }), requestHead(theirs, 'api_key=x&a=1'))
    const equipped = await equip(permit, none)
    expect(equipped).toMatchObject({
      head: { fields: ['Cookie', 'a=b', 'Accept', '*/*'], target: '/v1?a=1' },
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
