/**
 * What every credential kind promises. A kind joins by a line in the table of the test beside this file.
 *
 * HDR-01, HDR-03, HDR-04 and SEC-26 of the hostile cases run here, through the real walk of decisions.
 */

import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { parseRequestHead } from '../../src/net/request-head.ts'
import type { OutboundHead } from '../../src/net/outbound-head.ts'
import type { AnyCredentialKind } from '../../src/credentials/credential-kind.ts'
import { CredentialBook } from '../../src/credentials/credential-book.ts'
import { parseCredentials } from '../../src/credentials/credential-schema.ts'
import type { OwnAnswer } from '../../src/credentials/own-request.ts'
import { createEquip } from '../../src/credentials/equip.ts'
import { parseSecret } from '../../src/credentials/secret.ts'
import { findPlaceholders } from '../../src/policy/find-placeholders.ts'
import { allowed, authority, grantWith, requestHead } from './credential-walk.ts'

export type KindExample = {
  /** The kind's own keys. */
  readonly keys: Readonly<Record<string, unknown>>
  /** What the origin must see; null: nothing of it is in the head. */
  readonly rendered: string | null
  /** Keys that must not parse, each with its complaint. */
  readonly bad: readonly (readonly [complaint: string, keys: Readonly<Record<string, unknown>>])[]
  /** Fields and parameters the kind writes to. */
  readonly field: string | null
  readonly parameter: string | null
  /** For a kind that swaps: the fields in which a client sends its placeholder. */
  readonly asks?: (placeholder: string) => readonly string[]
  /** The configured secret, where `secretText` would be none of this kind. */
  readonly secret?: string
  /** For a kind that mints: how a token is given, which is then what the origin sees. */
  readonly mints?: { readonly token: string; readonly answer: OwnAnswer }
}

export const secretText = 'sk-real$&-0123456789/+=%?x'
const theirs = 'ATTACKER'

/** Enough of a secret of several lines to know it by, wherever it is printed. */
function markOf(secret: string): string {
  return secret.length > 200 ? secret.slice(100, 150) : secret
}

export function credentialKindSuite(kind: AnyCredentialKind, example: KindExample): void {
  const entry = {
    name: 'account',
    kind: kind.kind,
    secret: { env: 'KEY' },
    hosts: ['api.good.test'],
    placeholder: { env: 'KEY' },
    ...example.keys,
  }
  const { secret: configured = secretText, mints = null } = example
  const presented = mints?.token ?? configured
  const hidden = [markOf(configured), markOf(presented)]
  const times = example.rendered === null ? 0 : 1
  const bookOf = (raw: unknown, logged: string[]): CredentialBook => bookWith(raw, logged, configured, mints?.answer)
  const credentials = new Map([['slot', 'account']])
  const placeholders = bookOf(entry, []).placeholdersFor('s-1', credentials)
  const asked = example.asks?.(placeholders.get('slot') ?? '') ?? []

  async function send(fields: readonly string[], query: string): Promise<OutboundHead> {
    const logged: string[] = []
    const equip = createEquip(bookOf(entry, logged))
    const grant = grantWith({ credential: 'slot', foreignCredentials: 'strip' }, placeholders)
    const permit = allowed(grant, requestHead([...fields, ...asked], query))
    const equipped = await equip(permit, { credentials, placeholders })
    if (equipped.kind !== 'equipped') throw new Error(JSON.stringify(equipped))
    expect(equipped.used).toEqual(['account'])
    // Of what is minted from, nothing is ever put on.
    if (mints !== null || example.rendered === null)
      expect(JSON.stringify(equipped.head)).not.toContain(markOf(configured))
    for (const shown of [JSON.stringify(equipped.drops), JSON.stringify(equipped.used), ...logged]) {
      for (const text of [...hidden, theirs]) expect(shown).not.toContain(text)
    }
    return equipped.head
  }

  describe(`credential kind ${kind.kind}`, () => {
    test('parses its own keys and refuses every other', () => {
      expect(kind.parse(example.keys).kind).toBe('parsed')
      expect(kind.parse({ ...example.keys, extra: 1 })).toMatchObject({ kind: 'problems' })
      for (const raw of [null, 7, 'text', []]) expect(kind.parse(raw).kind).toBe('problems')
      expect(parseCredentials([{ ...entry, value: secretText }])).toMatchObject({ kind: 'issues' })
    })

    for (const [complaint, keys] of example.bad)
      test(`refuses ${complaint}`, () => expect(kind.parse(keys)).toMatchObject({ kind: 'problems' }))

    test('puts the secret on exactly once, where it belongs', async () => {
      const head = await send(['Accept', '*/*'], 'a=1')
      expect(timesIn(head, example.rendered)).toBe(times)
      expect(head.host).toBe('api.good.test')
    })

    test('applying twice is applying once', () => {
      const parsed = kind.parse(example.keys)
      const secret = parseSecret(presented, { unsafeShortSecret: false, secretShape: kind.secretShape })
      if (parsed.kind === 'problems' || typeof secret === 'string') throw new Error('example does not parse')
      const bare: OutboundHead = { method: 'GET', target: '/v1?a=1', host: 'h', fields: [], body: { kind: 'none' } }
      const sent = findPlaceholders(requestHead(asked, ''), placeholders)
      const once = parsed.spec.apply(bare, secret, sent)
      expect(parsed.spec.apply(once, secret, sent)).toEqual(once)
      expect(timesIn(once, example.rendered)).toBe(times)
    })

    for (const field of foreignFields(example.field)) {
      test(`what the client sent as ${field} does not survive, be it there once, twice or empty`, async () => {
        const head = await send([field, theirs, 'X-Kept', 'yes', field, `Bearer ${theirs}`, field, ''], 'a=1')
        expect(JSON.stringify(head)).not.toContain(theirs)
        expect(head.fields).toContain('X-Kept')
        expect(timesIn(head, example.rendered)).toBe(times)
        const same = head.fields.filter((name, i) => i % 2 === 0 && name.toLowerCase() === field.toLowerCase())
        expect(same.length).toBeLessThanOrEqual(field.toLowerCase() === example.field?.toLowerCase() ? 1 : 0)
      })
    }

    for (const parameter of foreignParameters(example.parameter)) {
      test(`what the client sent as ?${parameter} does not survive`, async () => {
        const head = await send([], `${parameter}=${theirs}&kept=%2F1;${parameter}=${theirs}&${parameter}`)
        expect(head.target).not.toContain(theirs)
        expect(head.target).toMatch(/^\/v1\?kept=%2F1(?:&|$)/)
        expect(timesIn(head, example.rendered)).toBe(times)
      })
    }

    // HDR-01: a client that nominates the field we add would strip our credential, or smuggle its own past us.
    for (const nominated of ['authorization', 'close, X-Api-Key', 'x-goog-api-key, x-thing', 'x-secret-thing']) {
      test(`Connection: ${nominated} does not take ours away`, async () => {
        const fields = ['Host', 'api.good.test', 'Connection', nominated]
        const raw = { method: 'GET', target: '/v1', httpVersion: '1.1', fields }
        const head = parseRequestHead(raw, { kind: 'tunnel', scheme: 'https', authority })
        if ('kind' in head) return expect(head.reason).toBe('malformed_request')
        expect(timesIn(await send(fields, ''), example.rendered)).toBe(times)
      })
    }

    test('nothing that prints shows the secret', async () => {
      const book = bookOf(entry, [])
      expect(await book.health()).toMatchObject([{ available: true }])
      const secret = parseSecret(presented, { unsafeShortSecret: false, secretShape: kind.secretShape })
      const parsed = parseCredentials([entry])
      for (const one of [book, secret, parsed, { secret }, [secret], new Error('x', { cause: secret })])
        for (const shown of [inspect(one, { depth: 9, showHidden: true }), JSON.stringify(one)])
          for (const text of hidden) expect(shown).not.toContain(text)
    })

    if (mints !== null) {
      test('presents nothing where no token is to be had', async () => {
        for (const answer of [
          { ...mints.answer, status: 500 },
          { ...mints.answer, body: Buffer.from('{}') },
          { ...mints.answer, body: Buffer.from(mints.answer.body.toString().replace(mints.token, 'a\\r\\nHost: b')) },
        ]) {
          const logged: string[] = []
          const book = bookWith(entry, logged, configured, answer)
          expect(await book.secretOf('account')).toBeNull()
          expect(logged).toHaveLength(1)
          for (const text of [...hidden, mints.token, 'Host: b']) expect(logged.join('')).not.toContain(text)
        }
      })

      test('presents nothing made of a secret that is none of its kind', async () => {
        for (const text of ['{"type":"service_account"}', '-----BEGIN PRIVATE KEY-----', '{}{}{}{}{}{}{}{}{}'])
          if (kind.secretShape === 'lines')
            expect(await bookWith(entry, [], text, mints.answer).secretOf('account')).toBeNull()
      })
    }
  })
}

function bookWith(entry: unknown, logged: string[], configured: string, answer: OwnAnswer | undefined): CredentialBook {
  const parsed = parseCredentials([entry])
  if (parsed.kind === 'issues') throw new Error(JSON.stringify(parsed.issues))
  return new CredentialBook({
    credentials: parsed.credentials,
    placeholderKey: Buffer.alloc(32, 7),
    world: {
      variable: (name) => (name === 'KEY' ? configured : undefined),
      now: () => 0,
      network: {
        ask: async ({ fields, body }) => {
          expect(JSON.stringify([fields, body])).not.toContain('undefined')
          return Promise.resolve(answer ?? 'nobody is there')
        },
        epochMs: () => Date.parse('2026-11-21T12:00:00Z'),
      },
    },
    log: (message) => logged.push(message),
  })
}

function timesIn(head: OutboundHead, text: string | null): number {
  if (text === null) return 0
  return [head.target, ...head.fields].join('\n').split(text).length - 1
}

function foreignFields(own: string | null): string[] {
  const known = ['Authorization', 'x-api-key', 'Api-Key', 'PRIVATE-TOKEN', 'x-goog-api-key', 'Cookie']
  return [...new Set([...known, ...(own === null ? [] : [own])].flatMap(spellingsOf))]
}

function spellingsOf(name: string): string[] {
  const upper = name.toUpperCase()
  const folded = [name.replaceAll('-', '_'), name.replaceAll('-', '.'), `${name}_`, `_${name}`]
  return [name, upper, name.toLowerCase(), ...folded, `HTTP_${upper.replaceAll('-', '_')}`]
}

function foreignParameters(own: string | null): string[] {
  const escaped = (text: string): string => text.replace(/./, (first) => `%${first.charCodeAt(0).toString(16)}`)
  const names = ['key', 'api_key', 'access_token', ...(own === null ? [] : [own])]
  return [...new Set(names.flatMap((name) => [name, name.toUpperCase(), escaped(name), name.replaceAll('_', '-')]))]
}
