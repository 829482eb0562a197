import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import { npmRegistry } from '../support/npm-registry.ts'
import { type Ran, type RealGateway, type Sandbox, startRealGateway } from '../support/real-clients.ts'
import { needs } from '../support/tools.ts'

const secret = 'registry-token-0123456789'

let site: Site
let world: RealGateway
beforeAll(async () => {
  const origin = (): string => `https://registry.test:${site.httpsPort}`
  const packages = [
    { name: 'plain-thing', version: '1.2.3', main: 'module.exports = 123\n' },
    { name: '@types/thing', version: '2.0.0', main: '' },
    { name: '@team/secret', version: '3.0.0', main: '' },
  ]
  const npm = npmRegistry(origin, packages)
  site = await startSite((request, response) =>
    request.url?.startsWith('/simple/') === true || request.url?.startsWith('/files/') === true
      ? pythonIndex(request.url, (status, type, body) => response.writeHead(status, { 'content-type': type }).end(body))
      : npm(request, response),
  )
  const rule = { host: 'registry.test', addresses: ['127.0.0.0/8'], ports: [site.httpsPort], methods: ['GET', 'HEAD'] }
  world = await startRealGateway({
    hosts: ['registry.test'],
    originCa: site.ca.certificate,
    credentials: [
      {
        name: 'registry',
        kind: 'bearer',
        hosts: ['registry.test'],
        placeholder: { env: 'NPM_TOKEN', like: 'npm_{36}' },
      },
    ],
    secrets: { registry: secret },
    policies: {
      // A scoped package is asked for with an encoded slash; the rule has to hold in both readings.
      packages: [
        {
          ...rule,
          paths: [
            '/plain-thing',
            '/plain-thing/-/*',
            '/@types%2f*',
            '/@types/*',
            '/@types/*/-/*',
            '/simple/**',
            '/files/*',
          ],
        },
      ],
      tokens: [{ ...rule, credential: 'registry' }],
    },
  })
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
  await site?.[Symbol.asyncDispose]()
})
beforeEach(() => void site.requests.splice(0))

describe('npm', () => {
  beforeEach((context) => needs(context, 'npm'))

  const install = (sandbox: Sandbox, names: readonly string[], npmrc = ''): Promise<Ran> =>
    installWith(sandbox, names, `registry=https://registry.test:${site.httpsPort}/\n${npmrc}`)

  async function installWith(sandbox: Sandbox, names: readonly string[], npmrc: string): Promise<Ran> {
    await writeFile(join(sandbox.directory, '.npmrc'), `${npmrc}audit=false\nfund=false\nupdate-notifier=false\n`)
    await writeFile(join(sandbox.directory, 'package.json'), '{"name":"agent","version":"1.0.0"}')
    return sandbox.run('npm', ['install', '--no-progress', ...names])
  }

  it('installs a package and a scoped one', async () => {
    const sandbox = await world.sandbox('packages')
    const { result, records } = await world.watch(4, () => install(sandbox, ['plain-thing', '@types/thing']))
    expect(result, result.said).toMatchObject({ code: 0 })
    const modules = join(sandbox.directory, 'node_modules')
    expect(await readFile(join(modules, 'plain-thing/index.js'), 'utf8')).toBe('module.exports = 123\n')
    await access(join(modules, '@types/thing/package.json'))
    expect(records.map(({ outcome, path }) => `${outcome} ${path}`).sort()).toEqual([
      'allow /@types%2fthing',
      'allow /@types/thing/-/thing-2.0.0.tgz',
      'allow /plain-thing',
      'allow /plain-thing/-/plain-thing-1.2.3.tgz',
    ])
    expect(site.requests.every(({ headers }) => headers.authorization === undefined)).toBe(true)
  })

  it('is refused a package no rule names, at once, and shows why', async () => {
    const sandbox = await world.sandbox('packages')
    const began = performance.now()
    const { result, records } = await world.watch(1, () => install(sandbox, ['@team/secret']))
    expect(performance.now() - began).toBeLessThan(8000)
    expect(result.code).not.toBe(0)
    expect(result.said).toContain('403')
    expect(result.said).toContain('(path_not_allowed) - do not retry or bypass - ask the user')
    expect(records[0]).toMatchObject({ outcome: 'deny', path: '/@team%2fsecret' })
    expect(site.requests).toEqual([])
  })

  it('is refused a registry no rule names, and shows why', async () => {
    const sandbox = await world.sandbox('packages')
    const { result, records } = await world.watch(1, () =>
      installWith(sandbox, ['plain-thing'], `registry=https://denied.test:${site.httpsPort}/\n`),
    )
    expect(result.code).not.toBe(0)
    expect(result.said).toContain('(host_not_allowed) - do not retry or bypass - ask the user')
    expect(records[0]).toMatchObject({ outcome: 'deny', reason: 'host_not_allowed' })
  })

  it('logs in with its placeholder, and the registry gets the token', async () => {
    const sandbox = await world.sandbox('tokens')
    expect(sandbox.env['NPM_TOKEN']).toMatch(/^npm_\w{36}$/)
    const login = `//registry.test:${site.httpsPort}/:_authToken=\${NPM_TOKEN}\n`
    const { result, records } = await world.watch(2, () => install(sandbox, ['@team/secret'], login))
    expect(result, result.said).toMatchObject({ code: 0 })
    expect(site.requests.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${secret}`, `Bearer ${secret}`])
    expect(records).toMatchObject([{ credentials: ['registry'] }, { credentials: ['registry'] }])
    expect(await readFile(join(sandbox.directory, 'package-lock.json'), 'utf8')).not.toContain(secret)
  })
})

describe('pip', () => {
  beforeEach(async (context) => {
    await needs(context, 'pip')
    if (wheel.length === 0) wheel = await makeWheel()
  })

  const download = (sandbox: Sandbox, host: string, more: readonly string[] = []): Promise<Ran> =>
    sandbox.run('pip', [
      'download',
      '--no-deps',
      '--no-input',
      '--no-cache-dir',
      '--disable-pip-version-check',
      '--dest=got',
      `--index-url=https://${host}:${site.httpsPort}/simple/`,
      ...more,
      'demo',
    ])

  it('downloads a wheel by its index', async () => {
    const sandbox = await world.sandbox('packages')
    const { result, records } = await world.watch(2, () => download(sandbox, 'registry.test'))
    expect(result, result.said).toMatchObject({ code: 0 })
    expect(await readFile(join(sandbox.directory, 'got', wheelName))).toEqual(wheel)
    expect(records).toMatchObject([{ path: '/simple/demo/' }, { path: `/files/${wheelName}` }])
  })

  it('shows the reason phrase of a refused CONNECT in a warning before it tries again, and none at the end', async () => {
    const sandbox = await world.sandbox('packages')
    const { result } = await world.watch(2, () => download(sandbox, 'denied.test', ['--retries', '1']))
    expect(result.code).not.toBe(0)
    expect(result.said).toContain('(host_not_allowed) - do not retry or bypass - ask the user')
  })
})

const wheelName = 'demo-1.0-py3-none-any.whl'
const wheelScript = `
import sys, zipfile
with zipfile.ZipFile(sys.stdout.buffer, 'w') as wheel:
    about = 'demo-1.0.dist-info/'
    wheel.writestr(about + 'METADATA', 'Metadata-Version: 2.1\\nName: demo\\nVersion: 1.0\\n')
    wheel.writestr(about + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr(about + 'RECORD', '')
`
let wheel: Buffer = Buffer.alloc(0)

/** A wheel is a zip, and Python writes those. */
async function makeWheel(): Promise<Buffer> {
  const { stdout } = await promisify(execFile)('python3', ['-c', wheelScript], { encoding: 'buffer' })
  return stdout
}

function pythonIndex(url: string, send: (status: number, type: string, body: Buffer | string) => void): void {
  if (url === '/simple/demo/') {
    const hash = createHash('sha256').update(wheel).digest('hex')
    send(200, 'text/html', `<!DOCTYPE html><a href="/files/${wheelName}#sha256=${hash}">${wheelName}</a>`)
  } else if (url === `/files/${wheelName}`) send(200, 'application/octet-stream', wheel)
  else send(404, 'text/plain', '')
}
