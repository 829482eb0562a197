import { describe, expect, it } from 'vitest'
import { environmentTable, sandboxEnvironment } from '../../../src/config/sandbox-environment.ts'

const proxyUrl = 'http://s-1:token_-1@10.0.0.1:3128'
const files = { ca: '/public/ca.pem', bundle: '/public/bundle.pem', trustStore: '/public/truststore.jks' }

function environment(changes: Partial<Parameters<typeof sandboxEnvironment>[0]> = {}): Record<string, string> {
  return sandboxEnvironment({ proxyUrl, files, placeholders: {}, jvm: false, ...changes })
}

describe('the environment of a sandbox', () => {
  it.each([
    'HTTP_PROXY',
    'http_proxy',
    'HTTPS_PROXY',
    'https_proxy',
    'ALL_PROXY',
    'all_proxy',
    'grpc_proxy',
    'YARN_HTTP_PROXY',
    'YARN_HTTPS_PROXY',
  ])('%s is the proxy with its credentials', (name) => {
    expect(environment()[name]).toBe(proxyUrl)
  })

  it.each(['NODE_EXTRA_CA_CERTS', 'DENO_CERT'])('%s adds a root: our CA alone', (name) => {
    expect(environment()[name]).toBe(files.ca)
  })

  it.each([
    'SSL_CERT_FILE',
    'REQUESTS_CA_BUNDLE',
    'CURL_CA_BUNDLE',
    'GIT_SSL_CAINFO',
    'PIP_CERT',
    'CARGO_HTTP_CAINFO',
    'AWS_CA_BUNDLE',
    'GRPC_DEFAULT_SSL_ROOTS_FILE_PATH',
    'npm_config_cafile',
    'BUNDLE_SSL_CA_CERT',
    'CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE',
  ])('%s replaces the store: system roots and ours', (name) => {
    expect(environment()[name]).toBe(files.bundle)
  })

  it.each([
    ['NODE_USE_ENV_PROXY', '1'],
    ['GIT_HTTP_PROXY_AUTHMETHOD', 'basic'],
    ['UV_SYSTEM_CERTS', '1'],
    ['CLOUDSDK_PROXY_TYPE', 'http'],
    ['CLOUDSDK_PROXY_ADDRESS', '10.0.0.1'],
    ['CLOUDSDK_PROXY_PORT', '3128'],
    ['CLOUDSDK_PROXY_USERNAME', 's-1'],
    ['CLOUDSDK_PROXY_PASSWORD', 'token_-1'],
    ['NO_PROXY', 'localhost,127.0.0.1,::1,10.0.0.1'],
    ['no_proxy', 'localhost,127.0.0.1,::1,10.0.0.1'],
  ])('%s is %s', (name, value) => {
    expect(environment()[name]).toBe(value)
  })

  it('names each variable once, gives each a value, and has nothing else', () => {
    const names = environmentTable.map(([name]) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(Object.keys(environment()).sort()).toEqual([...names].sort())
    expect(Object.values(environment()).filter((value) => value === '')).toEqual([])
  })

  it('names the proxy once in NO_PROXY, with wildcards nowhere', () => {
    expect(environment({ proxyUrl: 'http://a:b@127.0.0.1:3128' })['NO_PROXY']).toBe('localhost,127.0.0.1,::1')
    expect(environment({ proxyUrl: 'http://a:b@[::1]:3128' })['NO_PROXY']).toBe('localhost,127.0.0.1,::1')
    expect(environment({ proxyUrl: 'http://a:b@gate.test' })['CLOUDSDK_PROXY_PORT']).toBe('80')
  })

  it('has a placeholder for each credential that has one', () => {
    expect(environment({ placeholders: { ANTHROPIC_API_KEY: 'sk-ant-x' } })['ANTHROPIC_API_KEY']).toBe('sk-ant-x')
  })

  it('tells a JVM of proxy and trust store only when asked, and never its password: a JVM prints what it picks up', () => {
    expect(environment()['JAVA_TOOL_OPTIONS']).toBeUndefined()
    const options = environment({ jvm: true })['JAVA_TOOL_OPTIONS'] ?? ''
    expect(options.split(' ')).toEqual(
      expect.arrayContaining([
        '-Dhttp.proxyHost=10.0.0.1',
        '-Dhttp.proxyPort=3128',
        '-Dhttps.proxyHost=10.0.0.1',
        '-Dhttps.proxyPort=3128',
        '-Djavax.net.ssl.trustStore=/public/truststore.jks',
        '-Djavax.net.ssl.trustStoreType=JKS',
        '-Djavax.net.ssl.trustStorePassword=changeit',
      ]),
    )
    expect(options).not.toContain('token')
  })

  it.each([
    ['/a b/t.jks', `"-Djavax.net.ssl.trustStore=/a b/t.jks"`],
    ["/a'b/t.jks", `"-Djavax.net.ssl.trustStore=/a'b/t.jks"`],
    ['/a "b/t.jks', `"-Djavax.net.ssl.trustStore=/a "'"'"b/t.jks"`],
  ])('quotes %s so that a JVM takes it as one option', (trustStore, quoted) => {
    const options = environment({ jvm: true, files: { ...files, trustStore } })['JAVA_TOOL_OPTIONS']
    expect(options).toContain(` ${quoted} -D`)
  })
})
