/**
 * YAML 1.2, and with it JSON, as files of people: the value and the place of every part. The only door to `yaml`.
 *
 * Promises: what two readers could read differently is refused: duplicate keys, aliases, merge keys, unknown tags, more
 * than one document. A hostile file costs little: its size and depth are bounded before anything is built from it.
 */

import { isMap, isNode, isPair, isScalar, isSeq, Lexer, LineCounter, parseDocument, type Pair, visit } from 'yaml'
import type { Issue, Place, PlaceOf } from '../policy/parse-policy.ts'

/** Enough for a hundred thousand rules with a line each of comment. */
export const yamlBytesMax = 16 * 2 ** 20
const depthMax = 64
const findingsMax = 100

export type YamlValue = { readonly kind: 'value'; readonly value: unknown; readonly at: PlaceOf }
export type YamlProblems = { readonly kind: 'issues'; readonly issues: Issue[] }

export function parseYaml(text: string, file: string): YamlValue | YamlProblems {
  const top: Place = { file, line: 1, column: 1 }
  if (text.length > yamlBytesMax) return problems([issue(top, 'is longer than 16 MiB', 'split it')])
  try {
    return read(text, file)
  } catch (error) {
    // A boundary: whatever the parser throws (a full stack, a bug) is a file we cannot read.
    return problems([
      issue(top, `cannot be read as YAML (${error instanceof Error ? error.name : 'error'})`, 'simplify it'),
    ])
  }
}

function read(text: string, file: string): YamlValue | YamlProblems {
  const lines = new LineCounter()
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const scanned = scan(text)
  if (scanned.length > 0) {
    lines.addNewLine(0)
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines.addNewLine(at + 1)
    return problems(scanned.map(({ offset, message, fix }) => issue(placeAt(offset), message, fix)))
  }
  const doc = parseDocument(text, {
    lineCounter: lines,
    logLevel: 'error', // "silent" would also keep quiet about a second document
    merge: false,
    prettyErrors: false,
    resolveKnownTags: false,
    schema: 'core',
    strict: true,
    stringKeys: true,
    uniqueKeys: false, // quadratic there; linear below
    version: '1.2',
  })
  const found = [...doc.errors, ...doc.warnings]
    .slice(0, findingsMax)
    .map((error) =>
      issue(
        placeAt(error.pos[0]),
        messages[error.code] ?? `YAML: ${error.message.slice(0, 120)}`,
        fixes[error.code] ?? 'correct the syntax',
      ),
    )
  const add = (node: unknown, message: string, fix: string): void => {
    if (found.length < findingsMax) found.push(issue(placeAt(offsetOf(node)), message, fix))
  }
  visit(doc, {
    Map: (_, node) => {
      const seen = new Set<unknown>()
      for (const { key } of node.items) {
        const name = isScalar(key) ? key.value : key
        if (seen.has(name)) add(key, `has the key "${String(name)}" twice`, 'keep one of them')
        if (name === '<<') add(key, 'has a merge key', 'write the keys out; merge keys are not read')
        seen.add(name)
      }
    },
  })
  if (found.length > 0) return problems(found)
  return { kind: 'value', value: doc.toJS({ maxAliasCount: 0 }), at: (path) => placeAt(offsetAt(doc.contents, path)) }
}

const messages: Readonly<Record<string, string>> = { MULTIPLE_DOCS: 'holds more than one document' }
const fixes: Readonly<Record<string, string>> = {
  MULTIPLE_DOCS: 'keep one document per file',
  NON_STRING_KEY: 'put the key in quotes',
  TAB_AS_INDENT: 'indent with spaces',
}

/** The key of the last part that is there (or the item of a list): where an editor should put the cursor. */
function offsetAt(contents: unknown, path: readonly (string | number)[]): number {
  let node = contents
  let offset = offsetOf(contents)
  for (const part of path) {
    if (isMap(node)) {
      const pair: Pair | undefined = node.items.find(({ key }) => (isScalar(key) ? key.value : key) === String(part))
      if (pair === undefined) break
      offset = offsetOf(pair.key)
      node = pair.value
    } else if (isSeq(node)) {
      const item = node.items[Number(part)]
      if (item === undefined) break
      offset = offsetOf(item)
      node = item
    } else break
  }
  return offset
}

function offsetOf(node: unknown): number {
  if (isPair(node)) return offsetOf(node.key)
  return isNode(node) ? (node.range?.[0] ?? 0) : 0
}

type Finding = { readonly offset: number; readonly message: string; readonly fix: string }

const indirections: Readonly<Record<string, readonly [string, string]>> = {
  '!': ['has a tag', 'drop the "!" and what belongs to it; values have their plain types'],
  '&': ['has an anchor', 'drop the "&" and its name; aliases are not read'],
  '*': ['has an alias', 'write the value out, or put the text in quotes'],
}

/** What no policy needs and bombs are made of, by lexeme: linear, and before anything is built. */
function scan(text: string): Finding[] {
  const found: Finding[] = []
  let offset = 0
  let flow = 0
  let openersInLine = 0
  let isScalar = false
  for (const lexeme of new Lexer().lex(text)) {
    if (lexeme === '\u0002' || lexeme === '\u0018' || lexeme === '\u001f') {
      isScalar = lexeme === '\u001f' // marks of the lexer, not of the text
      continue
    }
    if (lexeme === '[' || lexeme === '{') flow++
    else if (lexeme === ']' || lexeme === '}') flow--
    else if (flow === 0 && /^[-?:]$/.test(lexeme)) openersInLine++
    else if (lexeme.includes('\n')) openersInLine = 0
    const indirection = isScalar ? undefined : indirections[lexeme[0] ?? '']
    if (indirection !== undefined) found.push({ offset, message: indirection[0], fix: indirection[1] })
    // Each level of a block is indented by a column at least, so the depth of blocks shows as width.
    const isWide = !isScalar && lexeme.length > 16 * depthMax && /^ +$/.test(lexeme)
    if (flow > depthMax || openersInLine > depthMax || isWide)
      return [{ offset, message: `is nested deeper than ${depthMax} levels`, fix: 'write it flat' }]
    // The first is reason enough to refuse; what follows nearby is told too, a long file is not read for it.
    if (found.length >= findingsMax || offset - (found[0]?.offset ?? offset) > 16_384) break
    offset += lexeme.length
    isScalar = false
  }
  return found
}

function issue(place: Place, message: string, fix: string): Issue {
  return { ...place, path: '', message, fix }
}

function problems(issues: Issue[]): YamlProblems {
  return { kind: 'issues', issues }
}
