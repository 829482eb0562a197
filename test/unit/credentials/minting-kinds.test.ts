import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { CredentialKind } from '../../../src/credentials/credential-kind.ts'
import { gcpServiceAccount } from '../../../src/credentials/kinds/gcp-service-account.ts'
import { githubApp } from '../../../src/credentials/kinds/github-app.ts'
import { oauth2ClientCredentials } from '../../../src/credentials/kinds/oauth2-client-credentials.ts'
import { oauth2Refresh } from '../../../src/credentials/kinds/oauth2-refresh.ts'
import type { Mint } from '../../../src/credentials/minted-source.ts'
import type { OwnAnswer, OwnRequest } from '../../../src/credentials/own-request.ts'
import { parseSecret, type Secret } from '../../../src/credentials/secret.ts'

const token = 'made-0123456789abcdef'
const wallMs = Date.parse('2026-11-21T12:00:00Z')
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pem = {
  pkcs1: privateKey.export({ type: 'pkcs1', format: 'pem' }),
  pkcs8: privateKey.export({ type: 'pkcs8', format: 'pem' }),
}
const otherPem = (bits: number): string =>
  generateKeyPairSync('rsa', { modulusLength: bits }).privateKey.export({ type: 'pkcs8', format: 'pem' })

function secretOf(text: string): Secret {
  const secret = parseSecret(text, { unsafeShortSecret: true, secretShape: 'lines' })
  if (typeof secret === 'string') throw new Error(secret)
  return secret
}

function json(body: object, status = 200): OwnAnswer {
  return { status, body: Buffer.from(JSON.stringify(body)) }
}

const granted = json({ access_token: token, token_type: 'bearer', expires_in: 3600 })

function bench<Spec>(kind: CredentialKind<Spec>, keys: object, answer: OwnAnswer | string = granted) {
  const parsed = kind.parse(keys)
  if (parsed.kind === 'problems') throw new Error(JSON.stringify(parsed.problems))
  const state = { answer, asked: [] as OwnRequest[], noted: [] as string[] }
  const made = kind.mint?.(parsed.spec, {
    ask: async (request) => {
      state.asked.push(request)
      return Promise.resolve(state.answer)
    },
    epochMs: () => wallMs,
    rules: { unsafeShortSecret: false },
    note: (message) => state.noted.push(message),
  })
  const mint: Mint = made ?? expect.fail('it mints')
  const outcome = async (text: string): Promise<string> => {
    const minted = await mint(secretOf(text))
    return typeof minted === 'string' ? minted : `${minted.token.reveal()} for ${minted.lifetimeMs / 1000} s`
  }
  const form = (index: number): Record<string, string> =>
    Object.fromEntries(new URLSearchParams(state.asked[index]?.body ?? ''))
  const field = (index: number, name: string): string | undefined => {
    const fields = state.asked[index]?.fields ?? []
    const at = fields.indexOf(name)
    return at < 0 ? undefined : fields[at + 1]
  }
  return { state, outcome, form, field, spec: parsed.spec }
}

/** Header and claims of a token that the public key verifies. */
function readJwt(text: string): { header: object; claims: Record<string, unknown> } {
  const [header = '', claims = '', signature = ''] = text.split('.')
  const signed = Buffer.from(`${header}.${claims}`)
  expect(verify('sha256', signed, createPublicKey(pem.pkcs8), Buffer.from(signature, 'base64url'))).toBe(true)
  const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>
  return { header: read(header), claims: read(claims) }
}

describe('client credentials', () => {
  const keys = { tokenUrl: 'https://login.test/oauth/token', clientId: 'my client:1' }

  test('are proven by Basic with both halves form-encoded', async () => {
    const { outcome, form, field, state } = bench(oauth2ClientCredentials, { ...keys, scope: 'a b', audience: 'x' })
    expect(await outcome('s3cr%t/+:=')).toBe(`${token} for 3600 s`)
    expect(form(0)).toEqual({ grant_type: 'client_credentials', scope: 'a b', audience: 'x' })
    expect(field(0, 'Authorization')).toBe(
      `Basic ${Buffer.from('my+client%3A1:s3cr%25t%2F%2B%3A%3D').toString('base64')}`,
    )
    expect(field(0, 'Content-Type')).toBe('application/x-www-form-urlencoded')
    expect(state.asked[0]).toMatchObject({ method: 'POST', path: '/oauth/token' })
    expect(state.asked[0]?.place.authority.text).toBe('login.test:443')
  })

  test('are proven by form fields where the entry says so', async () => {
    const { outcome, form, field } = bench(oauth2ClientCredentials, { ...keys, authentication: 'post', resource: 'r' })
    await outcome('s3cr%t/+:=')
    expect(form(0)).toEqual({
      grant_type: 'client_credentials',
      resource: 'r',
      client_id: 'my client:1',
      client_secret: 's3cr%t/+:=',
    })
    expect(field(0, 'Authorization')).toBeUndefined()
  })

  test.each<readonly [what: string, answer: OwnAnswer | string, said: string]>([
    ['nobody', 'the name could not be resolved', 'its token endpoint cannot be asked: the name could not be resolved'],
    ['a refusal', json({ error: 'invalid_client' }, 401), 'its token endpoint answered 401 (invalid_client)'],
    ['a refusal in words of its own', json({ error: 'sk-echoed' }, 400), 'its token endpoint answered 400'],
    ['a redirect', json({}, 302), 'its token endpoint answered 302'],
    ['a page', { status: 200, body: Buffer.from('<p>') }, 'its token endpoint answered without a token'],
    ['no token', json({ token_type: 'Bearer' }), 'its token endpoint answered without a token'],
    [
      'another type of token',
      json({ access_token: token, token_type: 'DPoP' }),
      'its token endpoint gave a token that is no bearer token',
    ],
    ['a short token', json({ access_token: 'abc' }), 'is under 16 bytes'],
    ['a token with a line break', json({ access_token: `${token}\r\nHost: b` }), 'has a line break'],
    ['no life', json({ access_token: token }), `${token} for 300 s`],
    ['a life of nothing', json({ access_token: token, expires_in: 0 }), `${token} for 300 s`],
    ['a life in text', json({ access_token: token, expires_in: '60' }), `${token} for 60 s`],
    ['a life of years', json({ access_token: token, expires_in: 1e9 }), `${token} for 86400 s`],
    ['a life before now', json({ access_token: token, expires_in: -1 }), `${token} for 300 s`],
  ])('answered with %s', async (_what, answer, said) => {
    const { outcome } = bench(oauth2ClientCredentials, keys, answer)
    const heard = await outcome('s3cr%t/+:=')
    expect(heard).toContain(said)
    expect(heard).not.toContain('sk-')
  })
})

describe('a refresh token', () => {
  const keys = { tokenUrl: 'https://login.test/token', clientId: 'client' }

  test('of a public client goes with the id alone', async () => {
    const { outcome, form, field } = bench(oauth2Refresh, { ...keys, scope: 'a' })
    expect(await outcome('refresh-0123456789')).toBe(`${token} for 3600 s`)
    expect(form(0)).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'refresh-0123456789',
      client_id: 'client',
      scope: 'a',
    })
    expect(field(0, 'Authorization')).toBeUndefined()
  })

  test('stored with a client secret goes with both', async () => {
    const stored = JSON.stringify({ refresh_token: 'r-1', client_secret: 's-1', type: 'authorized_user' }, null, 2)
    const posted = bench(oauth2Refresh, keys)
    await posted.outcome(stored)
    expect(posted.form(0)).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'r-1',
      client_id: 'client',
      client_secret: 's-1',
    })
    const basic = bench(oauth2Refresh, { ...keys, authentication: 'basic' })
    await basic.outcome(stored)
    expect(basic.form(0)).toEqual({ grant_type: 'refresh_token', refresh_token: 'r-1' })
    expect(basic.field(0, 'Authorization')).toBe(`Basic ${Buffer.from('client:s-1').toString('base64')}`)
  })

  test('that is replaced is used no more, the operator is told once, and a new configured one counts again', async () => {
    const { state, outcome, form } = bench(oauth2Refresh, keys)
    const rotate = (next: string) => json({ access_token: token, refresh_token: next })
    state.answer = rotate('rotated-1-0123456789')
    await outcome('refresh-0123456789')
    state.answer = rotate('rotated-2-0123456789')
    await outcome('refresh-0123456789')
    state.answer = granted
    await outcome('refresh-0123456789')
    await outcome('another-0123456789')
    expect([0, 1, 2, 3].map((index) => form(index)['refresh_token'])).toEqual([
      'refresh-0123456789',
      'rotated-1-0123456789',
      'rotated-2-0123456789',
      'another-0123456789',
    ])
    expect(state.noted).toHaveLength(1)
    expect(state.noted.join('')).toContain('kept in memory')
    expect(state.noted.join('')).not.toContain('rotated-1')
  })

  test.each(['{"refresh_token":', '{"client_secret":"a"}', '{"refresh_token":1}', '{"refresh_token":"a b"}', 'a b'])(
    'is not in %s',
    async (text) => {
      const { state, outcome } = bench(oauth2Refresh, keys)
      expect(await outcome(text.padEnd(16))).toBe('is neither a refresh token nor JSON with a refresh_token')
      expect(state.asked).toEqual([])
    },
  )
})

describe('a service account', () => {
  const keyFile = (changes: object = {}): string =>
    JSON.stringify({
      type: 'service_account',
      client_email: 'robot@project.test',
      private_key: pem.pkcs8,
      private_key_id: 'k1',
      token_uri: 'https://evil.test/token',
      ...changes,
    })

  test('proves itself with a signed assertion, at the configured endpoint whatever its file says', async () => {
    const { outcome, form, state } = bench(gcpServiceAccount, { scopes: ['s1', 's2'], subject: 'user@project.test' })
    expect(await outcome(keyFile())).toBe(`${token} for 3600 s`)
    expect(form(0)).toMatchObject({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer' })
    const { header, claims } = readJwt(form(0)['assertion'] ?? '')
    expect(header).toEqual({ alg: 'RS256', typ: 'JWT', kid: 'k1' })
    expect(claims).toEqual({
      iss: 'robot@project.test',
      sub: 'user@project.test',
      scope: 's1 s2',
      aud: 'https://oauth2.googleapis.com/token',
      iat: wallMs / 1000,
      exp: wallMs / 1000 + 600,
    })
    expect(state.asked[0]?.place.authority.text).toBe('oauth2.googleapis.com:443')
  })

  test.each([
    ['another type', keyFile({ type: 'external_account' }), 'is not the key file of a service account'],
    ['no key', keyFile({ private_key: undefined }), 'is not the key file of a service account'],
    ['a key that is none', keyFile({ private_key: 'sk' }), 'holds no RSA key that can sign'],
    ['a short key', keyFile({ private_key: otherPem(1024) }), 'holds no RSA key that can sign'],
    ['no JSON', pem.pkcs8, 'is not the key file of a service account'],
  ])('with %s asks nobody', async (_what, text, said) => {
    const { outcome, state } = bench(gcpServiceAccount, { scopes: ['a'] })
    expect(await outcome(text)).toBe(said)
    expect(state.asked).toEqual([])
  })
})

describe('a GitHub App', () => {
  const keys = { appId: 12, installationId: 34 }
  const answer = json({ token, expires_at: '2026-11-21T12:30:00Z' }, 201)

  test.each(['pkcs1', 'pkcs8'] as const)('asks for a token with a proof signed by its key in %s', async (form) => {
    const narrowed = { repositories: ['one'], permissions: { contents: 'read' } }
    const { outcome, field, state } = bench(githubApp, { ...keys, ...narrowed }, answer)
    expect(await outcome(pem[form])).toBe(`${token} for 1800 s`)
    expect(state.asked[0]).toMatchObject({
      method: 'POST',
      path: '/app/installations/34/access_tokens',
      body: JSON.stringify(narrowed),
    })
    const { header, claims } = readJwt((field(0, 'Authorization') ?? '').replace('Bearer ', ''))
    expect(header).toEqual({ alg: 'RS256', typ: 'JWT' })
    expect(claims).toEqual({ iss: '12', iat: wallMs / 1000 - 60, exp: wallMs / 1000 + 540 })
  })

  test.each<readonly [host: string, target: string, basic: boolean, apiUrl: string | null]>([
    ['api.github.com', '/repos/a/b', false, null],
    ['uploads.github.com', '/repos/a/b/releases/1/assets', false, null],
    ['github.com', '/a/b.git/info/refs?service=git-upload-pack', true, null],
    ['github.com', '/a/b.git/git-upload-pack', true, null],
    ['git.corp.test', '/a/b.git/info/refs', true, 'https://git.corp.test/api/v3'],
    ['git.corp.test', '/api/v3/repos/a/b', false, 'https://git.corp.test/api/v3'],
    ['git.corp.test', '/api/graphql', false, 'https://git.corp.test/api/v3'],
    ['git.corp.test:8443', '/a/b.git/info/refs', true, 'https://git.corp.test:8443/api/v3'],
  ])('%s%s gets Basic: %s', (host, target, basic, apiUrl) => {
    const { spec } = bench(githubApp, apiUrl === null ? keys : { ...keys, apiUrl })
    const head = githubApp.apply(
      { method: 'GET', target, host, fields: [], body: { kind: 'none' } },
      spec,
      secretOf(token),
      [],
    )
    const pair = Buffer.from(`x-access-token:${token}`).toString('base64')
    expect(head.fields).toEqual(['Authorization', basic ? `Basic ${pair}` : `Bearer ${token}`])
  })

  test('of a server of its own is asked below its path', async () => {
    const { outcome, state } = bench(githubApp, { ...keys, apiUrl: 'https://git.corp.test/api/v3' }, answer)
    await outcome(pem.pkcs1)
    expect(state.asked[0]?.path).toBe('/api/v3/app/installations/34/access_tokens')
  })

  test.each<readonly [what: string, answer: OwnAnswer | string, said: string]>([
    ['a refusal', json({ message: 'sk-echoed' }, 401), 'GitHub answered 401 where it was asked for a token'],
    ['a 200', json({ token, expires_at: '2026-11-21T12:30:00Z' }), 'GitHub answered 200'],
    ['no token', json({}, 201), 'GitHub answered without a token'],
    ['a token of yesterday', json({ token, expires_at: '2026-11-20T12:30:00Z' }, 201), 'do the clocks agree'],
    ['a token of no time', json({ token, expires_at: 'soon' }, 201), 'do the clocks agree'],
    ['a token for a year', json({ token, expires_at: '2027-11-20T12:30:00Z' }, 201), `${token} for 3600 s`],
    ['nobody', 'the connection to the origin failed', 'GitHub cannot be asked for a token: the connection'],
  ])('answered with %s', async (_what, said, expected) => {
    expect(await bench(githubApp, keys, said).outcome(pem.pkcs1)).toContain(expected)
  })

  test('with another key than RSA asks nobody', async () => {
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' })
    const { outcome, state } = bench(githubApp, keys, answer)
    expect(await outcome(ec)).toBe('is no RSA key in PEM')
    expect(state.asked).toEqual([])
  })
})
