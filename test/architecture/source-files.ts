/** What is in `src`: every file, and every import of it. */

import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

export const root = new URL('../..', import.meta.url).pathname

export type Import = {
  /** As written: `../net/host.ts`, `node:net`, `fastify`. */
  readonly specifier: string
  /** Path below `src`; null: not a file of ours. */
  readonly file: string | null
  /** Only types: nothing of it is there at run time. */
  readonly isType: boolean
}

export type SourceFile = {
  /** Below `src`. */
  readonly path: string
  readonly text: string
  readonly imports: readonly Import[]
}

const statements = /^(?:import|export)\s+([^'";]*?)\s*from\s+'([^']+)'/gm
const bare = /(?:^import\s+|\bimport\()'([^']+)'/gm

export const sourceFiles: readonly SourceFile[] = globSync('**/*.ts', { cwd: join(root, 'src') })
  .filter((path) => !path.endsWith('.d.ts'))
  .sort()
  .map((path) => {
    const text = readFileSync(join(root, 'src', path), 'utf8')
    return { path, text, imports: importsOf(path, text) }
  })

export function importsOf(path: string, text: string): Import[] {
  const code = text.replace(/\/\*[^]*?\*\//g, '')
  const found = [...code.matchAll(statements)].map(([, names = '', specifier = '']) => ({
    specifier,
    isType: names.startsWith('type ') || /^\{(?:\s*type\s[^,}]*,?)+\s*\}$/.test(names),
  }))
  const sideEffects = [...code.matchAll(bare)].map(([, specifier = '']) => ({ specifier, isType: false }))
  return [...found, ...sideEffects].map((one) => ({
    ...one,
    file: one.specifier.startsWith('.') ? normalize(join(dirname(path), one.specifier)) : null,
  }))
}
