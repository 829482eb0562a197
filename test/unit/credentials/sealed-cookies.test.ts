import { assert, property, stringMatching } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type CookieScope, createSealedCookies } from '../../../src/credentials/sealed-cookies.ts'

const cookies = createSealedCookies(Buffer.alloc(32, 3))
const scope: CookieScope = { session: 's-1', credential: 'account', host: 'api.test' }
const value = 'eyJzZXNzaW9uIjoiMDEyMzQ1Njc4OSJ9'

/** The pair that a client sends back of what it was given. */
function given(setCookie: string, at = scope): string {
  return cookies.seal(setCookie, at)?.split(';')[0] ?? expect.fail('nothing was given')
}

function sent(cookie: string, at = scope): string | null {
  return cookies.open(['Cookie', cookie], at).field
}

describe('what the client gets', () => {
  test('holds nothing of the value, and always looks the same', () => {
    const setCookie = cookies.seal(`sid=${value}; Path=/; HttpOnly`, scope)
    expect(setCookie).toMatch(/^sid=[\w-]{40,}; Path=\/; HttpOnly$/)
    expect(setCookie).not.toContain(value.slice(0, 6))
    expect(cookies.seal(`sid=${value}; Path=/; HttpOnly`, scope)).toBe(setCookie)
    expect(given(`sid=${value}1`)).not.toBe(given(`sid=${value}`))
  })

  test.each<readonly [attributes: string, kept: string]>([
    ['; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Secure', '; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Secure'],
    ['; expires=Wed, 21-Oct-26 07:28:00 GMT', '; expires=Wed, 21-Oct-26 07:28:00 GMT'],
    ['; Max-Age=-1;SameSite=Lax;Partitioned; Priority=High', '; Max-Age=-1; SameSite=Lax; Partitioned; Priority=High'],
    ['; Domain=test; Path=/a/b', '; Path=/a/b'],
    [`; domain=.api.test; Path="${value}`, `; Path="${value}`],
    [`; Comment=${value}; Path=/ x; Secure=${value}; HttpOnly`, '; HttpOnly'],
    ['', ''],
  ])('of attributes, those that everybody knows: %s', (attributes, kept) => {
    expect(cookies.seal(`sid=${value}${attributes}`, scope)).toBe(`${given(`sid=${value}`)}${kept}`)
  })

  test.each(['', '=nameless', 'nameless', 'a b=c', 'a"=c', 'a=\0', `a=${'x'.repeat(8193)}`, 'n\xe4me=c'])(
    'nothing of %j',
    (setCookie) => expect(cookies.seal(setCookie, scope)).toBeNull(),
  )
})

describe('what the origin gets', () => {
  test('is what it had set, by any number of fields, and nothing else', () => {
    const [a, b, c] = [given('a=1'), given('b="two words"'), given('c=')]
    expect(sent(`${a}; theirs=attacker; ${b};${c} ; ${a}x; flag; =x`)).toBe('a=1; b="two words"; c=')
    const split = cookies.open(['Cookie', a, 'Accept', '*/*', 'cookie', `${b}; ${c}`], scope)
    expect(split.field).toBe('a=1; b="two words"; c=')
    expect(sent('theirs=attacker')).toBeNull()
    expect(cookies.open(['Accept', a], scope)).toEqual({ field: null, secrets: [] })
  })

  const sealed = given(`sid=${value}`)
  test.each<readonly [what: string, cookie: string, at: CookieScope]>([
    ['another session', sealed, { ...scope, session: 's-2' }],
    ['another credential', sealed, { ...scope, credential: 'other' }],
    ['another host', sealed, { ...scope, host: 'other.test' }],
    ['another name', sealed.replace('sid', 'other'), scope],
    ['another case', sealed.replace('sid', 'SID'), scope],
    ['what ends early', sealed.slice(0, -1), scope],
    ['what is padded', `${sealed}=`, scope],
    ['a quoted one', sealed.replace('=', '="').concat('"'), scope],
    ['the value itself', `sid=${value}`, scope],
    ['nothing', 'sid=', scope],
  ])('is not what is of %s', (_, cookie, at) => expect(sent(cookie, at)).toBeNull())

  test('is not what another gateway sealed', () => {
    expect(createSealedCookies(Buffer.alloc(32, 4)).open(['Cookie', sealed], scope).field).toBeNull()
  })

  test('is nothing where one bit of it was turned', () => {
    const [name = '', text = ''] = sealed.split('=')
    const bytes = Buffer.from(text, 'base64url')
    for (let i = 0; i < bytes.length; i++) {
      const turned = Buffer.from(bytes)
      turned[i] = (turned[i] ?? 0) ^ 1
      expect(sent(`${name}=${turned.toString('base64url')}`)).toBeNull()
    }
  })

  test('is fifty cookies at most', () => {
    const all = Array.from({ length: 60 }, (_, i) => given(`n${i}=v`))
    expect(sent(all.join('; '))?.split('; ')).toHaveLength(50)
  })

  test('whatever an origin may set', () => {
    const text = stringMatching(/^[!#-+\--:<-~\xa0-\xff]*$/)
    assert(
      property(stringMatching(/^[\w.~-]+$/), text, (name, set) => {
        expect(sent(given(`${name}=${set}; Path=/`))).toBe(`${name}=${set}`)
      }),
    )
  })

  test('must not come back, as far as it can be looked for', () => {
    const { secrets } = cookies.open(
      ['Cookie', [given(`sid="${value}"`), given('short=0123'), given('x=\xe4\xe4')].join('; ')],
      scope,
    )
    expect(secrets.map((secret) => secret.reveal())).toEqual([value])
  })
})
