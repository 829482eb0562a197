import { expect, it } from 'vitest'
import { riskyEnvironment } from '../../../src/config/risky-environment.ts'

it.each([
  ['NODE_TLS_REJECT_UNAUTHORIZED', '0'],
  ['NODE_DEBUG', 'http'],
  ['OPENSSL_CONF', '/etc/ssl/openssl.cnf'],
  ['NODE_OPTIONS', '--require ./spy.js'],
  ['NODE_OPTIONS', '--import=./spy.js'],
  ['NODE_OPTIONS', '--insecure-http-parser'],
  ['NODE_OPTIONS', '--tls-min-v1.0'],
  ['NODE_OPTIONS', '--inspect'],
  ['NODE_OPTIONS', '--max-old-space-size=400 --tls_keylog=/tmp/k'],
  ['NODE_OPTIONS', '--what-comes-next'],
])('a gateway does not start with %s=%s (decision 27)', (name, value) => {
  expect(riskyEnvironment({ [name]: value }).map(({ file }) => file)).toContain(name)
})

it.each([
  ['NODE_OPTIONS', '--max-old-space-size=400 --enable-source-maps'],
  ['NODE_OPTIONS', ''],
  ['NODE_EXTRA_CA_CERTS', '/etc/ca.pem'],
  ['NODE_ENV', 'production'],
])('it does with %s=%s', (name, value) => {
  expect(riskyEnvironment({ [name]: value })).toEqual([])
})
