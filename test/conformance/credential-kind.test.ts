import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { credentialKinds } from '../../src/credentials/kinds/index.ts'
import { credentialKindSuite, type KindExample, secretText } from './credential-kind.suite.ts'

const examples: Readonly<Record<string, KindExample>> = {
  'aws-sigv4': {
    keys: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', region: 'eu-central-1' },
    rendered: 'Credential=AKIAIOSFODNN7EXAMPLE/20261121/eu-central-1/s3/aws4_request',
    bad: [
      ['no id', {}],
      ['an id that is none', { accessKeyId: 'akia' }],
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
