/** Each third party, and each part of the world, has one door: the places below and no other. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { importsOf, root, type SourceFile, sourceFiles } from './source-files.ts'

const dependencies = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly dependencies: Readonly<Record<string, string>>
}

/** A folder ends in a slash. `everywhere`: plain values, harmless wherever they are used. */
const packageDoors: Readonly<Record<string, readonly string[] | 'everywhere'>> = {
  '@peculiar/asn1-schema': ['tls/'],
  '@peculiar/asn1-x509': ['tls/'],
  '@redis/client': ['sessions/redis-store.ts'],
  ajv: ['policy/schema-issues.ts'],
  commander: ['cli/'],
  fastify: ['control/'],
  jose: ['credentials/signed-jwt.ts'],
  'lru-cache': 'everywhere',
  minimatch: ['policy/path-pattern.ts'],
  pino: ['telemetry/log.ts'],
  'prom-client': ['telemetry/durations.ts', 'telemetry/metrics.ts'],
  tldts: ['policy/public-suffix.ts'],
  typebox: 'everywhere',
  undici: ['upstream/'],
  yaml: ['config/yaml.ts'],
}

/** What reaches out of the process. Types of these may be named anywhere. */
const worldDoors: Readonly<Record<string, readonly string[]>> = {
  'node:child_process': ['cli/', 'credentials/sources/command.ts'],
  'node:cluster': [],
  'node:dgram': [],
  'node:dns': ['upstream/resolve.ts'],
  // The probes of `verify` run in a sandbox, beside no gateway: what they try is what a gateway never does.
  'node:dns/promises': ['upstream/resolve.ts', 'cli/sandbox-probes.ts'],
  // Of a head that comes by HTTP/2, the words that HTTP/1.1 has for its status.
  'node:http': ['cli/control-client.ts', 'cli/demo-client.ts', 'upstream/h2-fields.ts'],
  'node:http2': ['listeners/h2-door.ts', 'upstream/h2-sessions.ts'],
  'node:https': ['cli/control-client.ts', 'cli/demo-client.ts', 'cli/demo-origin.ts'],
  'node:net': ['listeners/proxy-listener.ts', 'upstream/dial.ts', 'cli/inside.ts', 'cli/sandbox-probes.ts'],
  'node:readline': ['cli/'],
  'node:repl': [],
  'node:sqlite': ['sessions/'],
  'node:tls': ['tls/', 'upstream/origin-pools.ts', 'upstream/origin-tls.ts', 'cli/sandbox-probes.ts'],
  // For its `gc`, and nothing else.
  'node:vm': ['upstream/young-garbage.ts'],
  'node:worker_threads': [],
}

/** Files are read and written by those who own them; deciding and walking touch none. */
const withoutFiles = ['exchange/', 'net/', 'policy/']

function nameOf(specifier: string): string {
  if (specifier.startsWith('node:')) return specifier
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}

function isAt(path: string, places: readonly string[]): boolean {
  return places.some((place) => (place.endsWith('/') ? path.startsWith(place) : path === place))
}

function trespasses({ path, imports }: Pick<SourceFile, 'imports' | 'path'>): string[] {
  return imports.flatMap(({ specifier, file, isType }) => {
    if (file !== null) return []
    const name = nameOf(specifier)
    if (name.startsWith('node:')) {
      const places = worldDoors[name]
      if (isType) return []
      if (places !== undefined && !isAt(path, places))
        return [
          `src/${path}: ${name} has its door in ${places.join(' and ') || 'no file'}; ask for what you need there`,
        ]
      return name.startsWith('node:fs') && isAt(path, withoutFiles)
        ? [`src/${path}: ${path.split('/')[0]} touches no files; have their contents handed in`]
        : []
    }
    const places = packageDoors[name]
    if (places === undefined)
      return [`src/${path}: ${name} has no door; give it one place, and a sentence in a decision record`]
    return places === 'everywhere' || isAt(path, places)
      ? []
      : [`src/${path}: ${name} has its door in ${places.join(' and ')}; ask for what you need there`]
  })
}

/** Globals with a door of their own. */
const globalDoors: readonly (readonly [what: string, pattern: RegExp, places: readonly string[], instead: string])[] = [
  ['process.env', /\bprocess\.env\b/, ['config/load-config.ts'], 'have values handed in'],
  ['console', /\bconsole\.\w+\(/, ['cli/'], 'use the log that is handed in'],
  ['fetch', /(?<![.\w])fetch\(/, [], 'connections are dialled in upstream/dial.ts'],
  ['Math.random', /\bMath\.random\b/, [], 'randomness is handed in, and is node:crypto'],
  ['Date.now', /\bDate\.now\b|\bnew Date\(\)/, ['cli/', 'gateway/', 'gateway.ts'], 'have the clock handed in'],
  ['eval', /\beval\(|\bnew Function\(/, [], 'there is no use for it'],
]

function globalTrespasses({ path, text }: Pick<SourceFile, 'path' | 'text'>): string[] {
  const code = text.replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, '')
  return globalDoors
    .filter(([, pattern, places]) => pattern.test(code) && !isAt(path, places))
    .map(([what, , places, instead]) => `src/${path}: ${what} is for ${places.join(' and ') || 'nobody'}; ${instead}`)
}

it('third parties and the world are used at their doors only', () => {
  expect(sourceFiles.flatMap(trespasses)).toEqual([])
})

it('globals are used at their doors only', () => {
  expect(sourceFiles.flatMap(globalTrespasses)).toEqual([])
})

it('every dependency has a door, and no door is for a dependency we do not have', () => {
  expect(Object.keys(packageDoors).sort()).toEqual(Object.keys(dependencies.dependencies).sort())
})

it.each([
  ['exchange/a.ts', "import fastify from 'fastify'", 'fastify has its door in control/'],
  [
    'tls/a.ts',
    "import net from 'node:net'",
    'node:net has its door in listeners/proxy-listener.ts and upstream/dial.ts',
  ],
  ['cli/a.ts', "import { resolve } from 'node:dns/promises'", 'node:dns/promises has its door'],
  ['net/a.ts', "import { left } from 'left-pad'", 'left-pad has no door'],
  ['policy/a.ts', "import { readFileSync } from 'node:fs'", 'policy touches no files'],
  [
    'upstream/a.ts',
    "import { AsnParser } from '@peculiar/asn1-schema/build'",
    '@peculiar/asn1-schema has its door in tls/',
  ],
])('%s with %s is told so', (path, text, sentence) => {
  expect(trespasses({ path, imports: importsOf(path, text) }).join()).toContain(sentence)
})

it('naming a type of the world is no use of it', () => {
  for (const text of ["import type net from 'node:net'", "import { type AddressInfo } from 'node:net'"])
    expect(trespasses({ path: 'exchange/a.ts', imports: importsOf('exchange/a.ts', text) })).toEqual([])
})

it.each([
  ['sessions/a.ts', "const x = process.env['X']", 'process.env is for config/load-config.ts'],
  ['telemetry/a.ts', "console.log('x')", 'console is for cli/'],
  ['credentials/a.ts', 'await fetch(url)', 'fetch is for nobody'],
  ['sessions/a.ts', 'const at = Date.now()', 'Date.now is for cli/ and gateway/'],
])('%s with %s is told so', (path, text, sentence) => {
  expect(globalTrespasses({ path, text }).join()).toContain(sentence)
})
