/**
 * Namespaces without root: by bubblewrap where it is installed, else by `unshare` of util-linux.
 *
 * Promises: only programs of the system's own folders are taken, never one that a project has put on the PATH; inside there
 * is no capability and none to be had, no network but loopback, no process of outside, and no mount that could be undone.
 */

import { execFile } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'
import path from 'node:path'
import { isolationScript } from './isolation-script.ts'
import type { Mount } from './isolation-plan.ts'
import { Complaint } from './world.ts'

/** Command and arguments that run what follows them inside. */
export type Launcher = (mounts: readonly Mount[], cwd: string) => readonly [string, ...string[]]

const systemFolders = ['/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin', '/sbin']
/** Of our own part in it; the command's environment is handed over inside. */
export const systemPath = systemFolders.join(':')
const probeMs = 10_000

export async function findLauncher(platform: string, isRoot: boolean): Promise<Launcher> {
  if (platform !== 'linux')
    throw new Complaint('--isolate needs the namespaces of Linux; elsewhere use a container (docker/compose.yaml)')
  const bwrap = findProgram('bwrap')
  const others = ['unshare', 'mount', 'setpriv', 'ip', 'sh'].filter((name) => findProgram(name) === null)
  if (bwrap === null && isRoot)
    throw new Complaint('--isolate as root needs bubblewrap; install it, or be another user')
  if (bwrap === null && others.length > 0)
    throw new Complaint(`--isolate needs bubblewrap, or else ${others.join(', ')}; install bubblewrap`)
  const launcher = bwrap === null ? byUnshare(findProgram('unshare') ?? 'unshare') : byBubblewrap(bwrap)
  const problem = await probe(launcher([{ kind: 'root', isWritable: !isRoot }], '/'))
  if (problem !== null) throw new Complaint(whyForbidden(problem, readSetting))
  return launcher
}

function byBubblewrap(bwrap: string): Launcher {
  const apart = ['user', 'net', 'pid', 'ipc', 'uts', 'cgroup-try'].map((name) => `--unshare-${name}`)
  return (mounts, cwd) => [
    bwrap,
    ...apart,
    '--die-with-parent',
    '--cap-drop',
    'ALL',
    ...mounts.flatMap(bubblewrapMount),
    '--chdir',
    cwd,
    '--',
  ]
}

/** Devices and processes of its own, and no cgroup to turn. */
const ownSystem = ['--dev', '/dev', '--proc', '/proc', '--ro-bind', '/sys', '/sys'] as const

function bubblewrapMount(mount: Mount): string[] {
  switch (mount.kind) {
    case 'root':
      // The kernel takes its settings from whoever is root outside, without a capability too.
      return mount.isWritable
        ? ['--bind', '/', '/', ...ownSystem]
        : ['--ro-bind', '/', '/', ...ownSystem, '--remount-ro', '/proc']
    case 'empty':
      return ['--tmpfs', mount.path]
    case 'nothing':
      return ['--ro-bind', '/dev/null', mount.path]
    case 'bind':
      return [mount.isWritable ? '--bind' : '--ro-bind', mount.from, mount.path]
  }
}

function byUnshare(unshare: string): Launcher {
  const apart = ['user', 'map-root-user', 'net', 'mount', 'pid', 'ipc', 'uts', 'cgroup', 'fork', 'kill-child']
  return (mounts, cwd) => {
    const binds = mounts.filter((mount) => mount.kind === 'bind')
    const steps = mounts.flatMap((mount) => {
      if (mount.kind === 'root') return []
      if (mount.kind !== 'bind') return [mount.kind, mount.path]
      return [mount.isWritable ? 'bind' : 'bind-ro', String(binds.indexOf(mount) + 1), mount.path]
    })
    const ids = [process.getuid?.() ?? 0, process.getgid?.() ?? 0].map(String)
    const sources = binds.map(({ from }) => from)
    return [
      unshare,
      ...apart.map((name) => `--${name}`),
      ...['sh', '-c', isolationScript, 'sh'].concat(ids, cwd, sources, '--', steps, '--'),
    ]
  }
}

function findProgram(name: string): string | null {
  const found = systemFolders.map((folder) => path.join(folder, name)).find(isExecutable)
  return found ?? null
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** What the system said; null: it is possible. */
function probe([file, ...args]: readonly [string, ...string[]]): Promise<string | null> {
  const options = { env: { PATH: systemPath }, timeout: probeMs, cwd: '/' }
  return new Promise((resolve) => {
    execFile(file, [...args, 'true'], options, (error, _out, said) =>
      resolve(error === null ? null : said.trim().split('\n').at(-1) || error.message),
    )
  })
}

type ReadSetting = (name: string) => string | null

function readSetting(name: string): string | null {
  try {
    return readFileSync(`/proc/sys/${name}`, 'utf8').trim()
  } catch {
    return null
  }
}

/** The kernel says only that it is not permitted; its settings say why, each with the line that changes it. */
export function whyForbidden(said: string, setting: ReadSetting): string {
  const told = `this kernel does not let you make namespaces (${said})`
  if (setting('user/max_user_namespaces') === '0')
    return `${told}: there may be none; sudo sysctl user.max_user_namespaces=15000`
  if (setting('kernel/unprivileged_userns_clone') === '0')
    return `${told}: only root may; sudo sysctl kernel.unprivileged_userns_clone=1`
  if (setting('kernel/apparmor_restrict_unprivileged_userns') === '1')
    return `${told}: AppArmor lets only programs that have a profile; give bwrap one with "userns," in /etc/apparmor.d`
  return `${told}; in a container it is the container that has to be the wall: see docker/compose.yaml`
}
