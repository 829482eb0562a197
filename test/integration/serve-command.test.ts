/** `sallyport serve` in a process of its own, and the commands that talk to it. */

import { X509Certificate } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCli, type Spawned, spawnCli } from '../support/spawned-cli.ts'
import { needs } from '../support/tools.ts'
import { say } from '../unit/cli/fake-world.ts'

type Facts = {
  readonly proxies: readonly string[]
  readonly control: string
  readonly ca: string
  readonly bundle: string
  readonly adminTokenPath: string
}
type Created = { readonly id: string; readonly token: string; readonly env: Readonly<Record<string, string>> }

let home: string
let serving: Spawned
let facts: Facts
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'sallyport-serve-'))
  await mkdir(join(home, 'policies'), { mode: 0o700 })
  await writePolicy('GET')
  const flags = ['--listen', '127.0.0.1:0', '--control', '127.0.0.1:0', '--policies', 'policies', '--json']
  serving = spawnCli(['serve', ...flags], { cwd: home })
  facts = JSON.parse(await serving.says(/adminTokenPath.*\n/)) as Facts
})
afterAll(async () => {
  serving.child.kill('SIGKILL')
  await rm(home, { recursive: true, force: true })
})

const writePolicy = (method: string): Promise<void> =>
  writeFile(
    join(home, 'policies', 'dev.yaml'),
    `version: 1\nname: dev\nrules: [{ host: docs.test, methods: [${method}] }]\n`,
  )

/** A command in this process that talks to the gateway in the other one. */
const ask = (argv: readonly string[], more: Parameters<typeof say>[1] = {}) =>
  say([...argv, '--control', facts.control], { cwd: home, ...more })

async function create(...flags: readonly string[]): Promise<Created> {
  const { code, out, err } = await ask(['session', 'create', '--policy', 'dev', '--json', ...flags])
  expect(code, err).toBe(0)
  return JSON.parse(out) as Created
}

describe('sessions from the shell', () => {
  it('are made, listed, shown, changed and ended', async () => {
    const { id } = await create('--ttl', '2h', '--label', 'team=a')
    const listed = JSON.parse((await ask(['session', 'list', '--json'])).out) as { id: string }[]
    expect(listed.map((session) => session.id)).toContain(id)
    expect((await ask(['session', 'list'])).out).toMatch(new RegExp(`${id} +dev@\\d+ +enforce +live .*team=a`))

    const changed = await ask(['session', 'update', id, '--mode', 'audit', '--policy', 'npm', '--json'])
    expect(JSON.parse(changed.out)).toMatchObject({ id, policy: 'npm', mode: 'audit', labels: { team: 'a' } })
    expect((await ask(['session', 'show', id])).out).toMatch(/policy +npm, version 1\n/)

    expect((await ask(['session', 'revoke', id])).out).toBe(`${id} revoked\n`)
    const gone = await ask(['session', 'show', id])
    expect([gone.code, gone.out]).toEqual([1, ''])
    expect(gone.err).toMatch(/^sallyport: There is no such session: .*\n$/)
  })

  it('take a policy of a file, and every problem of it is told before the gateway is asked', async () => {
    await writeFile(join(home, 'mine.yaml'), 'version: 1\nname: mine\nextends: [npm]\nrules: []\n')
    await writeFile(join(home, 'bad.yaml'), 'version: 1\nname: bad\nrules: [{ host: "*.com" }]\n')
    const { out } = await ask(['session', 'create', '--policy', './mine.yaml', '--json'])
    const { id } = JSON.parse(out) as Created
    expect(JSON.parse((await ask(['session', 'show', id, '--json'])).out)).toMatchObject({
      inline: true,
      policy: 'mine',
    })
    const bad = await ask(['session', 'create', '--policy', './bad.yaml'])
    expect([bad.code, bad.out]).toEqual([1, ''])
    expect(bad.err).toMatch(/bad\.yaml:3:\d+: rules\[0\]\.host/)
  })

  it('get their environment again from the token alone', async () => {
    const { id, token, env } = await create()
    const fromVariable = await ask(['env', '--session', id, '--json', '--proxy', facts.proxies[0] ?? ''], {
      env: { SALLYPORT_TOKEN: token },
    })
    expect(JSON.parse(fromVariable.out)).toEqual(env)
    const fromInput = await ask(
      ['env', '--session', id, '--format', 'docker', '--proxy', 'gateway:3128', '--ca-directory', '/etc/sallyport'],
      {
        stdin: `${token}\n`,
      },
    )
    expect(fromInput.out).toContain(`HTTPS_PROXY=http://${id}:${token}@gateway:3128\n`)
    expect(fromInput.out).toContain('NODE_EXTRA_CA_CERTS=/etc/sallyport/ca.pem\n')
    const forJvm = await ask(['env', '--jvm', '--format', 'docker', '--ca-directory', '/etc/sallyport'], {
      stdin: `${id}:${token}`,
    })
    expect(forJvm.out).toMatch(
      /^JAVA_TOOL_OPTIONS=.* -Djavax\.net\.ssl\.trustStore=\/etc\/sallyport\/truststore\.jks /m,
    )
    const asOne = await ask(['env', '--json', '--proxy', facts.proxies[0] ?? ''], { stdin: `${id}:${token}` })
    expect(JSON.parse(asOne.out)).toEqual(env)
  })

  it('get a new token', async () => {
    const { id, token } = await create()
    const fresh = (await ask(['session', 'token', id])).out.trim()
    expect(fresh).toMatch(/^[\w-]{43}$/)
    expect(fresh).not.toBe(token)
  })

  it.each([
    ['a wrong token', { SALLYPORT_ADMIN_TOKEN: 'wrong-wrong-wrong-wrong' }, /A control token is needed.*--token-file/],
    ['a policy that is not there', {}, /There is no such policy/],
  ])('%s is one line', async (_name, env, message) => {
    const { code, out, err } = await ask(['session', 'create', '--policy', 'none'], { env })
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(message)
    expect(err.trim().split('\n')).toHaveLength(1)
  })
})

describe('what happened', () => {
  it('is shown by logs, and followed by logs -f', async (context) => {
    await needs(context, 'curl')
    const { id, env } = await create()
    const following = spawnCli(['logs', '-f', '--session', id, '--control', facts.control], { cwd: home })
    const curl = ['-s', '-o', '/dev/null', 'http://denied.test/secret?query=1']
    const curlOnce = () => runCli(curl, { cwd: home, env, command: ['curl'] })
    await curlOnce()
    const line = /^\d\d:\d\d:\d\d\.\d{3} {2}DENY +s-\w+ {2}GET http:\/\/denied\.test\/secret {2}host_not_allowed/m
    await following.says(line)
    following.child.kill('SIGTERM')
    const { out } = await ask(['logs', '--denied', '--session', id])
    expect(out).toMatch(line)
    expect(out).not.toContain('query')
    const json = await ask(['logs', '--session', id, '--json'])
    expect(JSON.parse(json.out)).toMatchObject({ outcome: 'deny', reason: 'host_not_allowed', host: 'denied.test' })
    expect((await ask(['logs', '--session', 's-other', '--json'])).out).toBe('')
  })
})

describe('the CA', () => {
  it('is shown without its key, and where it stands', async () => {
    const { out } = await say(['ca', 'show'], { cwd: home })
    expect(out).toBe(await readFile(facts.ca, 'utf8'))
    expect((await say(['ca', 'path'], { cwd: home })).out).toBe(`${facts.ca}\n`)
    expect((await say(['ca', 'path', '--bundle'], { cwd: home })).out).toBe(`${facts.bundle}\n`)
    const store = (await say(['ca', 'path', '--trust-store'], { cwd: home })).out.trim()
    expect(store).toBe(join(dirname(facts.ca), 'truststore.jks'))
    expect((await readFile(store)).includes(new X509Certificate(out).raw)).toBe(true)
    expect((await say(['ca', 'path', '--bundle', '--trust-store'], { cwd: home })).code).toBe(2)
    expect((await say(['ca', 'bundle'], { cwd: home })).out).toContain(out)
    expect(out).not.toContain('PRIVATE')
  })
})

describe('the process', () => {
  it('a second one on the same port says so in one line with the fix', async () => {
    const { code, out, err } = await runCli(
      ['serve', '--listen', facts.proxies[0] ?? '', '--control', '127.0.0.1:0', '--state-directory', 'other'],
      { cwd: home },
    )
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/sallyport: the gateway does not start: .*EADDRINUSE.*--listen/)
  })

  it('reads its policies again on SIGHUP, and keeps what is in force when they are bad', async () => {
    await writeFile(join(home, 'policies', 'bad.yaml'), 'version: 1\nname: bad\nrules: [{ host: "*.com" }]\n')
    serving.child.kill('SIGHUP')
    await serving.says(/not reloaded/)
    await rm(join(home, 'policies', 'bad.yaml'))
    await writePolicy('POST')
    serving.child.kill('SIGHUP')
    await serving.says(/policies reloaded/)
    expect((await ask(['session', 'create', '--policy', 'dev'])).code).toBe(0)
  })

  it('prints lines that open a session and use it, and stops in order', async (context) => {
    await needs(context, 'curl')
    const flags = ['--listen', '127.0.0.1:0', '--control', '127.0.0.1:0', '--state-directory', 'third']
    const { says, child, end } = spawnCli(['serve', ...flags], { cwd: home })
    const welcome = await says(/curl -sSI.*\n/)
    const [open = ''] = welcome.match(/eval .*/) ?? []
    // Another host than the one that is printed: tests do without the internet.
    const script = `${open}\nset -e\ncurl -sS http://egress.local/\n`
    const used = await runCli(['-c', script], { cwd: '/', env: { HOME: home }, command: ['sh'] })
    expect(used.out, used.err).toContain('api.anthropic.com')
    child.kill('SIGTERM')
    const { code, signal, err } = await end
    expect([code, signal]).toEqual([0, null])
    expect(err).toContain('stopped')
  })
})
