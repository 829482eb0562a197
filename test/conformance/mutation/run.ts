/**
 * Takes each check out of the gateway, one at a time, and asks the corpus of hostile cases whether it notices; then, where
 * it does not, the unit tests. `npm run mutate`; a part of a file's path or of a mutant's text as argument runs only those.
 *
 * Exits 1 when a check can go unnoticed, or when one of the table is not there any more.
 */

import { spawn } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Mutant, mutants } from './mutants.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const workers = 2
const timeoutMs = 120_000

type Fate = 'corpus' | 'stale' | 'survived' | 'unit'

async function main(wanted: readonly string[]): Promise<number> {
  const chosen = mutants.filter(({ file, without }) => wanted.every((part) => `${file} ${without}`.includes(part)))
  const waiting = [...chosen]
  const fates = new Map<Mutant, Fate>()
  await Promise.all(
    Array.from({ length: workers }, async () => {
      const tree = await plantTree()
      for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
        const fate = await judge(mutant, tree)
        fates.set(mutant, fate)
        console.log(`${fate.padEnd(9)} ${mutant.file.padEnd(30)} without ${mutant.without}`)
      }
      await rm(tree, { recursive: true, force: true })
    }),
  )
  const count = (fate: Fate): number => [...fates.values()].filter((one) => one === fate).length
  const unseen = count('survived') + count('stale')
  console.log(
    `\n${count('corpus') + count('unit')} killed (${count('corpus')} by the corpus, ${count('unit')} by unit tests), ${count('survived')} survived, ${count('stale')} stale`,
  )
  return unseen === 0 && chosen.length > 0 ? 0 : 1
}

/** A tree of its own for each worker: the one that is worked on stays as it is. */
async function plantTree(): Promise<string> {
  const tree = await mkdtemp(join(tmpdir(), 'sallyport-mutant-'))
  for (const name of ['docker', 'src', 'test', 'policies', 'package.json', 'tsconfig.json', 'README.md'])
    await cp(join(root, name), join(tree, name), { recursive: true })
  await symlink(join(root, 'node_modules'), join(tree, 'node_modules'))
  return tree
}

async function judge(mutant: Mutant, tree: string): Promise<Fate> {
  const path = join(tree, 'src', mutant.file)
  const text = await readFile(path, 'utf8')
  if (text.split(mutant.from).length !== 2 || mutant.from === mutant.to) return 'stale'
  await writeFile(
    path,
    text.replace(mutant.from, () => mutant.to),
  )
  try {
    const corpus = mutant.corpus.map(fileOf)
    if (await fails(tree, corpus, mutant.cases)) return 'corpus'
    return mutant.unit !== undefined && (await fails(tree, [`test/unit/${mutant.unit}`])) ? 'unit' : 'survived'
  } finally {
    await writeFile(path, text)
  }
}

function fileOf(name: string): string {
  if (name.includes('/')) return `test/${name}`
  return `test/conformance/${name.endsWith('.ts') ? name : `hostile-${name}.test.ts`}`
}

/** A run that does not end has noticed something too. */
function fails(tree: string, files: readonly string[], cases?: string): Promise<boolean> {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  const filter = cases === undefined ? [] : ['-t', cases]
  const child = spawn(
    process.execPath,
    [
      vitest,
      'run',
      '--config',
      'test/config/vitest.config.ts',
      '--bail',
      '1',
      '--maxWorkers',
      '1',
      '--reporter',
      'dot',
      ...filter,
      ...files,
    ],
    { cwd: tree, stdio: 'ignore', timeout: timeoutMs, killSignal: 'SIGKILL' },
  )
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => resolve(code !== 0))
  })
}

process.exitCode = await main(process.argv.slice(2))
