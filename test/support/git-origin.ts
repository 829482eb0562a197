/**
 * Git repositories over smart HTTP, as a site's handler: a bridge to git's own CGI program (RFC 3875), so that what
 * clients talk to is git.
 */

import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { access, constants, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { SiteHandler } from './local-ca-origin.ts'

const run = promisify(execFile)

export type GitOrigin = AsyncDisposable & {
  /** Answers below `/`; `/private/` asks for `Authorization` first. */
  readonly handler: SiteHandler
  /** Adds one commit to a repository; returns its id. */
  readonly commit: (repository: string, file: string, content: Buffer | string) => Promise<string>
}

export type GitOriginOptions = {
  readonly repositories: readonly string[]
  /** What `/private/` takes as Authorization. */
  readonly authorization: string
}

/** Settings that keep the machine's own git configuration out. */
const ownConfig = { GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' }
const author = {
  GIT_AUTHOR_NAME: 'Test',
  GIT_AUTHOR_EMAIL: 'test@git.test',
  GIT_COMMITTER_NAME: 'Test',
  GIT_COMMITTER_EMAIL: 'test@git.test',
}
const env = { PATH: process.env['PATH'] ?? '', ...ownConfig, ...author }

export async function startGitOrigin(options: GitOriginOptions): Promise<GitOrigin> {
  const root = await mkdtemp(join(tmpdir(), 'sallyport-git-'))
  for (const name of options.repositories) {
    await mkdir(join(root, name), { recursive: true })
    await run('git', ['init', '-q', '--bare', '-b', 'main', join(root, name)], { env })
    await run('git', ['-C', join(root, name), 'config', 'http.receivepack', 'true'], { env })
  }
  const backend = await backendPath()
  return {
    handler: (request, response) => {
      const { authorization } = request.headers
      if (request.url?.startsWith('/private/') === true && authorization !== options.authorization) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end()
        return
      }
      bridge(backend, root, request, response)
    },
    commit: async (repository, file, content) => {
      const bare = join(root, repository)
      const work = await mkdtemp(join(root, 'work-'))
      const git = async (...args: string[]): Promise<string> =>
        (await run('git', ['--git-dir', bare, '--work-tree', work, ...args], { env, cwd: work })).stdout.trim()
      await writeFile(join(work, file), content)
      await git('add', '--intent-to-add', file)
      await git('commit', '-q', '-m', `add ${file}`, file)
      return git('rev-parse', 'HEAD')
    },
    async [Symbol.asyncDispose]() {
      await rm(root, { recursive: true, force: true })
    },
  }
}

/** Nothing shrinks it: a pack with it is as large as it is. */
export function incompressible(bytes: number): Buffer {
  return randomBytes(bytes)
}

async function backendPath(): Promise<string> {
  const { stdout } = await run('git', ['--exec-path'], { env })
  const path = join(stdout.trim(), 'git-http-backend')
  await access(path, constants.X_OK)
  return path
}

function bridge(backend: string, root: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '', 'http://git')
  const { headers } = request
  const child = spawn(backend, {
    env: {
      ...env,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method ?? '',
      CONTENT_TYPE: headers['content-type'] ?? '',
      REMOTE_USER: 'test',
      HTTP_GIT_PROTOCOL: text(headers['git-protocol']),
      HTTP_CONTENT_ENCODING: headers['content-encoding'] ?? '',
      ...(headers['content-length'] === undefined ? {} : { CONTENT_LENGTH: headers['content-length'] }),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  child.stdin.on('error', () => undefined)
  request.pipe(child.stdin)
  let head = Buffer.alloc(0)
  const onHead = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return
    child.stdout.off('data', onHead)
    writeHead(head.toString('latin1', 0, end), response)
    response.write(head.subarray(end + 4))
    child.stdout.pipe(response)
  }
  child.stdout.on('data', onHead)
  child.once('error', () => response.destroy())
  child.once('close', () => {
    if (!response.headersSent) response.destroy()
  })
  response.once('close', () => child.kill())
}

function writeHead(head: string, response: ServerResponse): void {
  const lines = head.split('\r\n').map((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()] as const
  })
  const status = lines.find(([name]) => name.toLowerCase() === 'status')?.[1] ?? '200'
  response.statusCode = Number.parseInt(status, 10)
  for (const [name, value] of lines) if (name.toLowerCase() !== 'status') response.appendHeader(name, value)
}

function text(value: string[] | string | undefined): string {
  return Array.isArray(value) ? value.join(', ') : (value ?? '')
}
