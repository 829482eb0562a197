/**
 * Somebody without rights, in the place of the root that tests may run as: a home of their own, and this repository and its
 * Node where they can read them. Where tests are run by a plain user, that is them.
 */

import { chmod, chown, mkdir, mkdtemp, rm, rmdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const uid = 10_777

export type PlainUser = AsyncDisposable & {
  readonly home: string
  /** Paths that exist for them, of `src/main.ts` and of Node. */
  readonly main: string
  readonly node: string
  /** This program, as them; programs that are named in `without` cannot be run. */
  readonly command: (without: readonly string[]) => readonly [string, ...string[]]
  /** What tests made for them becomes theirs. */
  readonly own: (path: string) => Promise<void>
}

export const isRoot = process.getuid?.() === 0

export async function createPlainUser(): Promise<PlainUser> {
  const view = await mkdtemp(join(tmpdir(), 'sallyport-user-'))
  await chmod(view, 0o755)
  const home = join(view, 'home')
  const own = (path: string): Promise<void> => (isRoot ? chown(path, uid, uid) : Promise.resolve())
  await mkdir(home, { mode: 0o700 })
  await mkdir(join(view, 'repository'))
  await writeFile(join(view, 'node'), '')
  await own(home)
  const masks = (without: readonly string[]): string =>
    without.map((path) => `[ ! -e ${path} ] || mount --bind /dev/null ${path}; `).join('')
  const bind = 'mount --bind "$1" "$3/repository" && mount --bind "$2" "$3/node" && shift 3'
  const drop = `exec setpriv --reuid=${uid} --regid=${uid} --clear-groups -- "$@"`
  const main = isRoot ? join(view, 'repository/src/main.ts') : join(repository, 'src/main.ts')
  const node = isRoot ? join(view, 'node') : process.execPath
  const places = [repository, process.execPath, view]
  return {
    home,
    main,
    node,
    command: (without) =>
      isRoot
        ? ['unshare', '--mount', 'sh', '-c', `${masks(without)}${bind} && ${drop}`, 'sh', ...places, node, main]
        : [node, main],
    own,
    async [Symbol.asyncDispose]() {
      // Only where it is empty: should it be the repository itself, nothing is deleted.
      await rmdir(join(view, 'repository'))
      await rm(view, { recursive: true, force: true })
    },
  }
}
