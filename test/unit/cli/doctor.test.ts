import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { clients, type Surroundings, wiringOf } from '../../../src/cli/client-wiring.ts'
import { environmentTable, sandboxEnvironment } from '../../../src/config/sandbox-environment.ts'
import { directoryWith, say } from './fake-world.ts'

const [ca = '', other = ''] = rootCertificates

const sandbox = (folder: string): Record<string, string> =>
  sandboxEnvironment({
    proxyUrl: 'http://s-1:token@127.0.0.1:3128',
    files: { ca: join(folder, 'ca.pem'), bundle: join(folder, 'bundle.pem'), trustStore: join(folder, 'store.jks') },
    placeholders: {},
    jvm: true,
  })

const surroundings = (env: Record<string, string>, more: Partial<Surroundings> = {}): Surroundings => ({
  env,
  trusts: (file) => file.endsWith('.pem'),
  systemTrusts: true,
  nodeVersion: 'v26.10.0',
  ...more,
})

describe('what a client needs', () => {
  test.each(clients.map((client) => [client.name, client] as const))('our environment wires %s', (_name, client) => {
    const { verdict } = wiringOf(client, surroundings(sandbox('/run/sallyport')))
    expect(verdict).toBe(client.byHand === undefined ? 'wired' : 'by hand')
  })

  test.each(clients.map((client) => [client.name, client] as const))('none wires none: %s', (_name, client) => {
    const nothing = { trusts: () => false, systemTrusts: false, nodeVersion: null }
    expect(wiringOf(client, surroundings({}, nothing)).verdict).not.toBe('wired')
  })

  test('variables are those of our own table', () => {
    const known = new Set([...environmentTable.map(([name]) => name), 'JAVA_TOOL_OPTIONS'])
    const named = clients.flatMap(({ proxy, roots, fixed = {} }) => [
      ...proxy,
      ...(roots === 'system' ? [] : roots),
      ...Object.keys(fixed),
    ])
    expect(named.filter((name) => !known.has(name))).toEqual([])
  })

  test.each([
    ['v20.20.2', 'not wired'],
    ['v22.20.0', 'not wired'],
    ['v22.21.0', 'wired'],
    ['v23.11.0', 'not wired'],
    ['v24.4.1', 'not wired'],
    ['v24.5.0', 'wired'],
    ['v26.10.0', 'wired'],
    [null, 'not wired'],
  ])('Node %s is %s', (nodeVersion, verdict) => {
    const node = clients.find(({ program }) => program === 'node')
    expect(node && wiringOf(node, surroundings(sandbox('/x'), { nodeVersion })).verdict).toBe(verdict)
  })
})

describe('doctor', () => {
  const home = directoryWith({
    'ca.pem': ca,
    'bundle.pem': `${other}\n${ca.replaceAll('\n', '\r\n')}\n`,
    'other.pem': other,
  })
  const programs = join(home, 'programs')
  mkdirSync(programs)
  for (const name of ['curl', 'git', 'docker']) {
    writeFileSync(join(programs, name), '')
    chmodSync(join(programs, name), 0o755)
  }
  writeFileSync(join(programs, 'wget'), 'not to be run')
  const env = { ...sandbox(home), PATH: programs }

  test('names each client that is there, and whether it is wired', async () => {
    const { code, out } = await say(['doctor'], { cwd: home, env })
    expect(out.split('\n').map((line) => line.replaceAll(/ {2,}/g, ' | '))).toEqual([
      'wired | curl | finds the gateway and trusts its CA',
      expect.stringMatching(/^by hand \| Docker \| its daemon stands outside/),
      'wired | git | finds the gateway and trusts its CA',
      '3 clients found, none astray',
      '',
    ])
    expect(code).toBe(0)
  })

  test.each([
    [{ https_proxy: 'http://old:1' }, 'curl', 'https_proxy does not name the gateway'],
    [{ CURL_CA_BUNDLE: join(home, 'other.pem') }, 'curl', 'CURL_CA_BUNDLE names no file that holds the CA'],
    [{ GIT_SSL_CAINFO: '' }, 'git', 'GIT_SSL_CAINFO is not set'],
    [{ GIT_HTTP_PROXY_AUTHMETHOD: 'ntlm' }, 'git', 'GIT_HTTP_PROXY_AUTHMETHOD is not basic'],
    [{ NODE_EXTRA_CA_CERTS: '/nowhere' }, 'curl', 'CURL_CA_BUNDLE names no file that holds the CA'],
  ])('%o is seen', async (change, client, detail) => {
    const { code, out } = await say(['doctor', '--json'], { cwd: home, env: { ...env, ...change } })
    const findings = JSON.parse(out) as { client: string; verdict: string; detail: string }[]
    expect(code).toBe(1)
    expect(findings.find((one) => one.client === client)).toMatchObject({ verdict: 'not wired', detail })
  })

  test('a file without a certificate is wrong usage', async () => {
    const { code, err } = await say(['doctor', '--ca', 'programs/curl'], { cwd: home, env })
    expect([code, err]).toEqual([2, 'sallyport: programs/curl holds no certificate\n'])
  })
})
