import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadAdminToken } from '../../../src/gateway/admin-token.ts'
import { temporaryDirectory } from '../../support/temporary-ca.ts'

describe('the first admin token', () => {
  it('is made on first use, in a file that only we can read, and is the same afterwards', async () => {
    const directory = await temporaryDirectory()
    const first = await loadAdminToken(directory)
    expect(first.path).toBe(join(directory, 'admin-token'))
    expect(first.token).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect((await stat(first.path)).mode & 0o777).toBe(0o600)
    expect(await loadAdminToken(directory)).toEqual(first)
    expect(await readFile(first.path, 'utf8')).toBe(`${first.token}\n`)
  })

  it('is one, however many start at the same time', async () => {
    const directory = await temporaryDirectory()
    const loaded = await Promise.all(Array.from({ length: 8 }, () => loadAdminToken(directory)))
    expect(new Set(loaded.map(({ token }) => token)).size).toBe(1)
    expect(await readdir(directory)).toEqual(['admin-token'])
  })

  it.each(['', 'short', ' '.repeat(60)])(
    'that stands there as %j is refused, and says which file it is',
    async (text) => {
      const directory = await temporaryDirectory()
      const path = join(directory, 'admin-token')
      await writeFile(path, text)
      await expect(loadAdminToken(directory)).rejects.toThrow(path)
      expect(await readFile(path, 'utf8')).toBe(text)
    },
  )
})
