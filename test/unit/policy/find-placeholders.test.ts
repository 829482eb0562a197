import { assert, constantFrom, integer, property } from 'fast-check'
import { expect, test } from 'vitest'
import { authorityOf } from '../../../src/net/authority.ts'
import { parseHost } from '../../../src/net/host.ts'
import type { RequestHead } from '../../../src/net/request-head.ts'
import { findPlaceholders } from '../../../src/policy/find-placeholders.ts'

const ours = 'sk-placeholder-0123456789/+='
const other = 'ghp_other0123456789'
const placeholders = new Map([
  ['a', ours],
  ['b', other],
  ['same', ours],
])

function head(fields: readonly string[], target = '/v1'): RequestHead {
  const host = parseHost('api.good.test')
  if (host === null) throw new Error('no host')
  const [path = '', query = null] = target.split(/\?(.*)/s)
  return {
    method: 'GET',
    scheme: 'https',
    authority: authorityOf(host, 443),
    path,
    query,
    fields,
    body: { kind: 'none' },
    expectContinue: false,
  }
}

const signed = (claims: object): string =>
  ['{"alg":"RS256"}', JSON.stringify(claims), 'x'].map((part) => Buffer.from(part).toString('base64url')).join('.')

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const escaped = ours.replace(/./g, (letter) => `%${letter.charCodeAt(0).toString(16)}`)

test.each<readonly [what: string, head: RequestHead, found: object | null]>([
  ['nothing', head(['Accept', '*/*', 'Authorization', `Bearer ${ours.slice(1)}`], '/v1?a=b'), null],
  ['a field', head(['X-Api-Key', ours]), { place: 'field', name: 'X-Api-Key', spelling: { scheme: null } }],
  ['a scheme', head(['Authorization', `ApiKey  ${ours}`]), { spelling: { scheme: 'ApiKey', form: 'plain' } }],
  ["Basic's password", head(['Authorization', `Basic ${base64(`git:${ours}`)}`]), { spelling: { form: 'basic' } }],
  ["Basic's user", head(['Authorization', `basic ${base64(`${ours}:`)}`]), { spelling: { form: 'basic' } }],
  ["an account in Basic's other half", head(['Authorization', `Basic ${base64(`me:${ours}`)}`]), { spelling: null }],
  ['Basic where nobody looks for it', head(['X-Note', `Basic ${base64(`x${ours}x`)}`]), { spelling: null }],
  ['a token it made', head(['Authorization', `bearer ${signed({ iss: ours })}`]), { spelling: { form: 'jwt' } }],
  ['a token alone', head(['X-Note', signed({ iss: ours })]), { spelling: null }],
  ['a token of another', head(['Authorization', `Bearer ${signed({ iss: 'a', sub: ours })}`]), { spelling: null }],
  ['no claim of a token', head(['Authorization', `Bearer ${signed({ iss: 'a', sub: 'b' })}`]), null],
  ['text around it', head(['User-Agent', `agent (${ours})`]), { name: 'User-Agent', spelling: null }],
  ['an escaped one in a field', head(['Referer', `https://a.test/?k=${encodeURIComponent(ours)}`]), { spelling: null }],
  ['a name', head([`x-${ours}`, 'a']), { place: 'field', spelling: null }],
  ['the path', head([], `/v1/${ours}/x`), { place: 'target', spelling: null }],
  ['the path, escaped', head([], `/v1/${escaped}`), { place: 'target' }],
  ['a parameter', head([], `/v1?a=1&key=${ours}`), { place: 'parameter', name: 'key', spelling: { text: ours } }],
  [
    'a parameter, escaped',
    head([], `/v1?%6bey=${escaped}`),
    { place: 'parameter', name: 'key', spelling: { text: ours } },
  ],
  ['a parameter with more', head([], `/v1?key=${ours}x`), { place: 'parameter', spelling: null }],
  ['a parameter behind a semicolon', head([], `/v1?a;key=${ours}`), { place: 'parameter', name: 'key' }],
  ['the name of a parameter', head([], `/v1?${escaped}=1`), { place: 'target' }],
  ['a query without names', head([], `/v1?${ours.replaceAll('=', '')}=`), { place: 'target' }],
  ['a broken escape before it', head([], `/v1?a=%zz%2&b=${escaped}`), { place: 'parameter', name: 'b' }],
])('%s', (_, given, found) => {
  const all = findPlaceholders(given, placeholders)
  if (found === null) expect(all).toEqual([])
  else expect(all).toMatchObject([{ placeholder: ours, ...found }])
})

test('each is found, in each place', () => {
  const all = findPlaceholders(head(['X-A', ours, 'X-B', other], `/${other}?a=${ours}&b=${ours}`), placeholders)
  expect(all.map(({ place, name }) => `${place} ${name}`)).toEqual([
    'field X-A',
    'field X-B',
    'parameter a',
    'parameter b',
    'target ',
  ])
})

test('none is missed for the bytes around it', () => {
  const piece = constantFrom('', ' ', 'x', '%', '%4', '%41', '/', ',', '"', 'Bearer ', 'Basic ', '=')
  assert(
    property(piece, piece, integer({ min: 0, max: 2 }), (before, after, where) => {
      const text = `${before}${ours}${after}`
      const given = [head(['X-Thing', text]), head([], `/a${text}`), head([], `/a?b=${text}`)][where]
      if (given === undefined) throw new Error('no such place')
      expect(findPlaceholders(given, placeholders)).toHaveLength(1)
    }),
  )
})
