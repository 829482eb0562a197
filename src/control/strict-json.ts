/**
 * JSON that every parser reads the same way (RFC 8259 §4). Pure.
 *
 * Promises: a name that stands twice in one object is refused, for one reader takes the first and another the last; so
 * are the names that reach an object's prototype, bytes that are not UTF-8, and nesting deeper than any call needs.
 */

const depthMax = 32
const prototypeNames: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])
const token = /"(?:[^"\\]|\\.)*"|[{}[\],]/g

export type StrictJson = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly why: string }

export function parseStrictJson(bytes: Uint8Array): StrictJson {
  const text = decode(bytes)
  if (text === null) return { ok: false, why: 'it is not UTF-8' }
  const why = findAmbiguity(text)
  if (why !== null) return { ok: false, why }
  try {
    const value: unknown = JSON.parse(text)
    return { ok: true, value }
  } catch {
    return { ok: false, why: 'it does not parse' }
  }
}

function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return null
  }
}

/**
 * Walks the tokens, keeping the names of each open object. Runs before the parser, so text that is no JSON at all also
 * comes by here: whatever is said of it is a refusal either way.
 */
function findAmbiguity(text: string): string | null {
  const open: (Set<string> | null)[] = []
  let nameNext = false
  for (const [piece] of text.matchAll(token)) {
    if (piece === '{' || piece === '[') {
      if (open.length === depthMax) return `it is nested deeper than ${depthMax} levels`
      open.push(piece === '{' ? new Set() : null)
      nameNext = piece === '{'
    } else if (piece === '}' || piece === ']') {
      open.pop()
      nameNext = false
    } else if (piece === ',') {
      nameNext = open.at(-1) instanceof Set
    } else if (nameNext) {
      nameNext = false
      const why = judgeName(piece, open.at(-1) ?? null)
      if (why !== null) return why
    }
  }
  return null
}

/** Names are compared as they are read, not as they are written: `"\u0061"` and `"a"` are one name. */
function judgeName(quoted: string, names: Set<string> | null): string | null {
  const name = unquote(quoted)
  if (name === null) return 'it does not parse'
  if (prototypeNames.has(name)) return `the name ${JSON.stringify(name)} is refused everywhere`
  if (names?.has(name) === true) return 'a name stands twice in one object'
  names?.add(name)
  return null
}

function unquote(quoted: string): string | null {
  try {
    const read: unknown = JSON.parse(quoted)
    return typeof read === 'string' ? read : null
  } catch {
    return null
  }
}
