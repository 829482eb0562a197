/** `sallyport run -- CMD`, as a laptop user calls it. */

import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import { runCli, spawnCli } from '../support/spawned-cli.ts'
import { needs } from '../support/tools.ts'
import { say } from '../unit/cli/fake-world.ts'

const secret = 'a-real-secret-of-the-user-0123456789'

let home: string
let project: string
let site: Site
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'sallyport-home-'))
  project = join(home, 'project')
  site = await startSite((_request, response) => void response.end('the origin answers\n'))
  await mkdir(join(home, '.config', 'sallyport', 'policies'), { recursive: true, mode: 0o700 })
  await mkdir(project, { mode: 0o700 })
  await writeFile(join(home, '.config', 'sallyport', 'origin-ca.pem'), site.ca.certificate)
  await writeFile(join(home, '.config', 'sallyport', 'sallyport.yaml'), configText())
  await writeFile(join(home, '.config', 'sallyport', 'policies', 'docs.yaml'), policyText('docs', 'docs.test', 'GET'))
})
afterAll(async () => {
  await site[Symbol.asyncDispose]()
  await rm(home, { recursive: true, force: true })
})
beforeEach(async (context) => {
  await needs(context, 'curl')
  site.requests.splice(0)
  await writeFile(join(project, 'dev.yaml'), policyText('dev', 'api.test', 'POST', 'credential: example'))
})

function configText(): string {
  return `version: 1
policies: policies
upstream:
  extraCa: origin-ca.pem
  dns: { hosts: { api.test: 127.0.0.1, docs.test: 127.0.0.1, other.test: 127.0.0.1 } }
credentials:
  - name: example
    kind: bearer
    secret: { env: EXAMPLE_KEY }
    hosts: [api.test]
    placeholder: { env: EXAMPLE_TOKEN, like: "ex-{20}" }
`
}

function policyText(name: string, host: string, method: string, more = ''): string {
  return `version: 1
name: ${name}
rules:
  - host: ${host}
    ports: [${site.httpsPort}]
    addresses: [127.0.0.0/8]
    methods: [${method}]
    ${more}
`
}

const run = (argv: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  runCli(['run', ...argv], { cwd: project, env: { HOME: home, EXAMPLE_KEY: secret, ...env } })

const curl = 'curl -sS -o /dev/null -w "%{http_code}\\n"'

const javaProgram = `
import java.net.*;
import java.net.http.*;
import javax.net.ssl.HttpsURLConnection;

class Client extends Authenticator {
  protected PasswordAuthentication getPasswordAuthentication() {
    var user = URI.create(System.getenv("HTTPS_PROXY")).getUserInfo().split(":");
    return new PasswordAuthentication(user[0], user[1].toCharArray());
  }

  public static void main(String[] args) throws Exception {
    Authenticator.setDefault(new Client());
    var connection = (HttpsURLConnection) new URL(args[0]).openConnection();
    System.out.print(connection.getResponseCode() + " " + new String(connection.getInputStream().readAllBytes()));
    var client = HttpClient.newBuilder().authenticator(new Client()).proxy(ProxySelector.getDefault()).build();
    var request = HttpRequest.newBuilder(URI.create(args[0])).build();
    var response = client.send(request, HttpResponse.BodyHandlers.ofString());
    System.out.print(response.statusCode() + " " + response.body());
  }
}
`

describe('one whole run', () => {
  it('allows, injects, denies, explains and ends as the command ends', async () => {
    // What an agent could leave in the project: were it read, nothing would start.
    await writeFile(join(project, 'sallyport.yaml'), 'this is: [no configuration')
    const script = [
      `${curl} -X POST https://api.test:${site.httpsPort}/v1`,
      `${curl} https://docs.test:${site.httpsPort}/`,
      `${curl} -X POST https://docs.test:${site.httpsPort}/upload`,
      `${curl} https://other.test:${site.httpsPort}/`,
      `${curl} https://other.test:${site.httpsPort}/`,
      'echo "$EXAMPLE_TOKEN|$EXAMPLE_KEY|$SALLYPORT_LOG_LEVEL|$NODE_EXTRA_CA_CERTS|$Https_Proxy"',
      'exit 5',
    ].join('\n')
    const env = { SALLYPORT_LOG_LEVEL: 'info', Https_Proxy: 'http://127.0.0.1:1' }
    const flags = ['--policy', './dev.yaml', '--policy', 'docs', '--report', 'report.json']
    const { code, out, err } = await run([...flags, '--', 'sh', '-c', script], env)
    await rm(join(project, 'sallyport.yaml'))

    expect(code, err).toBe(5)
    const [first, second, third, , , variables = ''] = out.split('\n')
    expect([first, second, third]).toEqual(['200', '200', '403'])
    const [placeholder, key, ours, caFile = '', otherProxy] = variables.split('|')
    expect(placeholder).toMatch(/^ex-\w{20}$/)
    expect([key, ours, otherProxy]).toEqual(['', '', ''])
    expect(site.requests.map(({ url, headers }) => [url, headers.authorization])).toEqual([
      ['/v1', `Bearer ${secret}`],
      ['/', undefined],
    ])
    expect(existsSync(caFile), 'its state is gone').toBe(false)
    expect(caFile).toContain('sallyport-run-')
    expect(`${out}${err}`).not.toContain(secret)
    expect(err).toMatch(/not isolated/)
    expect(err).toMatch(/allowed: 2\n/)
    expect(err).toMatch(/1x +POST https:\/\/docs\.test:\d+\/upload +method_not_allowed/)
    expect(err).toMatch(/other\.test:\d+\S* +host_not_allowed/)

    const report = JSON.parse(await readFile(join(project, 'report.json'), 'utf8')) as Record<string, unknown>
    expect(report).toMatchObject({ version: 1, exitCode: 5, policies: ['./dev.yaml', 'docs'], mode: 'enforce' })
    expect(report['suggestedRules']).toContainEqual({
      host: 'docs.test',
      ports: [site.httpsPort],
      methods: ['POST'],
      paths: ['/upload'],
    })

    const [, lines = ''] = err.split('would allow it:\n')
    await writeFile(join(project, 'pasted.yaml'), `version: 1\nname: pasted\nrules:\n${lines}`)
    const checked = await runCli(['policy', 'check', 'pasted.yaml'], { cwd: project })
    expect([checked.code, checked.out]).toEqual([0, '1 file: no problems\n'])
  })

  it('lets a JVM trust our CA; what no flag can give it, the credentials of the proxy, its program brings', async (context) => {
    await needs(context, 'java')
    const temporary = join(home, "a temporary directory's")
    await mkdir(temporary)
    await writeFile(join(project, 'Client.java'), javaProgram)
    const url = `https://docs.test:${site.httpsPort}/`
    const env = { TMPDIR: temporary, _JAVA_OPTIONS: '-Djavax.net.ssl.trustStore=/none' }
    const { code, out, err } = await run(['--jvm', '--policy', 'docs', '--', 'java', 'Client.java', url], env)
    expect(out, err).toBe('200 the origin answers\n200 the origin answers\n')
    expect([code, site.requests.length]).toEqual([0, 2])
  })

  it('a policy file that the command rewrites stays what it was', async () => {
    const wide = policyText('dev', 'other.test', 'GET')
    const script = `printf '%s' '${wide}' > dev.yaml; sleep 0.4; ${curl} https://other.test:${site.httpsPort}/`
    const { out, err } = await run(['--quiet', '--policy', './dev.yaml', '--', 'sh', '-c', script])
    expect(site.requests, err).toEqual([])
    expect(out).not.toContain('200')
  })
})

describe('how it ends', () => {
  it.each([
    ['success', 'exit 0', [], 0],
    ['a failure', 'exit 77', [], 77],
    ['a signal', 'kill -KILL $$', [], 137],
    ['success, but something was denied', `${curl} http://other.test/; exit 0`, ['--fail-on-deny'], 1],
    ['a failure of its own beats ours', `${curl} http://other.test/; exit 9`, ['--fail-on-deny'], 9],
    ['success, and nothing was denied', 'exit 0', ['--fail-on-deny'], 0],
  ])('%s', async (_name, script, flags, expected) => {
    const { code } = await run([...flags, '--policy', 'docs', '--', 'sh', '-c', script])
    expect(code).toBe(expected)
  })

  it.each([
    [
      'a command that is not there',
      ['--', 'no-such-command-here'],
      127,
      /no-such-command-here: there is no such command/,
    ],
    ['a file that is no command', ['--', './dev.yaml'], 126, /\.\/dev\.yaml: EACCES/],
    ['an unknown policy', ['--policy', 'dosc', '--', 'true'], 2, /no policy "dosc"; there are: .*docs/],
    [
      'a policy file that is not there',
      ['--policy', './none.yaml', '--', 'true'],
      1,
      /none\.yaml: cannot be read: ENOENT/,
    ],
    [
      'a credential the policy has no place for',
      ['--policy', 'docs', '--credential', 'example', '--', 'true'],
      2,
      /it has none/,
    ],
    [
      'a credential nobody configured',
      ['--policy', './dev.yaml', '--credential', 'example=none', '--', 'true'],
      2,
      /no credential "none" is configured/,
    ],
  ])('%s is one line', async (_name, argv, expected, message) => {
    const { code, out, err } = await say(['run', ...argv], { cwd: project, env: { HOME: home, PATH: '/usr/bin:/bin' } })
    expect([code, out]).toEqual([expected, ''])
    expect(err).toMatch(message)
    expect(err).not.toContain('    at ')
  })

  it('passes signals on, each once', async () => {
    const script = `
      const signals = ['SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGTERM']
      for (const signal of signals) process.on(signal, () => {
        console.log('got ' + signal)
        if (signal === 'SIGTERM') process.exit(42)
      })
      setInterval(() => {}, 1000)
      console.log('ready')
    `
    const argv = ['run', '--quiet', '--', process.execPath, '-e', script]
    const { child, says, end } = spawnCli(argv, { cwd: project, env: { HOME: home } })
    await says(/ready/)
    for (const signal of ['SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGTERM'] as const) {
      child.kill(signal)
      await says(new RegExp(`got ${signal}`))
    }
    const { code, out } = await end
    expect(code).toBe(42)
    expect(out.match(/got/g)).toHaveLength(4)
  })
})
