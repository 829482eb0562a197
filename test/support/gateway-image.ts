/**
 * The image of `docker/Dockerfile`, built by buildah over a stand-in for the official Node image, and containers of it: a
 * read-only root, no capabilities, a user of its own, namespaces of its own. Needs root.
 */

import { execFile } from 'node:child_process'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Spawned, spawnCli } from './spawned-cli.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))

type ImageConfig = {
  readonly User: string
  readonly Entrypoint: readonly string[]
  readonly Cmd: readonly string[]
  readonly Env: readonly string[]
  readonly WorkingDir: string
  readonly Labels: Readonly<Record<string, string>>
  readonly Healthcheck: { readonly Test: readonly string[] }
}

export type GatewayImage = {
  readonly config: ImageConfig
  /** Its files. */
  readonly root: string
  /** Runs it with these files in /etc/sallyport; `pid` is that of its first process. */
  readonly start: (files: Readonly<Record<string, string>>) => Promise<Container>
}

export type Container = {
  readonly spawned: Spawned
  readonly pid: number
  /** As a probe or `docker exec` would run it; no shell in between. */
  readonly exec: (argv: readonly [string, ...string[]]) => Promise<{ readonly code: number; readonly said: string }>
}

export async function buildGatewayImage(directory: string): Promise<GatewayImage> {
  const storage = `driver = "vfs"\ngraphroot = "${directory}/store"\nrunroot = "${directory}/run"\n`
  await writeFile(join(directory, 'storage.conf'), `[storage]\n${storage}`)
  const env = {
    ...process.env,
    CONTAINERS_STORAGE_CONF: join(directory, 'storage.conf'),
    BUILDAH_ISOLATION: 'chroot',
    STORAGE_DRIVER: 'vfs',
  }
  const buildah = async (...args: readonly string[]): Promise<string> =>
    (await run('buildah', args, { cwd: root, env, maxBuffer: 1 << 26 })).stdout.trim()

  const dockerfile = await readFile(join(root, 'docker/Dockerfile'), 'utf8')
  const base = /^ARG NODE_IMAGE=(\S+)$/m.exec(dockerfile)?.[1] ?? ''
  const cache = (await run('npm', ['config', 'get', 'cache'])).stdout.trim()
  await run(join(root, 'test/support/node-base-image.sh'), [process.execPath, base], { env })
  await mkdir(cache, { recursive: true })
  const flags = ['--pull=never', '--format=docker', `--volume=${cache}:/root/.npm`, '--tag=sallyport']
  const context = ['--file=docker/Dockerfile', '--ignorefile=docker/Dockerfile.dockerignore']
  await buildah('bud', ...flags, ...context, '.')
  const image = await buildah('from', '--pull=never', 'localhost/sallyport')
  const files = await buildah('mount', image)
  const { Docker } = JSON.parse(await buildah('inspect', '--type=image', 'localhost/sallyport')) as {
    Docker: { config: ImageConfig }
  }
  return { config: Docker.config, root: files, start: (given) => start(Docker.config, files, directory, given) }
}

/** What a runtime does for `--read-only --cap-drop ALL --security-opt no-new-privileges`, said in the tools of the system. */
async function start(
  { User, Entrypoint, Cmd, Env, WorkingDir }: ImageConfig,
  image: string,
  directory: string,
  files: Readonly<Record<string, string>>,
): Promise<Container> {
  const [uid = '', gid = ''] = User.split(':')
  const mounted = join(directory, 'etc')
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(mounted, name)), { recursive: true })
    await writeFile(join(mounted, name), text)
    await chmod(join(mounted, name), 0o644)
  }
  for (const folder of ['proc', 'dev']) await mkdir(join(image, folder), { recursive: true })
  const namespaces = ['--mount', '--pid', '--net', '--ipc', '--uts', '--fork', '--kill-child']
  const owned = `uid=${uid},gid=${gid}`
  const prepare = [
    'mount --make-rprivate /',
    'mount --bind "$0" "$0"',
    'mount -o remount,bind,ro "$0"',
    'mount -t proc none "$0/proc"',
    'mount -t tmpfs -o mode=1777 none "$0/tmp"',
    `mount -t tmpfs -o mode=0700,${owned} none "$0/var/lib/sallyport"`,
    `mount -t tmpfs -o mode=0755,${owned} none "$0/var/lib/sallyport-public"`,
    'mount --bind "$1" "$0/etc/sallyport"',
    'mount -o remount,bind,ro "$0/etc/sallyport"',
    'ip link set lo up',
    'root=$0; shift',
    `exec setpriv --no-new-privs unshare --root="$root" --wd=${WorkingDir} --setgid=${gid} --setuid=${uid} -- "$@"`,
  ].join(' && ')
  const spawned = spawnCli([...Cmd, '--json'], {
    cwd: directory,
    command: ['unshare', ...namespaces, 'sh', '-c', prepare, image, mounted, ...Entrypoint],
    env: { PATH: process.env['PATH'] ?? '', ...environmentOf(Env) },
  })
  await spawned.says(/"proxies"/)
  const parent = spawned.child.pid ?? 0
  const pid = Number((await readFile(`/proc/${parent}/task/${parent}/children`, 'utf8')).trim())
  const enter = ['--mount', '--pid', '--net', '--root', `--wd=/proc/${pid}/cwd`, `--setgid=${gid}`, `--setuid=${uid}`]
  return {
    spawned,
    pid,
    exec: async (argv) => {
      const options = { env: environmentOf(Env), timeout: 20_000 }
      try {
        const { stdout, stderr } = await run('/usr/bin/nsenter', [`--target=${pid}`, ...enter, '--', ...argv], options)
        return { code: 0, said: stdout + stderr }
      } catch (error) {
        const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
        return { code, said: stdout + stderr }
      }
    },
  }
}

function environmentOf(variables: readonly string[]): Record<string, string> {
  return Object.fromEntries(variables.map((one) => [one.slice(0, one.indexOf('=')), one.slice(one.indexOf('=') + 1)]))
}
