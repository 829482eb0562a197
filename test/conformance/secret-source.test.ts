import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { envSource } from '../../src/credentials/sources/env.ts'
import { fileSource } from '../../src/credentials/sources/file.ts'
import { secretSources } from '../../src/credentials/sources/index.ts'
import { secretSourceSuite } from './secret-source.suite.ts'

const rules = { unsafeShortSecret: false }
let parent = ''
let files = 0
beforeAll(() => {
  parent = mkdtempSync(join(tmpdir(), 'sallyport-secret-'))
})
afterAll(() => rmSync(parent, { recursive: true, force: true }))

/** A file source under a clock that a test moves. */
function openFile(path: string, chosen = rules) {
  const clock = { now: 0 }
  const world = { variable: () => undefined, now: () => clock.now }
  return { source: fileSource.open(path, chosen, world), clock }
}

secretSourceSuite('env', (chosen) => {
  let value: string | undefined
  const source = envSource.open('KEY', chosen, {
    variable: (name) => (name === 'KEY' ? value : undefined),
    now: () => 0,
  })
  return { source, set: (bytes) => (value = bytes?.toString()) }
})

secretSourceSuite('file', (chosen) => {
  const path = join(parent, `secret-${files++}`)
  const { source, clock } = openFile(path, chosen)
  const set = (bytes: Buffer | null): void => {
    clock.now += 250
    if (bytes === null) rmSync(path)
    else writeFileSync(path, bytes)
  }
  return { source, set }
})

describe('the file source', () => {
  const value = (letter: string): string => letter.repeat(20)

  test('looks again after 250 ms and not before', async () => {
    const path = join(parent, 'looked')
    writeFileSync(path, value('a'))
    const { source, clock } = openFile(path)
    await source.read()
    writeFileSync(path, value('b'))
    clock.now = 249
    expect((await source.read())?.reveal()).toBe(value('a'))
    clock.now = 250
    expect((await source.read())?.reveal()).toBe(value('b'))
  })

  test('an unchanged file gives the same secret, long after', async () => {
    const path = join(parent, 'settled')
    writeFileSync(path, value('a'))
    const { source, clock } = openFile(path)
    await source.read()
    clock.now = 3000
    const secret = await source.read()
    clock.now = 9000
    expect(await source.read()).toBe(secret)
    writeFileSync(path, value('b'))
    clock.now = 9250
    expect((await source.read())?.reveal()).toBe(value('b'))
  })

  test('a swapped symbolic link is noticed, as mounted secrets are swapped', async () => {
    const root = join(parent, 'mounted')
    for (const one of ['a', 'b']) {
      mkdirSync(join(root, one), { recursive: true })
      writeFileSync(join(root, one, 'key'), value(one))
    }
    symlinkSync('a', join(root, '..data'))
    symlinkSync('..data/key', join(root, 'key'))
    const { source, clock } = openFile(join(root, 'key'))
    expect((await source.read())?.reveal()).toBe(value('a'))
    symlinkSync('b', join(root, '..next'))
    renameSync(join(root, '..next'), join(root, '..data'))
    clock.now = 250
    expect((await source.read())?.reveal()).toBe(value('b'))
  })

  test('many requests at once are one look', async () => {
    const path = join(parent, 'many')
    writeFileSync(path, value('a'))
    const { source } = openFile(path)
    const secrets = await Promise.all(Array.from({ length: 50 }, async () => source.read()))
    expect(new Set(secrets).size).toBe(1)
  })

  test('what is no file is no secret, and does not hang', async () => {
    for (const path of [parent, '/dev/zero', '/dev/tty', join(parent, 'nothing')]) {
      const { source } = openFile(path)
      expect(await source.read()).toBeNull()
      expect(source.problem()).toContain(path)
    }
  })
})

test('every source has a file and a line in the list', () => {
  const folder = new URL('../../src/credentials/sources', import.meta.url)
  const names = readdirSync(folder).filter((name) => name !== 'index.ts')
  expect(secretSources.map(({ key }) => `${key}.ts`)).toEqual(names.sort())
})
