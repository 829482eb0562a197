/**
 * The direction of dependence:
 * main → cli → gateway → config → { listeners, control, telemetry } → exchange → { sessions, credentials, tls, upstream }
 * → policy → net. Leftward things import rightward things; siblings never import each other.
 */

import { expect, it } from 'vitest'
import { importsOf, type SourceFile, sourceFiles } from './source-files.ts'

/** Left to right, each with the reason that is given to whoever crosses it. */
const layers: readonly (readonly (readonly [folder: string, because: string])[])[] = [
  [['main', 'it is arguments in, exit code out']],
  [['cli', 'it speaks to people and to the gateway']],
  [['gateway', 'it joins parts that know nothing of it']],
  [['config', 'it knows the options of every part, and no part has heard of it']],
  [
    ['listeners', 'a door hands in what it read, and knows no other door'],
    ['control', 'it writes to sessions and policies, never to a proxied socket'],
    ['telemetry', 'it consumes records, and nothing on the walk knows that it is watched'],
  ],
  [['exchange', 'the walk is told what to call, it does not know who listens, serves or watches']],
  [
    ['sessions', 'what it shares with its siblings goes down to policy as plain data'],
    ['credentials', 'what it shares with its siblings goes down to policy as plain data'],
    ['tls', 'what it shares with its siblings goes down to policy as plain data'],
    ['upstream', 'what it shares with its siblings goes down to policy as plain data'],
  ],
  [['policy', 'it decides, it does not act']],
  [['net', 'it is values, without policy and without I/O']],
]

const rankOf = new Map(layers.flatMap((layer, rank) => layer.map(([folder]) => [folder, rank] as const)))
const becauseOf = new Map(layers.flat())

function layerOf(path: string): string {
  return (path.split('/')[0] ?? '').replace(/\.ts$/, '')
}

/** Sentences, one for each import that goes the wrong way. */
function crossings({ path, imports }: Pick<SourceFile, 'imports' | 'path'>): string[] {
  const from = layerOf(path)
  return imports.flatMap(({ file, specifier }) => {
    if (file === null) return []
    const to = layerOf(file)
    const [left, right] = [rankOf.get(from), rankOf.get(to)]
    if (left === undefined) return [`src/${path}: ${from} is no layer; give it a place in the line of layers`]
    if (right === undefined) return [`src/${path}: imports ${specifier}, which is in no layer`]
    if (from === to || left < right) return []
    return [`src/${path}: ${from} may not import ${to} (${specifier}): ${becauseOf.get(from)}`]
  })
}

it('every import goes down the line of layers', () => {
  expect(sourceFiles.length).toBeGreaterThan(50)
  expect(sourceFiles.flatMap(crossings)).toEqual([])
})

it.each([
  ['policy/a.ts', "import { dial } from '../upstream/dial.ts'", 'policy may not import upstream'],
  ['policy/a.ts', "import type { Dial } from '../upstream/dial.ts'", 'it decides, it does not act'],
  ['tls/a.ts', "import {\n  type Session,\n} from '../sessions/session.ts'", 'tls may not import sessions'],
  ['exchange/a.ts', "export { x } from '../telemetry/log.ts'", 'exchange may not import telemetry'],
  ['net/a.ts', "const late = await import('../policy/policy.ts')", 'net may not import policy'],
  ['control/routes/a.ts', "import '../../telemetry/log.ts'", 'control may not import telemetry'],
  ['config/a.ts', "import { x } from '../gateway/walk-parts.ts'", 'config may not import gateway'],
  ['extras/a.ts', "import { x } from '../net/ip.ts'", 'extras is no layer'],
])('%s with %s is told so', (path, text, sentence) => {
  expect(crossings({ path, imports: importsOf(path, text) }).join()).toContain(sentence)
})

it.each([
  ['exchange/a.ts', "import { decideHost } from '../policy/decide-host.ts'"],
  ['control/routes/a.ts', "import { problem } from '../problem.ts'"],
  ['gateway/a.ts', "import { StartError } from '../gateway.ts'"],
])('%s with %s is fine', (path, text) => {
  expect(crossings({ path, imports: importsOf(path, text) })).toEqual([])
})
