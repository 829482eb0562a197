import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { commandSource } from '../../src/credentials/sources/command.ts'
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
  return { source: fileSource.open({ file: path }, chosen, world), clock }
}

secretSourceSuite('env', (chosen) => {
  let value: string | undefined
  const source = envSource.open({ env: 'KEY' }, chosen, {
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

/** A command source under a clock that a test moves. */
function openCommand(keys: Readonly<Record<string, unknown>>, chosen = rules, path?: string) {
  const clock = { now: 0 }
  const parsed = commandSource.parse({ ttl: '5m', ...keys })
  if (parsed.kind === 'problems') throw new Error(JSON.stringify(parsed.problems))
  const world = { variable: (name: string) => (name === 'PATH' ? path : 'leaked'), now: () => clock.now }
  return { source: commandSource.open(parsed.spec, chosen, world), clock }
}

secretSourceSuite('command', (chosen) => {
  const path = join(parent, `printed-${files++}`)
  const { source, clock } = openCommand({ command: ['cat', path] }, chosen)
  const set = (bytes: Buffer | null): void => {
    clock.now += 300_000
    if (bytes === null) rmSync(path)
    else writeFileSync(path, bytes)
  }
  return { source, set }
})

describe('the command source', () => {
  const long = 'x'.repeat(20)
  const shell = (script: string, keys = {}) => openCommand({ command: ['/bin/sh', '-c', script], ...keys })
  const textOf = async ({ source }: ReturnType<typeof shell>) => (await source.read())?.reveal() ?? null

  test('holds a value for its ttl, from the beginning of the run, and no longer', async () => {
    const log = join(parent, 'runs')
    const opened = shell(`echo x >> ${log}; printf ${long}; wc -l < ${log} | tr -d ' '`, { ttl: '10s' })
    const { source, clock } = opened
    const first = source.read()
    clock.now = 9000
    expect((await first)?.reveal()).toBe(`${long}1`)
    clock.now = 9999
    expect(source.read()).not.toBeInstanceOf(Promise)
    expect(await textOf(opened)).toBe(`${long}1`)
    clock.now = 10_000
    rmSync(log)
    writeFileSync(log, 'x\nx\nx\n')
    expect(await textOf(opened)).toBe(`${long}4`)
  })

  test('fifty requests at once are one run', async () => {
    const log = join(parent, 'at-once')
    const { source } = shell(`echo x >> ${log}; echo ${long}`)
    const secrets = await Promise.all(Array.from({ length: 50 }, async () => source.read()))
    expect(new Set(secrets).size).toBe(1)
    expect(readFileSync(log, 'utf8')).toBe('x\n')
  })

  test('a run that failed is not repeated within a second, and gives nothing of the one before', async () => {
    const path = join(parent, 'failing')
    writeFileSync(path, long)
    const opened = openCommand({ command: ['cat', path], ttl: '2s' })
    expect(await textOf(opened)).toBe(long)
    rmSync(path)
    opened.clock.now = 2000
    expect(await textOf(opened)).toBeNull()
    expect(opened.source.problem()).toBe('command cat ended with 1')
    writeFileSync(path, long)
    opened.clock.now = 2999
    expect(await textOf(opened)).toBeNull()
    opened.clock.now = 3000
    expect(await textOf(opened)).toBe(long)
    expect(opened.source.problem()).toBeNull()
  })

  test('its arguments reach no shell, and of our environment it sees PATH', async () => {
    const printed = '$(id) `id` ; * "quoted"'
    expect(await textOf(openCommand({ command: ['printf', '%s', printed] }))).toBe(printed)
    const opened = openCommand({ command: ['env'] }, { unsafeShortSecret: true }, '/usr/bin:/bin')
    expect(await textOf(opened)).toBe('PATH=/usr/bin:/bin')
  })

  test('one that hangs is ended at its deadline, with what it started', async () => {
    const mark = join(parent, 'survivor')
    const opened = shell(`(sleep 1; touch ${mark}) & echo ${long}; wait`, { timeout: '100ms' })
    expect(await textOf(opened)).toBeNull()
    expect(opened.source.problem()).toBe('command /bin/sh did not end within 100 ms')
    await delay(1200)
    expect(existsSync(mark)).toBe(false)
  })

  test('one that prints without end is ended, and what it says on stderr is nowhere', async () => {
    const opened = shell('echo sk-on-stderr >&2; yes')
    expect(await textOf(opened)).toBeNull()
    expect(opened.source.problem()).toBe('command /bin/sh printed over 65536 bytes')
  })

  test('what is printed before a failure is no secret', async () => {
    const opened = shell(`echo ${long}; exit 3`)
    expect(await textOf(opened)).toBeNull()
    expect(opened.source.problem()).toBe('command /bin/sh ended with 3')
  })

  test('one that cannot be started says so', async () => {
    const opened = openCommand({ command: ['/nowhere/at-all'] })
    expect(await textOf(opened)).toBeNull()
    expect(opened.source.problem()).toBe('command /nowhere/at-all cannot be started (ENOENT)')
  })

  test('closing ends a run, and gives nothing more', async () => {
    const { source } = shell('sleep 60')
    const reading = source.read()
    source.close()
    expect(await reading).toBeNull()
    expect(await source.read()).toBeNull()
  })

  for (const [what, keys] of Object.entries<Readonly<Record<string, unknown>>>({
    'no ttl': { command: ['a'], ttl: undefined },
    'a ttl without a unit': { command: ['a'], ttl: '300' },
    'a ttl that is a number': { command: ['a'], ttl: 300 },
    'a ttl of nothing': { command: ['a'], ttl: '0s' },
    'a ttl below a second': { command: ['a'], ttl: '10ms' },
    'a ttl of a week': { command: ['a'], ttl: '7d' },
    'a timeout of an hour': { command: ['a'], timeout: '1h' },
    'a text for a shell': { command: 'a b' },
    'nothing to run': { command: [] },
    'an empty program': { command: [''] },
    'a program beside the working directory': { command: ['./a'] },
    'a zero byte': { command: ['a', 'b\0'] },
    'an unknown key': { command: ['a'], shell: true },
  }))
    test(`refuses ${what}`, () => expect(commandSource.parse({ ttl: '5m', ...keys }).kind).toBe('problems'))
})

test('every source has a file and a line in the list', () => {
  const folder = new URL('../../src/credentials/sources', import.meta.url)
  const names = readdirSync(folder).filter((name) => name !== 'index.ts')
  expect(secretSources.map(({ key }) => `${key}.ts`)).toEqual(names.sort())
})
