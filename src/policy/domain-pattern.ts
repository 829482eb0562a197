/**
 * Domain patterns: `example.org` that name only, `*.example.org` any name below it, `**.example.org` both, `api-*.example.org`
 * a star inside one label, `*` any host. Pure.
 *
 * Promises: a suffix matches at a label boundary only (`*.good.test` is not `evilgood.test`); lookup costs one map access
 * per label of the host, however many patterns there are.
 */

import { domainToASCII } from 'node:url'
import { type Host, parseHost } from '../net/host.ts'

export type DomainPattern =
  | { readonly kind: 'any'; readonly text: '*' }
  | { readonly kind: 'exact'; readonly text: string; readonly host: string }
  /** `apex` says whether the base itself matches. */
  | { readonly kind: 'below'; readonly text: string; readonly base: string; readonly apex: boolean }
  /** One label with stars, then a fixed rest. `pieces` are what stands between the stars. */
  | { readonly kind: 'label'; readonly text: string; readonly pieces: readonly string[]; readonly base: string }

/** The pattern, or a sentence that says what is wrong with it. Any case and Unicode are kept as lower-case A-labels. */
export function parseDomainPattern(written: string): DomainPattern | string {
  if (written === '*') return { kind: 'any', text: '*' }
  const text = toAscii(written)
  if (text === null) return 'is not a host name'
  if (!text.includes('*')) {
    const host = parseHost(text)
    if (host === null)
      return text.includes(':')
        ? 'has a colon: write ports under "ports", an IPv6 address in brackets'
        : 'is not a host name'
    return { kind: 'exact', text: host.text, host: host.name }
  }
  const dot = text.indexOf('.')
  if (dot < 0) return 'has a star in a name of one label'
  const first = text.slice(0, dot)
  const base = parseHost(text.slice(dot + 1))
  if (base === null || base.ip !== null)
    return 'needs a plain domain name after the first label; stars stand in the first label only'
  if (first === '*' || first === '**') {
    return { kind: 'below', text: `${first}.${base.name}`, base: base.name, apex: first === '**' }
  }
  if (first.includes('**')) return 'has two stars in a row inside a label'
  const pieces = first.split('*')
  if (!pieces.every((piece) => /^[a-z0-9_-]*$/.test(piece)))
    return 'has characters in its first label that no host name may have'
  return { kind: 'label', text: `${first}.${base.name}`, pieces, base: base.name }
}

export function matchesPattern(pattern: DomainPattern, host: Host): boolean {
  switch (pattern.kind) {
    case 'any':
      return host.ip === null
    case 'exact':
      return host.name === pattern.host
    case 'below':
      return (
        host.ip === null && (host.name.endsWith(`.${pattern.base}`) || (pattern.apex && host.name === pattern.base))
      )
    case 'label': {
      const dot = host.name.indexOf('.')
      return (
        host.ip === null &&
        host.name.slice(dot + 1) === pattern.base &&
        matchesLabel(pattern.pieces, host.name.slice(0, dot))
      )
    }
  }
}

/** Patterns with what belongs to them, found by host without looking at the others. */
export class DomainIndex<Entry> {
  readonly #any: Entry[] = []
  readonly #exact = new Map<string, Entry[]>()
  readonly #apexToo = new Map<string, Entry[]>()
  readonly #below = new Map<string, Entry[]>()
  readonly #label = new Map<string, { readonly pieces: readonly string[]; readonly entry: Entry }[]>()

  add(pattern: DomainPattern, entry: Entry): void {
    switch (pattern.kind) {
      case 'any':
        this.#any.push(entry)
        break
      case 'exact':
        append(this.#exact, pattern.host, entry)
        break
      case 'below':
        append(this.#below, pattern.base, entry)
        if (pattern.apex) append(this.#apexToo, pattern.base, entry)
        break
      case 'label':
        append(this.#label, pattern.base, { pieces: pattern.pieces, entry })
        break
    }
  }

  lookup(host: Host): Entry[] {
    const found: Entry[] = [...(this.#exact.get(host.name) ?? [])]
    if (host.ip !== null) return found
    found.push(...(this.#apexToo.get(host.name) ?? []))
    let dot = host.name.indexOf('.')
    if (dot >= 0) {
      const first = host.name.slice(0, dot)
      for (const { pieces, entry } of this.#label.get(host.name.slice(dot + 1)) ?? [])
        if (matchesLabel(pieces, first)) found.push(entry)
    }
    for (; dot >= 0; dot = host.name.indexOf('.', dot + 1))
      found.push(...(this.#below.get(host.name.slice(dot + 1)) ?? []))
    found.push(...this.#any)
    return found
  }
}

/** Pieces in order: the first at the start, the last at the end, the others anywhere between. Linear: leftmost is enough. */
function matchesLabel(pieces: readonly string[], label: string): boolean {
  const head = pieces[0] ?? ''
  const tail = pieces.at(-1) ?? ''
  if (label.length < head.length + tail.length || !label.startsWith(head) || !label.endsWith(tail)) return false
  let at = head.length
  const end = label.length - tail.length
  for (const piece of pieces.slice(1, -1)) {
    const found = label.indexOf(piece, at)
    if (found < 0 || found + piece.length > end) return false
    at = found + piece.length
  }
  return at <= end
}

function append<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}

/**
 * Stars survive, the rest becomes A-labels. Policies are written by people, so Unicode is welcome here and only here; but
 * what is no plain name before the mapping must not become one by it (a full-width star, circled digits, `ü.test/x`).
 */
function toAscii(written: string): string | null {
  if (/^[ -~]*$/.test(written)) return written.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
  const stars = /^(\*\*?\.)?([\w.\u{80}-\u{10ffff}-]*)$/u.exec(written)
  if (stars === null) return null
  const ascii = domainToASCII(stars[2] ?? '')
  if (ascii === '' || ascii.includes('*') || parseHost(ascii)?.ip !== null) return null
  return `${stars[1] ?? ''}${ascii}`
}
