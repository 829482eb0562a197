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
import { vaultSource } from '../../src/credentials/sources/vault.ts'
import type { OwnRequest } from '../../src/credentials/own-request.ts'
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

/** A vault source, the store behind it as a table, and a clock that a test moves. */
function openVault(keys: Readonly<Record<string, unknown>> = {}, chosen = rules) {
  const parsed = vaultSource.parse({
    vault: { address: 'https://vault.test:8200', path: 'secret/data/team/key', field: 'value', ...keys },
  })
  if (parsed.kind === 'problems') throw new Error(JSON.stringify(parsed.problems))
  const vault = {
    now: 0,
    token: 's.token' as string | undefined,
    status: 200,
    body: null as string | null,
    asked: [] as OwnRequest[],
    delayed: null as Promise<void> | null,
  }
  const source = vaultSource.open(parsed.spec, chosen, {
    variable: (name) => (name === 'VAULT_TOKEN' ? vault.token : undefined),
    now: () => vault.now,
    network: {
      ask: async (request) => {
        vault.asked.push(request)
        await vault.delayed
        return vault.body === null
          ? 'the connection to the origin failed'
          : { status: vault.status, body: Buffer.from(vault.body) }
      },
      epochMs: () => 0,
    },
  })
  const set = (value: string | null): void => {
    vault.status = value === null ? 404 : 200
    vault.body = JSON.stringify({ data: { data: value === null ? null : { value }, metadata: { version: 1 } } })
  }
  return { source, vault, set, textOf: async () => (await source.read())?.reveal() ?? null }
}

secretSourceSuite('vault', (chosen) => {
  const { source, vault, set } = openVault({}, chosen)
  return {
    source,
    set: (bytes) => {
      vault.now += 300_000
      set(bytes === null ? null : bytes.toString())
    },
  }
})

describe('the vault source', () => {
  const long = 'x'.repeat(20)

  test('asks for the path with its token, in its namespace', async () => {
    const { vault, set, textOf } = openVault({ path: 'kv/data/a b/c', namespace: 'team/a' })
    set(long)
    expect(await textOf()).toBe(long)
    expect(vault.asked).toMatchObject([
      {
        method: 'GET',
        path: '/v1/kv/data/a%20b/c',
        fields: ['X-Vault-Token', 's.token', 'X-Vault-Request', 'true', 'X-Vault-Namespace', 'team/a'],
        body: null,
      },
    ])
    expect(vault.asked[0]?.place.authority.text).toBe('vault.test:8200')
  })

  test('holds a value for its ttl from when it asked, and no longer, though nobody answers', async () => {
    const { vault, set, textOf } = openVault({ ttl: '10s' })
    set(long)
    expect(await textOf()).toBe(long)
    vault.now = 9999
    vault.body = null
    expect(await textOf()).toBe(long)
    vault.now = 10_000
    expect(await textOf()).toBeNull()
    expect(vault.asked).toHaveLength(2)
  })

  test('fifty requests at once are one question, and a failure is not repeated within a second', async () => {
    const { vault, source, textOf, set } = openVault()
    expect(await Promise.all(Array.from({ length: 50 }, textOf))).toEqual(Array.from({ length: 50 }, () => null))
    expect(vault.asked).toHaveLength(1)
    set(long)
    vault.now = 999
    expect(await textOf()).toBeNull()
    expect(source.problem()).toBe('vault secret/data/team/key cannot be read: the connection to the origin failed')
    vault.now = 1000
    expect(await textOf()).toBe(long)
  })

  test('a value that an origin refused is asked for again, once in half a minute', async () => {
    const { vault, source, textOf, set } = openVault()
    vault.now = 50_000
    set(long)
    await textOf()
    set('y'.repeat(20))
    for (const now of [50_000, 50_001, 79_999]) {
      vault.now = now
      source.refused?.()
      expect(await textOf()).toBe('y'.repeat(20))
    }
    expect(vault.asked).toHaveLength(2)
    vault.now = 80_000
    source.refused?.()
    await textOf()
    expect(vault.asked).toHaveLength(3)
  })

  test('closing while it is asked gives nothing', async () => {
    const { source, vault, set } = openVault()
    set(long)
    const held = Promise.withResolvers<void>()
    vault.delayed = held.promise
    const reading = source.read()
    source.close()
    held.resolve()
    expect(await reading).toBeNull()
    expect(await source.read()).toBeNull()
  })

  test.each<readonly [what: string, status: number, body: string, said: string]>([
    ['a token that may not', 403, '{"errors":["sk-in-error"]}', 'is not for this token'],
    ['a sealed vault', 503, '', 'cannot be read: vault answered 503'],
    ['a redirect', 307, '', 'cannot be read: vault answered 307'],
    ['a page', 200, '<html>sk-in-page', 'was answered with something that is not JSON'],
    [
      'version 1',
      200,
      '{"data":{"value":"sk-in-version-1"}}',
      'was answered in a form that is not version 2 of the store',
    ],
    ['another field', 200, '{"data":{"data":{"other":"sk-other"}}}', 'has no text in its field value'],
    ['a number', 200, '{"data":{"data":{"value":1}}}', 'has no text in its field value'],
  ])('%s is no secret, and the reason does not show what was said', async (_what, status, body, said) => {
    const { source, vault, textOf } = openVault()
    Object.assign(vault, { status, body })
    expect(await textOf()).toBeNull()
    expect(source.problem()).toBe(`vault secret/data/team/key ${said}`)
  })

  test('without its token it is not asked', async () => {
    const { source, vault, set, textOf } = openVault()
    set(long)
    vault.token = undefined
    expect(await textOf()).toBeNull()
    expect(vault.asked).toEqual([])
    expect(source.problem()).toContain('its token is not available')
  })

  test('its token is a variable that no child of ours gets', () => {
    const keys = { address: 'https://vault.test', path: 'secret/data/a', field: 'b' }
    for (const [token, names] of [
      [undefined, ['VAULT_TOKEN']],
      [{ env: 'OTHER' }, ['OTHER']],
      [{ file: '/run/token' }, []],
    ] as const) {
      const parsed = vaultSource.parse({ vault: token === undefined ? keys : { ...keys, token } })
      expect(parsed.kind === 'parsed' && vaultSource.variables(parsed.spec)).toEqual(names)
    }
  })

  for (const [what, keys] of Object.entries<Readonly<Record<string, unknown>>>({
    'plain http': { address: 'http://vault.test:8200' },
    'a user in the address': { address: 'https://a@vault.test' },
    'a query in the address': { address: 'https://vault.test/?a' },
    'an address of no host': { address: 'https://vault test' },
    'dots in the address': { address: 'https://vault.test/a/../b' },
    'a path without data': { path: 'secret/team/key' },
    'a path with dots': { path: 'secret/data/../sys' },
    'a path with a query': { path: 'secret/data/a?version=1' },
    'no field': { field: undefined },
    'a token written down': { token: 's.token' },
    'a token by command': { token: { command: ['a'], ttl: '1m' } },
    'a ttl without a unit': { ttl: '300' },
    'a ttl of a week': { ttl: '7d' },
    'an address that is no range': { addresses: ['10.0.0.1'] },
    'an unknown key': { version: 1 },
  }))
    test(`refuses ${what}`, () => {
      const vault = { address: 'https://vault.test', path: 'secret/data/a', field: 'b', ...keys }
      expect(vaultSource.parse({ vault })).toMatchObject({ kind: 'problems' })
    })
})

test('every source has a file and a line in the list', () => {
  const folder = new URL('../../src/credentials/sources', import.meta.url)
  const names = readdirSync(folder).filter((name) => name !== 'index.ts')
  expect(secretSources.map(({ key }) => `${key}.ts`)).toEqual(names.sort())
})
