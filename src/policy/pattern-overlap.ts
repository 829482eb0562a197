/**
 * How two domain patterns stand to each other: does one hold all hosts of the other, is there a host of both? Pure.
 *
 * Promises: what overlaps is found without comparing every pair; patterns meet only at or below each other's fixed part.
 */

import { type Host, parseHost } from '../net/host.ts'
import { type DomainPattern, matchesPattern } from './domain-pattern.ts'

/** Whether every host of `inner` is a host of `outer`. */
export function coversPattern(outer: DomainPattern, inner: DomainPattern): boolean {
  if (outer.text === inner.text) return true
  if (inner.kind === 'exact') return holds(outer, inner.text)
  if (outer.kind === 'any') return true
  if (inner.kind === 'any' || outer.kind !== 'below') return false
  if (isBelow(inner.base, outer.base)) return true
  return inner.base === outer.base && (inner.kind === 'label' || outer.apex || !inner.apex)
}

/** Whether some host belongs to both. */
export function overlapsPattern(a: DomainPattern, b: DomainPattern): boolean {
  if (a.kind === 'exact') return holds(b, a.text)
  if (b.kind === 'exact') return holds(a, b.text)
  if (a.kind === 'any' || b.kind === 'any') return true
  if (a.kind === 'label' && b.kind === 'label') return a.base === b.base && piecesMeet(a.pieces, b.pieces)
  if (a.kind === 'below' && b.kind === 'below')
    return a.base === b.base || isBelow(a.base, b.base) || isBelow(b.base, a.base)
  const [below, label] = a.kind === 'below' ? [a, b] : [b, a]
  if (below.kind !== 'below' || label.kind !== 'label') return false
  return label.base === below.base || isBelow(label.base, below.base) || (below.apex && holds(label, below.base))
}

/** The part of a pattern that is fixed: patterns meet only where one's is at or below the other's. Empty: everywhere. */
export function anchorOf(pattern: DomainPattern): string {
  switch (pattern.kind) {
    case 'any':
      return ''
    case 'exact':
      return pattern.host
    case 'below':
    case 'label':
      return pattern.base
  }
}

/** A pattern with its one host, where it has only one, so that it is parsed once. */
type Indexed<Entry> = { readonly pattern: DomainPattern; readonly host: Host | null; readonly entry: Entry }

/** Patterns with what belongs to them, found by a pattern they overlap. */
export class OverlapIndex<Entry> {
  readonly #at = new Map<string, Indexed<Entry>[]>()
  readonly #atOrBelow = new Map<string, Indexed<Entry>[]>()

  add(pattern: DomainPattern, entry: Entry): void {
    const anchor = anchorOf(pattern)
    const indexed = { pattern, host: hostOf(pattern), entry }
    append(this.#at, anchor, indexed)
    for (const suffix of suffixesOf(anchor)) append(this.#atOrBelow, suffix, indexed)
  }

  *overlapping(pattern: DomainPattern): Generator<Entry> {
    const anchor = anchorOf(pattern)
    const host = hostOf(pattern)
    const meets = (other: Indexed<Entry>): boolean => {
      if (host !== null) return matchesPattern(other.pattern, host)
      return other.host === null ? overlapsPattern(pattern, other.pattern) : matchesPattern(pattern, other.host)
    }
    for (const other of this.#atOrBelow.get(anchor) ?? []) if (meets(other)) yield other.entry
    for (const suffix of suffixesOf(anchor)) {
      if (suffix === anchor) continue
      for (const other of this.#at.get(suffix) ?? []) if (meets(other)) yield other.entry
    }
  }
}

function hostOf(pattern: DomainPattern): Host | null {
  return pattern.kind === 'exact' ? parseHost(pattern.text) : null
}

/** The name, each name above it, and the empty one: `a.b.c`, `b.c`, `c`, ``. */
function suffixesOf(name: string): string[] {
  const suffixes = [name]
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) suffixes.push(name.slice(dot + 1))
  if (name !== '') suffixes.push('')
  return suffixes
}

function holds(pattern: DomainPattern, host: string): boolean {
  const parsed = parseHost(host)
  return parsed !== null && matchesPattern(pattern, parsed)
}

function isBelow(name: string, base: string): boolean {
  return name.endsWith(`.${base}`)
}

/** Whether some text fits both, stars between the pieces: walked side by side, a star standing still or moving on. */
function piecesMeet(a: readonly string[], b: readonly string[]): boolean {
  const left = a.join('*')
  const right = b.join('*')
  // reach[j]: left up to i and right up to j can have eaten the same text.
  let reach = Array.from({ length: right.length + 1 }, (_, j) => /^\**$/.test(right.slice(0, j)))
  for (const letter of left) {
    const next: boolean[] = [letter === '*' && reach[0] === true]
    for (let j = 1; j <= right.length; j++) {
      const other = right[j - 1]
      const diagonal = reach[j - 1] === true && letter === other
      const leftStar = letter === '*' && (reach[j] === true || next[j - 1] === true)
      const rightStar = other === '*' && (reach[j] === true || next[j - 1] === true)
      next.push(diagonal || leftStar || rightStar)
    }
    reach = next
  }
  return reach[right.length] === true
}

function append<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}
