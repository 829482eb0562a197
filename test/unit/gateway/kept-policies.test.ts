import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createKeptPolicies } from '../../../src/gateway/kept-policies.ts'
import { PolicyShelf } from '../../../src/gateway/policy-shelf.ts'
import { PolicyBook } from '../../../src/policy/policy-book.ts'

let directory = ''
let path = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-kept-'))
  path = join(directory, 'policies.json')
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const always = () => true
const document = { description: 'é\u2028"', rules: [{ host: 'a.example', paths: ['/v1'] }] }

async function openShelf(files: ConstructorParameters<typeof PolicyShelf>[0]['files'] = []) {
  const kept = createKeptPolicies(directory)
  const book = new PolicyBook({ presets: [], credentials: new Map() })
  const shelf = new PolicyShelf({ book, files, made: await kept.load(), keep: kept.keep, inUse: () => new Set() })
  return { book, shelf, issues: shelf.load() }
}

describe('policies of the API', () => {
  it('are there after a restart, as they were given, in a file of ours alone', async () => {
    const before = await openShelf()
    expect(await before.shelf.put('mine', document, always)).toEqual([])
    expect(await before.shelf.put('over', { extends: ['mine'] }, always)).toEqual([])
    const { book, shelf, issues } = await openShelf()
    expect(issues).toEqual([])
    expect([book.get('over')?.rules.length, shelf.documentOf('mine')]).toEqual([1, document])
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readdirSync(directory)).toEqual(['policies.json'])
    expect(await shelf.remove('over', always)).toEqual([])
    expect((await openShelf()).book.get('over')).toBeNull()
  })

  const broken: readonly (readonly [what: string, text: string])[] = [
    ['is empty', ''],
    ['is cut short', '{"version":1,"policies":{"mine":{"rules":['],
    ['is of another format', '{"version":2,"policies":{}}'],
    ['holds what is no policy', '{"version":1,"policies":{"mine":7}}'],
  ]
  it.each(broken)('are a startup error where the file %s', async (_what, text) => {
    writeFileSync(path, text, { mode: 0o600 })
    await expect(openShelf()).rejects.toThrow(/is not a file of policies/)
  })

  it('are a startup error where others can write the file', async () => {
    writeFileSync(path, '{"version":1,"policies":{}}')
    chmodSync(path, 0o666)
    await expect(openShelf()).rejects.toThrow(/written by other users/)
  })

  it('stay as they are where a file takes the name of one, which is told', async () => {
    const { shelf, book } = await openShelf()
    await shelf.put('mine', document, always)
    const other = await openShelf()
    await other.shelf.put('theirs', { rules: [] }, always)
    const source = book.sourceOf('mine')
    expect(source).not.toBeNull()
    const issues = shelf.reload(source === null ? [] : [{ ...source }])
    expect(issues.map(({ message }) => message)).toEqual(['the name "mine" is taken by control API'])
    expect(book.get('mine')?.version).toBe(1)
  })

  it('are none where they could not be kept', async () => {
    const { shelf, book } = await openShelf()
    rmSync(directory, { recursive: true })
    await expect(shelf.put('mine', document, always)).rejects.toThrow()
    expect([book.get('mine'), shelf.documentOf('mine')]).toEqual([null, null])
  })
})
