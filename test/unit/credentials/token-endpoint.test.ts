import { describe, expect, test } from 'vitest'
import { answerTokenRequest, isTokenRequest, type TokenRequest } from '../../../src/credentials/token-endpoint.ts'
import { type HttpsPlace, parseHttpsPlace } from '../../../src/credentials/own-request.ts'
import { parseRequestHead, type RequestHead } from '../../../src/net/request-head.ts'
import { authorityNamed } from '../../conformance/credential-walk.ts'

const placeholder = 'placeholder-0123456789abcdefABCDEF'
const request: TokenRequest = {
  kind: 'token_request',
  credential: 'account',
  placeholder,
  isProven: false,
  dialect: 'oauth',
}

function placeAt(url: string): HttpsPlace {
  return (
    parseHttpsPlace({ url, addresses: undefined }, { url: 'tokenUrl', addresses: 'addresses' }, []) ?? expect.fail(url)
  )
}

function headOf(method: string, target: string, host = 'login.test', scheme: 'http' | 'https' = 'https'): RequestHead {
  const raw = { method, target, httpVersion: '1.1' as const, fields: ['Host', host] }
  const [name = '', port = '443'] = host.split(':')
  const authority = authorityNamed(name, scheme === 'http' ? 80 : Number(port))
  const head = parseRequestHead(raw, { kind: 'tunnel', scheme, authority })
  return 'kind' in head ? expect.fail(head.detail) : head
}

describe('a request for a token', () => {
  test.each<readonly [is: boolean, url: string, head: RequestHead]>([
    [true, 'https://login.test/oauth/token', headOf('POST', '/oauth/token')],
    [true, 'https://login.test/oauth/token', headOf('POST', '/oauth/token?a=b')],
    [true, 'https://login.test/oauth/token/', headOf('POST', '/oauth/token/')],
    [true, 'https://login.test:8443/token', headOf('POST', '/token', 'login.test:8443')],
    [true, 'https://LOGIN.test', headOf('POST', '/')],
    [true, 'https://login.test/', headOf('POST', '/')],
    [false, 'https://login.test/oauth/token', headOf('POST', '/oauth/token/')],
    [false, 'https://login.test/oauth/token', headOf('POST', '/oauth/Token')],
    [false, 'https://login.test/oauth/token', headOf('POST', '/oauth/token2')],
    [false, 'https://login.test/oauth/token', headOf('GET', '/oauth/token')],
    [false, 'https://login.test/oauth/token', headOf('POST', '/oauth/token', 'other.test')],
    [false, 'https://login.test/oauth/token', headOf('POST', '/oauth/token', 'login.test:8443')],
    [false, 'https://login.test:80/oauth/token', headOf('POST', '/oauth/token', 'login.test', 'http')],
  ])('is it: %s, at %s', (is, url, head) => {
    const place = placeAt(url)
    expect(isTokenRequest({ place, path: place.path, clientId: 'c', dialect: 'oauth' }, head)).toBe(is)
  })

  const bearer = { access_token: placeholder, token_type: 'Bearer', expires_in: 3600 }
  const client = { status: 200, body: bearer }
  const refreshed = { status: 200, body: { ...bearer, refresh_token: placeholder } }

  test.each<readonly [what: string, body: string, answer: object | null]>([
    ['a form with the secret', `grant_type=client_credentials&client_id=c&client_secret=${placeholder}`, client],
    ['a form with the refresh token', `grant_type=refresh_token&refresh_token=${placeholder}`, refreshed],
    [
      'a refresh token beside another secret',
      `grant_type=refresh_token&refresh_token=${placeholder}&client_secret=x`,
      refreshed,
    ],
    ['JSON', JSON.stringify({ grant_type: 'client_credentials', client_secret: placeholder }), client],
    ['an escaped one', `grant_type=client_credentials&client_secret=${placeholder.replace('-', '%2D')}`, client],
    ['nothing', '', null],
    ['no placeholder', 'grant_type=client_credentials&client_secret=attacker', null],
    ['more than the placeholder', `grant_type=client_credentials&client_secret=${placeholder}x`, null],
    ['the placeholder in another field', `grant_type=client_credentials&note=${placeholder}`, null],
    ['it twice', `grant_type=client_credentials&client_secret=${placeholder}&client_secret=${placeholder}`, null],
    ['broken JSON', `{"client_secret":"${placeholder}"`, null],
    ['a list', `[{"client_secret":"${placeholder}"}]`, null],
    ['JSON with another type', `{"grant_type":"client_credentials","client_secret":["${placeholder}"]}`, null],
  ])('with %s in its body', (_what, body, answer) => {
    expect(answerTokenRequest(request, body, 0)).toEqual(answer)
  })

  test('that was proven in its head needs nothing more', () => {
    expect(answerTokenRequest({ ...request, isProven: true }, 'grant_type=client_credentials', 0)).toEqual(client)
  })

  test.each(['password', 'authorization_code', 'urn:ietf:params:oauth:grant-type:token-exchange', ''])(
    'of grant %s is told that it is not answered',
    (grant) => {
      const body = `client_secret=${placeholder}&grant_type=${grant}`
      expect(answerTokenRequest(request, body, 0)).toMatchObject({
        status: 400,
        body: { error: 'unsupported_grant_type' },
      })
    },
  )
})

describe('a token that the client signed', () => {
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url')
  const signed = (claims: object): string => `${encode({ alg: 'RS256' })}.${encode(claims)}.c2lnbmF0dXJl`
  const form = (assertion: string, grant = 'urn:ietf:params:oauth:grant-type:jwt-bearer'): string =>
    new URLSearchParams({ grant_type: grant, assertion }).toString()
  const google: TokenRequest = { ...request, dialect: 'assertion' }

  test('by the issuer that is the placeholder gets it', () => {
    expect(answerTokenRequest(google, form(signed({ iss: placeholder, scope: 'a' })), 0)).toEqual({
      status: 200,
      body: { access_token: placeholder, token_type: 'Bearer', expires_in: 3600 },
    })
  })

  test.each([
    ['nothing', form('')],
    ['no token', form(placeholder)],
    ['another issuer', form(signed({ iss: `${placeholder}x` }))],
    ['the placeholder elsewhere', form(signed({ iss: 'attacker', sub: placeholder }))],
    ['a list of issuers', form(signed({ iss: [placeholder] }))],
    ['no JSON', form(`eyJhIjoxfQ.${Buffer.from(`{"iss":"${placeholder}"`).toString('base64url')}.x`)],
    ['two of them', `${form(signed({ iss: placeholder }))}&assertion=x`],
    ['a secret in its place', `grant_type=client_credentials&client_secret=${placeholder}`],
  ])('is not answered with %s', (_, body) => expect(answerTokenRequest(google, body, 0)).toBeNull())

  test('gets no other grant, and no identity', () => {
    const refused = { status: 400, body: { error: 'unsupported_grant_type' } }
    const own = signed({ iss: placeholder, target_audience: 'https://a.test' })
    expect(answerTokenRequest(google, form(own), 0)).toMatchObject(refused)
    expect(answerTokenRequest(google, form(signed({ iss: placeholder }), 'password'), 0)).toMatchObject(refused)
  })

  test('of an app is in the head, and answered as GitHub does', () => {
    const app: TokenRequest = { ...request, dialect: 'github-app', isProven: true }
    expect(answerTokenRequest(app, '{"repositories":["a"]}', Date.parse('2026-11-21T12:00:00.123Z'))).toEqual({
      status: 201,
      body: {
        token: placeholder,
        expires_at: '2026-11-21T13:00:00Z',
        permissions: {},
        repository_selection: 'all',
      },
    })
    expect(answerTokenRequest({ ...app, isProven: false }, form(signed({ iss: placeholder })), 0)).toBeNull()
  })
})
