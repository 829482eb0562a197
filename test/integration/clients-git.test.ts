import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { type GitOrigin, incompressible, startGitOrigin } from '../support/git-origin.ts'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import { type Ran, type RealGateway, type Sandbox, startRealGateway } from '../support/real-clients.ts'
import { isInstalled, needs } from '../support/tools.ts'

const secret = 'ghs_the_real_token_0123456789'
const real = `Basic ${Buffer.from(`x-access-token:${secret}`).toString('base64')}`
const packBytes = 3 * 1024 * 1024

let origin: GitOrigin
let site: Site
let world: RealGateway
let first: string
beforeAll(async () => {
  if (!(await isInstalled('git'))) return
  origin = await startGitOrigin({ repositories: ['team/public.git', 'private/code.git'], authorization: real })
  first = await origin.commit('team/public.git', 'large.bin', incompressible(packBytes))
  await origin.commit('private/code.git', 'README', 'private\n')
  site = await startSite(origin.handler)
  const addresses = ['127.0.0.0/8']
  const ports = [site.httpsPort]
  const reading = (host: string) => [
    { host, addresses, ports, methods: ['GET'], paths: ['/*/*/info/refs'], query: { service: 'git-upload-pack' } },
    { host, addresses, ports, methods: ['POST'], paths: ['/*/*/git-upload-pack'] },
  ]
  world = await startRealGateway({
    hosts: ['git.test', 'private.test'],
    originCa: site.ca.certificate,
    credentials: [
      {
        name: 'git',
        kind: 'basic',
        username: 'x-access-token',
        hosts: ['private.test'],
        placeholder: { env: 'GIT_TOKEN', like: 'ghs_{36}' },
      },
    ],
    secrets: { git: secret },
    policies: {
      writes: [{ host: 'git.test', addresses, ports, paths: ['/team/**'] }],
      reads: [...reading('git.test'), ...reading('private.test').map((rule) => ({ ...rule, credential: 'git' }))],
    },
  })
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
  await site?.[Symbol.asyncDispose]()
  await origin?.[Symbol.asyncDispose]()
})
beforeEach((context) => needs(context, 'git'))
beforeEach(() => void site.requests.splice(0))

const url = (host: string, repository: string): string => `https://${host}:${site.httpsPort}/${repository}`
const git = (sandbox: Sandbox, ...args: readonly string[]): Promise<Ran> =>
  sandbox.run('git', args, { env: { GIT_TERMINAL_PROMPT: '0', GIT_CONFIG_NOSYSTEM: '1' } })

it('clones over protocol 2 a pack of megabytes, whole', async () => {
  const sandbox = await world.sandbox('reads')
  const { result, records } = await world.watch(3, () =>
    git(sandbox, 'clone', '-q', url('git.test', 'team/public.git'), 'c'),
  )
  expect(result).toMatchObject({ code: 0, said: '' })
  expect(await readFile(join(sandbox.directory, 'c/.git/refs/heads/main'), 'utf8')).toBe(`${first}\n`)
  expect((await stat(join(sandbox.directory, 'c/large.bin'))).size).toBe(packBytes)
  expect(records).toMatchObject([
    { outcome: 'allow', method: 'GET', path: '/team/public.git/info/refs' },
    { outcome: 'allow', method: 'POST', path: '/team/public.git/git-upload-pack' },
    { outcome: 'allow', method: 'POST', path: '/team/public.git/git-upload-pack' },
  ])
  expect(records[2]?.bytesDown).toBeGreaterThan(packBytes)
  expect(site.requests.map(({ headers }) => headers['git-protocol'])).toEqual(['version=2', 'version=2', 'version=2'])
})

it('fetches what came since', async () => {
  const sandbox = await world.sandbox('reads')
  await git(sandbox, 'clone', '-q', url('git.test', 'team/public.git'), 'c')
  const next = await origin.commit('team/public.git', 'next', 'more\n')
  const { result } = await world.watch(3, () => git(sandbox, '-C', 'c', 'fetch', '-q'))
  expect(result).toMatchObject({ code: 0 })
  expect((await git(sandbox, '-C', 'c', 'rev-parse', 'origin/main')).stdout.trim()).toBe(next)
})

it('does not push: the first question of a push is refused already', async () => {
  const sandbox = await world.sandbox('reads')
  await git(sandbox, 'clone', '-q', url('git.test', 'team/public.git'), 'c')
  await writeFile(join(sandbox.directory, 'c/mine'), 'mine\n')
  const identity = ['-c', 'user.name=Test', '-c', 'user.email=test@git.test']
  await git(sandbox, '-C', 'c', 'add', 'mine')
  await git(sandbox, '-C', 'c', ...identity, 'commit', '-q', '-m', 'mine')
  site.requests.splice(0)
  const { result, records } = await world.watch(1, () => git(sandbox, '-C', 'c', 'push', '-q', 'origin', 'main'))
  expect(result.code).toBe(128)
  expect(result.stderr).toContain('403')
  expect(records[0]).toMatchObject({ outcome: 'deny', reason: 'path_not_allowed', path: '/team/public.git/info/refs' })
  expect(site.requests).toEqual([])
})

it('pushes a pack of megabytes in chunks of its own, where that is allowed', async () => {
  const sandbox = await world.sandbox('writes')
  await git(sandbox, 'clone', '-q', '--depth=1', url('git.test', 'team/public.git'), 'c')
  await writeFile(join(sandbox.directory, 'c/mine'), incompressible(packBytes))
  const identity = ['-c', 'user.name=Test', '-c', 'user.email=test@git.test']
  await git(sandbox, '-C', 'c', 'add', 'mine')
  await git(sandbox, '-C', 'c', ...identity, 'commit', '-q', '-m', 'mine')
  const { result, records } = await world.watch(3, () => git(sandbox, '-C', 'c', 'push', '-q', 'origin', 'main:mine'))
  expect(result).toMatchObject({ code: 0 })
  expect(records.map(({ path }) => path)).toEqual([
    '/team/public.git/info/refs',
    '/team/public.git/git-receive-pack',
    '/team/public.git/git-receive-pack',
  ])
  expect(site.requests.at(-1)?.headers).toMatchObject({ 'transfer-encoding': 'chunked' })
  expect(records[2]?.bytesUp).toBeGreaterThan(packBytes)
  const mine = (await git(sandbox, '-C', 'c', 'rev-parse', 'HEAD')).stdout.trim()
  const listed = await git(sandbox, 'ls-remote', url('git.test', 'team/public.git'), 'refs/heads/mine')
  expect(listed.stdout).toBe(`${mine}\trefs/heads/mine\n`)
})

it('shows the number only of a host that is denied', async () => {
  const sandbox = await world.sandbox('reads')
  const { result, records } = await world.watch(1, () => git(sandbox, 'clone', '-q', url('denied.test', 'a/b.git')))
  expect(result.code).toBe(128)
  expect(result.stderr).toContain('403')
  expect(records[0]).toMatchObject({ kind: 'connect', outcome: 'deny', reason: 'host_not_allowed' })
})

// What a CI checkout does; a token in the URL is sent after a challenge only, and there is none: the proxy answers first.
it.for([
  { how: 'nothing at all', args: () => [], repository: () => url('private.test', 'private/code.git') },
  {
    how: 'the placeholder in a header',
    args: ({ env }: Sandbox) => [
      '-c',
      `http.extraHeader=Authorization: Basic ${Buffer.from(`x-access-token:${env['GIT_TOKEN']}`).toString('base64')}`,
    ],
    repository: () => url('private.test', 'private/code.git'),
  },
  {
    how: 'the placeholder in the URL',
    args: () => [],
    repository: ({ env }: Sandbox) =>
      url('private.test', 'private/code.git').replace('://', `://x-access-token:${env['GIT_TOKEN']}@`),
  },
])('clones a private repository with $how', async ({ args, repository }) => {
  const sandbox = await world.sandbox('reads')
  const { result, records } = await world.watch(3, () =>
    git(sandbox, ...args(sandbox), 'clone', '-q', repository(sandbox), 'c'),
  )
  expect(result).toMatchObject({ code: 0, said: '' })
  expect(records.map(({ credentials }) => credentials)).toEqual([['git'], ['git'], ['git']])
  expect(new Set(site.requests.map(({ headers }) => headers.authorization))).toEqual(new Set([real]))
  expect(await readFile(join(sandbox.directory, 'c/README'), 'utf8')).toBe('private\n')
})

it('is refused with a token of its own', async () => {
  const sandbox = await world.sandbox('reads')
  const header = `http.extraHeader=Authorization: Basic ${Buffer.from('somebody:else').toString('base64')}`
  const { records } = await world.watch(1, () =>
    git(sandbox, '-c', header, 'clone', '-q', url('private.test', 'private/code.git'), 'c'),
  )
  expect(records[0]).toMatchObject({ outcome: 'deny', reason: 'foreign_credential' })
  expect(site.requests).toEqual([])
})

it('shows its proxy credentials at once, and without GIT_HTTP_PROXY_AUTHMETHOD when asked', async () => {
  const sandbox = await world.sandbox('reads')
  expect(sandbox.env['GIT_HTTP_PROXY_AUTHMETHOD']).toBe('basic')
  const args = ['ls-remote', url('git.test', 'team/public.git')]
  await world.watch(2, () => git(sandbox, ...args))
  const { result, records } = await world.watch(3, () =>
    sandbox.run('git', args, { env: { GIT_HTTP_PROXY_AUTHMETHOD: undefined } }),
  )
  expect(result).toMatchObject({ code: 0 })
  expect(records.map(({ outcome }) => outcome)).toEqual(['challenge', 'allow', 'allow'])
})
