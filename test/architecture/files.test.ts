/** How a file looks from outside: its length, its name, its first lines; and lists that name every file of a folder. */

import { basename, dirname } from 'node:path'
import { expect, it } from 'vitest'
import { sourceFiles } from './source-files.ts'

const linesMax = 300
/** Tables grow with what they list. */
const tables: readonly string[] = []

const namelessNames =
  /^(?:common|core|data|helpers?|impl|info|lib|managers?|misc|processor|services?|shared|stuff|types?|utils?)$/

it(`no file is longer than ${linesMax} lines`, () => {
  const long = sourceFiles
    .map(({ path, text }) => [path, text.split('\n').length - 1] as const)
    .filter(([path, length]) => length > linesMax && !tables.includes(path))
    .map(([path, length]) => `src/${path}: ${length} lines; it is two things`)
  expect(long).toEqual([])
})

it('every exempt table is there and needs it', () => {
  const long = sourceFiles.filter(({ text }) => text.split('\n').length > linesMax).map(({ path }) => path)
  expect(tables.filter((path) => !long.includes(path))).toEqual([])
})

/** Named by those who made the thing. */
const namedByOthers: readonly string[] = ['credentials/kinds/gcp-service-account.ts']

it('names say what is inside, in kebab case', () => {
  const ours = sourceFiles.filter(({ path }) => !namedByOthers.includes(path))
  const wrong = ours.flatMap(({ path }) =>
    path
      .replace(/\.ts$/, '')
      .split('/')
      .filter(
        (part) => !/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(part) || part.split('-').some((word) => namelessNames.test(word)),
      )
      .map((part) => `src/${path}: "${part}" names nothing; a thing without a home is not understood yet`),
  )
  expect(wrong).toEqual([])
})

it('every file begins by saying what it is', () => {
  const silent = sourceFiles.filter(({ text }) => !/^(?:#!.*\n)?\/\*\* ?/.test(text)).map(({ path }) => `src/${path}`)
  expect(silent).toEqual([])
})

it('no file holds a banner, a note to do something later, or a switched-off check', () => {
  const noise =
    /\bTODO\b|\bFIXME\b|\bXXX\b|[-=*]{12,}|@ts-(?:ignore|expect-error|nocheck)|(?:eslint|oxlint)-disable|biome-ignore/
  expect(sourceFiles.filter(({ text }) => noise.test(text)).map(({ path }) => `src/${path}`)).toEqual([])
})

/** Explicit lists instead of registration: the folder, which of its files are members, and the file that lists them. */
const lists: readonly (readonly [folder: string, isMember: RegExp, list: string])[] = [
  ['credentials/kinds', /^(?!index\.ts$)/, 'credentials/kinds/index.ts'],
  ['credentials/sources', /^(?!index\.ts$)/, 'credentials/sources/index.ts'],
  ['sessions', /^(?!session-store\.ts$).*-store\.ts$/, 'sessions/index.ts'],
  ['control/routes', /^/, 'control/server.ts'],
]

it.each(lists)('every member of %s is on its list', (folder, isMember, list) => {
  const listed = sourceFiles.find(({ path }) => path === list)?.imports.map(({ file }) => file) ?? []
  const forgotten = sourceFiles
    .filter(({ path }) => dirname(path) === folder && isMember.test(basename(path)) && !listed.includes(path))
    .map(({ path }) => `src/${list}: add a line for ${path}`)
  expect(forgotten).toEqual([])
})
