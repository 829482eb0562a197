import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createHostsFile, parseHostsFile } from '../../../src/upstream/hosts-file.ts'

const texts = (text: string, name: string): string[] | null =>
  parseHostsFile(text)
    .get(name)
    ?.map((ip) => ip.text) ?? null

describe('a hosts file', () => {
  it.each([
    ['gives every name of a line its address', '10.0.0.5 db db.corp.test', 'db.corp.test', ['10.0.0.5']],
    ['gives a name all its addresses, in order', '127.0.0.1 a.test\n::1 a.test', 'a.test', ['127.0.0.1', '::1']],
    ['folds the case of names', '10.0.0.5 Db.Corp.Test', 'db.corp.test', ['10.0.0.5']],
    ['ends a line at a comment', '10.0.0.5 a.test # b.test', 'b.test', null],
    ['passes over an address that some C library would read', '127.1 a.test', 'a.test', null],
    ['passes over an address with a zone', 'fe80::1%lo a.test', 'a.test', null],
    ['passes over a name that is an address', '10.0.0.5 127.0.0.1', '127.0.0.1', null],
    ['knows no name that is not there', '10.0.0.5 a.test', 'toString', null],
  ])('%s', (_title, text, name, expected) => {
    expect(texts(text, name)).toEqual(expected)
  })

  it('that is not there has no names', () => {
    expect(createHostsFile(join(tmpdir(), 'no-such-hosts-file'))('a.test')).toBeNull()
  })

  it('is read from where it stands', () => {
    const path = join(mkdtempSync(join(tmpdir(), 'hosts-')), 'hosts')
    writeFileSync(path, '10.0.0.5 a.test\n')
    expect(createHostsFile(path)('a.test')?.map((ip) => ip.text)).toEqual(['10.0.0.5'])
  })
})
