import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createKeptVersions } from '../../../src/gateway/kept-versions.ts'

let directory = ''
let path = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-versions-'))
  path = join(directory, 'policy-versions.json')
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

it('are there after a restart, the last that was known, in a file of ours alone', async () => {
  const kept = createKeptVersions(directory)
  expect(await kept.load()).toEqual(new Map())
  let versions = new Map([['dev', { version: 1, fingerprint: 'a' }]])
  const first = kept.keep(() => versions)
  versions = new Map([['dev', { version: 2, fingerprint: 'b' }]])
  await Promise.all([first, kept.keep(() => versions)])
  expect(await createKeptVersions(directory).load()).toEqual(versions)
  expect([statSync(path).mode & 0o777, readdirSync(directory)]).toEqual([0o600, ['policy-versions.json']])
})

it.each(['', '[]', '{"dev":2}', '{"dev":{"version":"2","fingerprint":"a"}}', '{"dev":{"version":2'])(
  'are a startup error where the file says %j',
  async (text) => {
    writeFileSync(path, text, { mode: 0o600 })
    await expect(createKeptVersions(directory).load()).rejects.toThrow(/is not a file of versions/)
  },
)

it('are a startup error where others could have written them', async () => {
  writeFileSync(path, '{}', { mode: 0o600 })
  chmodSync(path, 0o666)
  await expect(createKeptVersions(directory).load()).rejects.toThrow()
})
