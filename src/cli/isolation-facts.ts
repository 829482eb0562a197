/** What `run --isolate` has to know of this machine and its user: where things are that nobody inside may see or meet. */

import { lstatSync, readFileSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Config } from '../config/config-schema.ts'
import { homesOf } from '../config/homes.ts'
import type { IsolationFacts } from './isolation-plan.ts'
import type { World } from './world.ts'

/** Sockets of agents, engines, buses and displays, and what strangers share. */
const meetingPlaces = ['/run', '/var/run', '/tmp', '/var/tmp', '/dev/shm']

/** Of the user's home: what opens doors elsewhere. */
const secretFolders = [
  '.1password',
  '.aws',
  '.azure',
  '.config/gcloud',
  '.config/gh',
  '.config/hub',
  '.config/op',
  '.docker',
  '.gnupg',
  '.kube',
  '.local/share/keyrings',
  '.password-store',
  '.ssh',
  '.terraform.d',
]
const secretFiles = [
  '.cargo/credentials',
  '.cargo/credentials.toml',
  '.config/git/credentials',
  '.gem/credentials',
  '.git-credentials',
  '.netrc',
  '.pypirc',
  '.vault-token',
]

/** Where systems keep their roots in one file. */
export const rootStores = [
  '/etc/ssl/certs/ca-certificates.crt', // Debian, Alpine
  '/etc/pki/tls/certs/ca-bundle.crt', // Fedora
  '/etc/ssl/ca-bundle.pem', // SUSE
  '/etc/ssl/cert.pem', // Alpine
]

const packageRoot = fileURLToPath(new URL('../..', import.meta.url))

export function loadIsolationFacts(config: Config, world: World, gateway: IsolationFacts['gateway']): IsolationFacts {
  const { home, configHome, stateHome } = homesOf(world.env, world.cwd)
  const inHome = (names: readonly string[]): string[] => names.map((name) => path.join(home, name))
  const runtimeDirectory = world.env['XDG_RUNTIME_DIR'] ?? null
  const meeting = [...meetingPlaces, world.env['TMPDIR'] ?? '', runtimeDirectory ?? '']
  const ours = [config.stateDirectory, configHome, stateHome]
  return {
    isRoot: process.getuid?.() === 0,
    cwd: realOf(world.cwd) ?? world.cwd,
    home: realOf(home) ?? home,
    meeting: real(meeting.filter((one) => path.isAbsolute(one) && one !== '/')),
    needed: real([packageRoot, path.join(packageRoot, 'node_modules'), process.execPath]),
    secretFolders: real([...inHome(secretFolders), ...ours]),
    secretFiles: real([...inHome(secretFiles), ...secretFilesOf(config)]),
    sockets: boundSockets(),
    rootStores: real(rootStores),
    runtimeDirectory: runtimeDirectory === null ? null : realOf(runtimeDirectory),
    gateway: {
      directory: realpathSync(gateway.directory),
      publicDirectory: realpathSync(gateway.publicDirectory),
      socket: realpathSync(gateway.socket),
    },
  }
}

function secretFilesOf({ credentials, control, ca, audit }: Config): string[] {
  return [
    ...credentials.flatMap(({ secret }) => secret.files),
    ...control.tokens.flatMap(({ secret }) => ('file' in secret ? [secret.file] : [])),
    ...(ca === null ? [] : [ca.key]),
    ...(audit.file === null ? [] : [audit.file]),
  ]
}

/** Those of a network namespace are all listed, whoever bound them; abstract ones begin with `@` and stay behind in it. */
function boundSockets(): string[] {
  const lines = readFileSync('/proc/net/unix', 'utf8').split('\n').slice(1)
  const paths = lines.flatMap((line) => /^(?:\S+ +){6}\S+ (\/.*)$/.exec(line)?.[1] ?? [])
  return real(paths).filter((one) => lstatSync(one, { throwIfNoEntry: false })?.isSocket() === true)
}

/** What is there, without links and without repeats. */
function real(paths: readonly string[]): string[] {
  return [...new Set(paths.flatMap((one) => realOf(one) ?? []))]
}

function realOf(one: string): string | null {
  try {
    return realpathSync(one)
  } catch {
    return null
  }
}
