import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { deriveKey, loadStateKey, parseStateKey } from '../../../src/sessions/state-key.ts'

let parent = ''
beforeEach(() => (parent = mkdtempSync(join(tmpdir(), 'sallyport-key-'))))
afterEach(() => rmSync(parent, { recursive: true, force: true }))

test('the key is made once, for us only, and stays', () => {
  const directory = join(parent, 'state')
  const key = loadStateKey(directory, randomBytes)
  expect(key).toHaveLength(32)
  expect(loadStateKey(directory, randomBytes)).toEqual(key)
  expect(statSync(directory).mode & 0o777).toBe(0o700)
  expect(statSync(join(directory, 'state-key')).mode & 0o777).toBe(0o600)
  expect(readdirSync(directory)).toEqual(['state-key'])
})

test('a key that was cut is a startup error and is left as it is', () => {
  loadStateKey(parent, randomBytes)
  truncateSync(join(parent, 'state-key'), 5)
  expect(() => loadStateKey(parent, randomBytes)).toThrow(/not a key of 32 bytes/)
  expect(statSync(join(parent, 'state-key')).size).toBe(5)
})

test('each purpose has a key of its own', () => {
  const key = Buffer.alloc(32, 1)
  expect(deriveKey(key, 'placeholders')).not.toEqual(deriveKey(key, 'sessions'))
})

test('a key that is given is 32 bytes in hex or base64, and nothing else', () => {
  const key = randomBytes(32)
  const texts = [key.toString('hex'), key.toString('base64'), `${key.toString('hex').toUpperCase()}\n`]
  for (const text of texts) expect(parseStateKey(text)).toEqual(key)
  const none = ['', 'secret', key.toString('hex').slice(1), `${key.toString('hex')}00`, 'z'.repeat(64), 'a'.repeat(32)]
  for (const text of none) expect(parseStateKey(text)).toBeNull()
})
