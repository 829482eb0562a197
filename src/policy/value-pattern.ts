/**
 * Patterns for values of header fields and of JSON: `*` stands for any text, a leading `!` for all texts but these;
 * nothing else is special. Pure.
 *
 * Promises: matching takes time that grows with the text, whatever the pattern; where it decides a deny, case and space
 * around a value make no difference.
 */

export type ValuePattern = {
  readonly text: string
  /** Whether it is `*` alone: whatever there is, even what is no text. */
  readonly isAny: boolean
  readonly matches: (value: string) => boolean
  /** As lenient servers read values. */
  readonly matchesLoosely: (value: string) => boolean
}

export function parseValuePattern(text: string): ValuePattern {
  const negated = text.startsWith('!')
  const pieces = (negated ? text.slice(1) : text).split('*')
  const loosely = pieces.map(folded)
  return {
    text,
    isAny: text === '*',
    matches: (value) => fits(value, pieces) !== negated,
    matchesLoosely: (value) => fits(folded(value.trim()), loosely) !== negated,
  }
}

/** Each piece at the first place where it fits: what comes later has all the more room (the last must fit at the end). */
function fits(value: string, pieces: readonly string[]): boolean {
  const [first = '', ...rest] = pieces
  const last = rest.pop()
  if (last === undefined) return value === first
  if (!value.startsWith(first)) return false
  let at = first.length
  for (const piece of rest) {
    const found = value.indexOf(piece, at)
    if (found < 0) return false
    at = found + piece.length
  }
  return value.length - last.length >= at && value.endsWith(last)
}

/** As servers compare that do not look at case: by Unicode too, where the long s is an s, and the Kelvin sign a k. */
export function folded(text: string): string {
  return text.toUpperCase().toLowerCase()
}
