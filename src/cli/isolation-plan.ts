/**
 * What an isolated command sees of this machine's files. Pure.
 *
 * Promises: what is emptied or hidden stays so for everything that was in it, except what the command needs of it; what
 * is hidden is hidden there too. Paths are real ones: a symbolic link in one would be followed by whoever mounts.
 */

/** In this order, each over what was before. */
export type Mount =
  /** The whole of the machine, as it is. */
  | { readonly kind: 'root'; readonly isWritable: boolean }
  /** A folder in memory, empty. */
  | { readonly kind: 'empty'; readonly path: string }
  /** In the place of a file or a socket: /dev/null. */
  | { readonly kind: 'nothing'; readonly path: string }
  /** `from` is what it is outside. */
  | { readonly kind: 'bind'; readonly from: string; readonly path: string; readonly isWritable: boolean }

export type IsolationFacts = {
  readonly isRoot: boolean
  readonly cwd: string
  readonly home: string
  /** Folders of everybody, in which programs meet. */
  readonly meeting: readonly string[]
  /** Node and this program: without them nothing starts inside. */
  readonly needed: readonly string[]
  readonly secretFolders: readonly string[]
  readonly secretFiles: readonly string[]
  /** Behind each stands a process that is not isolated. */
  readonly sockets: readonly string[]
  /** Where programs look for roots by themselves. */
  readonly rootStores: readonly string[]
  /** Null: the command is told of none. */
  readonly runtimeDirectory: string | null
  readonly gateway: { readonly directory: string; readonly publicDirectory: string; readonly socket: string }
}

/** Inside. */
export const insideFiles = '/run/sallyport'
export const insideSocket = '/run/sallyport.sock'

/** The mounts, or a sentence on why the command would not find itself. */
export function planIsolation(facts: IsolationFacts): Mount[] | string {
  const { cwd, home, meeting, gateway } = facts
  const secret = [...facts.secretFolders, gateway.directory]
  if (meeting.includes(cwd)) return `${cwd} is empty for an isolated command; start it in a folder of its own`
  const keeper = secret.find((folder) => isBelow(cwd, folder))
  if (keeper !== undefined) return `${keeper} is hidden from an isolated command; start it somewhere else`

  const own = facts.isRoot ? [cwd, home] : [cwd, home].filter((path) => isWithin(path, meeting))
  const writable = outermost(own.filter((path) => !meeting.includes(path) && path !== '/'))
  const needed = outermost(facts.needed.filter((path) => isWithin(path, meeting) && !isWithin(path, writable)))
  const isSeen = (path: string): boolean => !isWithin(path, meeting) || isWithin(path, [...writable, ...needed])

  const hidden = outermost(secret.filter(isSeen))
  const gone = [...facts.secretFiles, ...facts.sockets].filter((path) => isSeen(path) && !isWithin(path, hidden))
  return [
    { kind: 'root', isWritable: !facts.isRoot },
    ...outermost(meeting).map((path): Mount => ({ kind: 'empty', path })),
    ...needed.map((path) => bind(path, path, false)),
    ...writable.map((path) => bind(path, path, true)),
    ...hidden.map((path): Mount => ({ kind: 'empty', path })),
    ...[...new Set(gone)].map((path): Mount => ({ kind: 'nothing', path })),
    bind(gateway.publicDirectory, insideFiles, false),
    bind(gateway.socket, insideSocket, true),
    ...facts.rootStores.map((path) => bind(`${gateway.publicDirectory}/bundle.pem`, path, false)),
    ...(facts.runtimeDirectory === null ? [] : [{ kind: 'empty', path: facts.runtimeDirectory } as const]),
  ]
}

function bind(from: string, path: string, isWritable: boolean): Mount {
  return { kind: 'bind', from, path, isWritable }
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`)
}

function isWithin(path: string, folders: readonly string[]): boolean {
  return folders.some((folder) => isBelow(path, folder))
}

/** Without those that lie in another of them. */
function outermost(paths: readonly string[]): string[] {
  const all = [...new Set(paths)]
  return all.filter((path) => !all.some((other) => other !== path && isBelow(path, other)))
}
