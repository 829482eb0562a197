import { describe, expect, test } from 'vitest'
import { childEnvironment } from '../../../src/cli/child-environment.ts'
import { environmentTable, sandboxEnvironment } from '../../../src/config/sandbox-environment.ts'

const options = {
  proxyUrl: 'http://s-1:token@127.0.0.1:4000',
  files: { ca: '/run/ca.pem', bundle: '/run/bundle.pem', trustStore: '/run/truststore.jks' },
  placeholders: { ANTHROPIC_API_KEY: 'sk-ant-placeholder' },
  jvm: false,
}
const sandbox = sandboxEnvironment(options)

function child(inherited: Record<string, string>, secrets: readonly string[] = []): Record<string, string> {
  return childEnvironment({ inherited, secretVariables: new Set(secrets), sandbox, isIsolated: false })
}

describe('what a command inherits', () => {
  test.each([
    ["a variable that is nobody's business stays", { LANG: 'C' }, 'LANG', 'C'],
    ['an inherited proxy gives way to ours', { HTTPS_PROXY: 'http://old' }, 'HTTPS_PROXY', sandbox['HTTPS_PROXY']],
    ['an inherited proxy in another spelling is gone', { Https_Proxy: 'http://old' }, 'Https_Proxy', undefined],
    ['an inherited exception list gives way to ours', { NO_PROXY: '*' }, 'NO_PROXY', sandbox['NO_PROXY']],
    ['an inherited CA file gives way to ours', { SSL_CERT_FILE: '/x' }, 'SSL_CERT_FILE', '/run/bundle.pem'],
    ['a directory of CAs beside ours is gone', { SSL_CERT_DIR: '/x' }, 'SSL_CERT_DIR', undefined],
    ["npm's own proxy setting is gone", { npm_config_https_proxy: 'http://old' }, 'npm_config_https_proxy', undefined],
    ["npm's CA in upper case does not stand beside ours", { NPM_CONFIG_CAFILE: '/x' }, 'NPM_CONFIG_CAFILE', undefined],
    ["gRPC's exception list is gone", { no_grpc_proxy: '*' }, 'no_grpc_proxy', undefined],
    ['what is ours is gone', { SALLYPORT_ADMIN_TOKEN: 'x' }, 'SALLYPORT_ADMIN_TOKEN', undefined],
    ['what is ours in another spelling is gone', { Sallyport_Token: 'x' }, 'Sallyport_Token', undefined],
    [
      'a real key gives way to its placeholder',
      { ANTHROPIC_API_KEY: 'real' },
      'ANTHROPIC_API_KEY',
      'sk-ant-placeholder',
    ],
  ])('%s', (_name, inherited, name, expected) => {
    expect(child(inherited)[name]).toBe(expected)
  })

  test('a variable that a secret is read from is gone, whatever it is called', () => {
    expect(child({ GH_PAT: 'real', PATH: '/bin' }, ['GH_PAT'])).toEqual({ ...sandbox, PATH: '/bin' })
  })

  test("only with a JVM's options of our own are those gone that it would take before them", () => {
    const inherited = { JAVA_TOOL_OPTIONS: '-Dx=1', JDK_JAVA_OPTIONS: '-Dx=2', _JAVA_OPTIONS: '-Dx=3' }
    expect(child(inherited)).toEqual({ ...sandbox, ...inherited })
    const withJvm = sandboxEnvironment({ ...options, jvm: true })
    const asked = { inherited, secretVariables: new Set<string>(), sandbox: withJvm, isIsolated: false }
    expect(childEnvironment(asked)).toEqual(withJvm)
  })

  test('every variable of the table is ours whatever was inherited', () => {
    const inherited = Object.fromEntries(environmentTable.map(([name]) => [name, 'inherited']))
    expect(child(inherited)).toEqual(sandbox)
  })
})
