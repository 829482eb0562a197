/** The package as it would be published: packed, unpacked elsewhere, and its `bin` run from there. */

import { execFile } from 'node:child_process'
import { access, chmod, constants, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { runCli } from '../support/spawned-cli.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const nodeFolder = dirname(process.execPath)

let directory: string
let unpacked: string
let bin: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sallyport-package-'))
  unpacked = join(directory, 'node_modules', 'sallyport')
  bin = join(directory, 'node_modules', '.bin', 'sallyport')
  const env = { ...process.env, PATH: `${nodeFolder}${delimiter}${process.env['PATH'] ?? ''}` }
  await run('npm', ['pack', '--silent', '--offline', '--pack-destination', directory], { cwd: root, env })
  const tarball = (await readdir(directory)).find((name) => name.endsWith('.tgz')) ?? ''
  await mkdir(unpacked, { recursive: true })
  await run('tar', ['-xzf', join(directory, tarball), '-C', unpacked, '--strip-components=1'])
  await link()
}, 120_000)
afterAll(() => rm(directory, { recursive: true, force: true }))

/** What `npm install` would do, from what this repository has installed: no registry is asked. */
async function link(): Promise<void> {
  const { dependencies, bin: bins } = JSON.parse(await readFile(join(unpacked, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
    bin: { sallyport: string }
  }
  for (const name of Object.keys(dependencies)) {
    const target = join(directory, 'node_modules', name)
    await mkdir(dirname(target), { recursive: true })
    await symlink(join(root, 'node_modules', name), target)
  }
  await mkdir(dirname(bin), { recursive: true })
  await symlink(join('..', 'sallyport', bins.sallyport), bin)
  await chmod(join(unpacked, bins.sallyport), 0o755)
}

const call = (argv: readonly string[], node = nodeFolder) =>
  runCli(argv, { cwd: directory, command: [bin], env: { PATH: `${node}${delimiter}/usr/bin${delimiter}/bin` } })

it('holds the program and the shipped policies, and nothing of the workshop', async () => {
  const top = (await readdir(unpacked)).filter((name) => name !== 'LICENSE')
  expect(top.sort()).toEqual(['README.md', 'dist', 'package.json', 'policies'])
  const files = await readdir(join(unpacked, 'dist'), { recursive: true })
  expect(files.filter((name) => name.endsWith('.ts') || name.includes('.test.'))).toEqual([])
})

it('says its version and finds its policies', async () => {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
  expect((await call(['--version'])).out).toBe(`${version}\n`)
  expect((await call(['policy', 'explain', '--policy', 'npm', 'https://any.npmjs.org/a'])).code).toBe(0)
})

it('tells the whole story', async () => {
  const { code, out } = await call(['demo'])
  expect(code, out).toBe(0)
})

it('says in one line that a Node is too old', async (context) => {
  const old = await findOldNode()
  if (old === null) return context.skip('skipped: every Node on this machine is 24 or newer')
  const { code, out, err } = await call(['--version'], old.folder)
  expect([code, out]).toEqual([2, ''])
  expect(err).toBe(`sallyport: needs Node >= 24, this is ${old.version}; install a newer Node\n`)
})

async function findOldNode(): Promise<{ readonly folder: string; readonly version: string } | null> {
  for (const folder of new Set([...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin', '/usr/local/bin'])) {
    const file = join(folder, 'node')
    try {
      await access(file, constants.X_OK)
      const version = (await run(file, ['--version'])).stdout.trim()
      if (Number.parseInt(version.slice(1), 10) < 24) return { folder, version }
    } catch {
      // Not there, or no Node.
    }
  }
  return null
}
