import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createFileStore } from '../../src/sessions/file-store.ts'
import { sessionStores } from '../../src/sessions/index.ts'
import type { SessionStore } from '../../src/sessions/session-store.ts'
import { startRedis } from '../support/redis.ts'
import { sessionStoreSuite } from './session-store.suite.ts'
import { stored } from './stored-session.ts'

const key = Buffer.alloc(32, 1)
const letter = 'abcdefghijkl'
let directory = ''
let logged: string[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-store-'))
  logged = []
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function open(sealKey: Buffer = key): SessionStore {
  return createFileStore({ directory, key: sealKey, log: (message) => logged.push(message) })
}

/** As somebody with write access to the file would. */
function tamper(sql: string): void {
  const database = new DatabaseSync(join(directory, 'sessions.db'))
  database.exec(sql)
  database.close()
}

const redis = await startRedis()
afterAll(() => redis[Symbol.asyncDispose]())

for (const [name, create] of Object.entries(sessionStores)) {
  sessionStoreSuite(name, () => {
    const place = { url: redis.url, ca: null, prefix: directory, graceMs: 5000 }
    return create({ directory, key, log: (message) => logged.push(message), redis: place })
  })
}

test('every store has a line in the list', () => {
  const files = readdirSync(new URL('../../src/sessions', import.meta.url)).filter((name) => name.endsWith('-store.ts'))
  const stores = files.filter((name) => name !== 'session-store.ts').map((name) => name.replace('-store.ts', ''))
  expect(Object.keys(sessionStores)).toEqual(stores.sort())
})

describe('the file store', () => {
  test('sessions are there after a restart', async () => {
    const before = open()
    await before.put(stored)
    await before.close()
    const after = open()
    expect(await after.load()).toEqual([stored])
    await after.close()
  })

  test('after kill -9 every session that was promised is there', async () => {
    const script = new URL('session-store-child.ts', import.meta.url).pathname
    const child = spawn(process.execPath, [script, directory], { stdio: ['ignore', 'pipe', 'inherit'] })
    const promised: string[] = []
    const closed = once(child, 'close')
    createInterface({ input: child.stdout }).on('line', (line) => {
      promised.push(line)
      if (promised.length === 20) child.kill('SIGKILL')
    })
    await closed
    const store = open()
    const ids = (await store.load()).map(({ id }) => id)
    await store.close()
    expect(promised.length).toBeGreaterThanOrEqual(20)
    expect(ids).toEqual(expect.arrayContaining(promised))
    expect(logged).toEqual([])
  })

  test('its files are for us only', async () => {
    const store = open()
    await store.put(stored)
    for (const name of readdirSync(directory)) expect(statSync(join(directory, name)).mode & 0o077).toBe(0)
    await store.close()
  })

  test('two gateways do not share it', async () => {
    const store = open()
    expect(() => open()).toThrow(/another gateway uses it/)
    await store.close()
  }, 10_000)

  const tampering: Readonly<Record<string, readonly [sql: string, said: RegExp]>> = {
    'a policy that was widened': [`UPDATE sessions SET body = replace(body, '"dev"', '"any"')`, /not written by this/],
    'a time to live that was stretched': [
      `UPDATE sessions SET body = replace(body, '"expiresAt":2', '"expiresAt":99999999999999')`,
      /not written by this/,
    ],
    'a body that is no JSON': [`UPDATE sessions SET body = 'x'`, /not written by this/],
    'a seal that is cut': [`UPDATE sessions SET seal = x'00'`, /not written by this/],
    'a row filed under another id': [`UPDATE sessions SET id = 's-cccccccccccc'`, /filed under another id/],
  }
  for (const [what, [sql, said]] of Object.entries(tampering)) {
    test(`${what} is no session`, async () => {
      const before = open()
      const whole = { ...stored, id: 's-bbbbbbbbbbbb' }
      await before.put(stored)
      await before.close()
      tamper(sql)
      const after = open()
      await after.put(whole)
      expect(await after.load()).toEqual([whole])
      expect(logged).toEqual([expect.stringMatching(said)])
      await after.close()
    })
  }

  test('a row of another gateway is no session, and what we wrote ourselves must still parse', async () => {
    const before = open(Buffer.alloc(32, 2))
    await before.put(stored)
    await before.close()
    const after = open()
    expect(await after.load()).toEqual([])
    const odd = [{ expiresAt: null }, { mode: 'off' }, { extra: 1 }, { sources: ['10.0.0.1'] }, { tokenHash: 'ab' }]
    for (const [i, changes] of odd.entries())
      await after.put(Object.assign({ ...stored, id: `s-bbbbbbbbbbb${letter.charAt(i)}` }, changes))
    expect(await after.load()).toEqual([])
    expect(logged.filter((line) => line.includes('does not parse'))).toHaveLength(odd.length)
    await after.close()
  })

  const broken: Readonly<Record<string, readonly [how: () => void, said: RegExp]>> = {
    'that is no database': [() => writeFileSync(join(directory, 'sessions.db'), 'x'.repeat(5000)), /not a database/],
    'that was cut short': [
      () => {
        tamper('CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(100000))')
        truncateSync(join(directory, 'sessions.db'), 9000)
      },
      /damaged|malformed/,
    ],
    'of a later format': [() => tamper('PRAGMA user_version = 99'), /has format 99/],
    'with another table in place of ours': [
      () => tamper('CREATE TABLE sessions (x)'),
      /sessions.db: no such column.*move it away/,
    ],
    'that is a symbolic link': [() => symlinkSync('/dev/null', join(directory, 'sessions.db')), /ELOOP/],
    'that others can write': [
      () => {
        writeFileSync(join(directory, 'sessions.db'), '')
        chmodSync(join(directory, 'sessions.db'), 0o666)
      },
      /can be written by other users/,
    ],
    'in a directory that others can write': [() => chmodSync(directory, 0o777), /can be written by other users/],
  }
  for (const [what, [how, said]] of Object.entries(broken)) {
    test(`a file ${what} is a startup error`, () => {
      how()
      expect(() => open()).toThrow(said)
    })
  }
})
