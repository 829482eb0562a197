import { generateKeyPairSync } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { credentialKinds } from '../../src/credentials/kinds/index.ts'
import { createClientCertificate } from '../support/client-certificate.ts'
import { credentialKindSuite, type KindExample, secretText } from './credential-kind.suite.ts'

const token = 'ya29.made-of-it-0123456789'
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const keyPem = privateKey.export({ type: 'pkcs1', format: 'pem' })

/** What an OAuth 2 token endpoint says. */
function oauthAnswer(more: object = {}) {
  const said = { access_token: token, token_type: 'Bearer', expires_in: 3600, ...more }
  return { status: 200, body: Buffer.from(JSON.stringify(said)) }
}

const tokenUrl = 'https://login.good.test/oauth/token'
const badUrls: KindExample['bad'] = [
  ['plain http', { tokenUrl: 'http://login.good.test/', clientId: 'a' }],
  ['an URL with a query', { tokenUrl: 'https://login.good.test/?a=b', clientId: 'a' }],
  ['an URL with a user', { tokenUrl: 'https://a:b@login.good.test/', clientId: 'a' }],
  ['a client id with a line break', { tokenUrl, clientId: 'a\nb' }],
  ['no client id', { tokenUrl }],
  ['an address that is no range', { tokenUrl, clientId: 'a', addresses: ['10.0.0.1'] }],
  ['the secret written down', { tokenUrl, clientId: 'a', clientSecret: 'x' }],
  ['another way to authenticate', { tokenUrl, clientId: 'a', authentication: 'none' }],
]

const examples: Readonly<Record<string, KindExample>> = {
  'aws-sigv4': {
    keys: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', region: 'eu-central-1' },
    rendered: 'Credential=AKIAIOSFODNN7EXAMPLE/20261121/eu-central-1/s3/aws4_request',
    bad: [
      ['no id', {}],
      ['an id that is none', { accessKeyId: 'akia' }],
      ['an id beside the one in the secret', { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', temporary: true }],
      ['keys that are not temporary after all', { temporary: false }],
      ['a region with a slash', { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', region: 'a/b' }],
      ['a service with a line break', { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', service: 's3\n' }],
      ['the secret key written down', { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'x' }],
    ],
    field: 'Authorization',
    parameter: 'X-Amz-Credential',
    asks: (placeholder) => [
      'X-Amz-Date',
      '20261121T120000Z',
      'Authorization',
      `AWS4-HMAC-SHA256 Credential=${placeholder}/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=${'0'.repeat(64)}`,
    ],
  },
  basic: {
    keys: { username: 'x-access-token' },
    rendered: `Basic ${Buffer.from(`x-access-token:${secretText}`).toString('base64')}`,
    bad: [
      ['no user name', {}],
      ['a user name with a colon', { username: 'a:b' }],
      ['a user name with a line break', { username: 'a\nb' }],
      ['a password written down', { username: 'a', password: 'b' }],
    ],
    field: 'Authorization',
    parameter: null,
  },
  bearer: { keys: {}, rendered: `Bearer ${secretText}`, bad: [], field: 'Authorization', parameter: null },
  'gcp-service-account': {
    keys: { scopes: ['https://www.googleapis.com/auth/devstorage.read_only'] },
    secret: JSON.stringify(
      { type: 'service_account', client_email: 'a@b.test', private_key: keyPem, private_key_id: 'k1' },
      null,
      2,
    ),
    mints: { token, answer: oauthAnswer() },
    rendered: `Bearer ${token}`,
    bad: [
      ['no scopes', {}],
      ['an empty list of scopes', { scopes: [] }],
      ['a scope with a space', { scopes: ['a b'] }],
      ['plain http', { scopes: ['a'], tokenUrl: 'http://login.good.test/' }],
      ['the key written down', { scopes: ['a'], privateKey: 'x' }],
    ],
    field: 'Authorization',
    parameter: null,
  },
  'github-app': {
    keys: { appId: 12, installationId: '34', apiUrl: 'https://api.good.test', permissions: { contents: 'read' } },
    secret: keyPem,
    mints: {
      token,
      answer: { status: 201, body: Buffer.from(JSON.stringify({ token, expires_at: '2026-11-21T13:00:00Z' })) },
    },
    rendered: `Bearer ${token}`,
    bad: [
      ['no app', { installationId: 34 }],
      ['no installation', { appId: 12 }],
      ['an installation with a slash', { appId: 12, installationId: '3/4' }],
      ['a repository with its owner', { appId: 12, installationId: 34, repositories: ['a/b'] }],
      ['a permission that is none', { appId: 12, installationId: 34, permissions: { contents: 'all' } }],
      ['plain http', { appId: 12, installationId: 34, apiUrl: 'http://api.good.test' }],
    ],
    field: 'Authorization',
    parameter: null,
  },
  header: {
    keys: { header: 'X-Secret-Thing', format: 'token "{}" {x}' },
    rendered: `token "${secretText}" {x}`,
    bad: [
      ['no name', {}],
      ['a name that is no token', { header: 'x y' }],
      ['a name with a line break', { header: 'x\r\ny' }],
      ['Host', { header: 'Host' }],
      ['a field that frames', { header: 'content-Length' }],
      ['a field of one hop', { header: 'Proxy-Authorization' }],
      ['a format without the place', { header: 'x-a', format: 'token' }],
      ['a format with two places', { header: 'x-a', format: '{}{}' }],
      ['a format with a line break', { header: 'x-a', format: '{}\r\nHost: b' }],
    ],
    field: 'X-Secret-Thing',
    parameter: null,
  },
  mtls: {
    keys: {},
    secret: createClientCertificate(new Date('2026-01-01'), new Date('2027-01-01')).pem,
    rendered: null,
    bad: [
      ['a certificate written down', { certificate: 'x' }],
      ['a key written down', { key: 'x' }],
    ],
    field: 'Authorization',
    parameter: null,
  },
  'oauth2-client-credentials': {
    keys: { tokenUrl, clientId: 'client', scope: 'read write', audience: 'https://api.good.test' },
    mints: { token, answer: oauthAnswer() },
    rendered: `Bearer ${token}`,
    bad: badUrls,
    field: 'Authorization',
    parameter: null,
  },
  'oauth2-refresh': {
    keys: { tokenUrl, clientId: 'client' },
    mints: { token, answer: oauthAnswer({ refresh_token: 'rotated-0123456789' }) },
    rendered: `Bearer ${token}`,
    bad: badUrls,
    field: 'Authorization',
    parameter: null,
  },
  placeholder: {
    keys: { in: [{ header: 'X-Secret-Thing' }, { basic: true }, { query: 'app_pass' }] },
    rendered: secretText,
    bad: [
      ['no places', {}],
      ['an empty list of places', { in: [] }],
      ['a place in words', { in: ['header'] }],
      ['two places in one', { in: [{ header: 'x-a', query: 'a' }] }],
      ['Basic that is not', { in: [{ basic: false }] }],
      ['a forwarding field', { in: [{ header: 'X-Forwarded-For' }] }],
      ['another forwarding field', { in: [{ header: 'x-a' }, { header: 'Forwarded' }] }],
      ['Via', { in: [{ header: 'via' }] }],
      ['X-Real-IP', { in: [{ header: 'X-Real-IP' }] }],
      ['Host', { in: [{ header: 'Host' }] }],
      ['a field of one hop', { in: [{ header: 'TE' }] }],
      ['a parameter with an ampersand', { in: [{ query: 'a&b' }] }],
    ],
    field: 'X-Secret-Thing',
    parameter: 'app_pass',
    asks: (placeholder) => ['X-Secret-Thing', placeholder],
  },
  query: {
    keys: { parameter: 'app_pass' },
    rendered: `app_pass=${encodeURIComponent(secretText)}`,
    bad: [
      ['no name', {}],
      ['a name with an ampersand', { parameter: 'a&b' }],
      ['a name with an equals sign', { parameter: 'a=b' }],
    ],
    field: null,
    parameter: 'app_pass',
  },
}

for (const kind of credentialKinds) {
  const example = examples[kind.kind]
  if (example !== undefined) credentialKindSuite(kind, example)
}

test('every kind has a file, a line in the list and an example here', () => {
  const folder = new URL('../../src/credentials/kinds', import.meta.url)
  const files = readdirSync(folder).filter((name) => name !== 'index.ts')
  expect(credentialKinds.map(({ kind }) => `${kind}.ts`)).toEqual(files.sort())
  expect(Object.keys(examples)).toEqual(credentialKinds.map(({ kind }) => kind))
})
