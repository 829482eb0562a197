/**
 * Issue: one problem of a file a person wrote, with the place and the fix. Pure.
 *
 * Promises: whoever reads one knows where to look and what to write instead; all issues of a file come at once.
 */

export type Place = { readonly file: string; readonly line: number; readonly column: number }

/** Where a value stands in its file. Lines and columns count from 1; 0 where there is no text (a value from the API). */
export type PlaceOf = (path: readonly (string | number)[]) => Place

export type Issue = {
  readonly file: string
  readonly line: number
  readonly column: number
  /** `rules[3].host`; empty for the file as a whole. */
  readonly path: string
  readonly message: string
  readonly fix: string
}

/** Beyond it a list helps nobody, and a hostile file must not make us write a long one. */
const issuesMax = 200

/** Collects issues of one file; `list` is what there is to say. */
export class IssueList {
  readonly #at: PlaceOf
  readonly #issues: Issue[] = []
  #more = 0

  constructor(at: PlaceOf) {
    this.#at = at
  }

  add(path: readonly (string | number)[], message: string, fix: string): void {
    if (this.#issues.length >= issuesMax) this.#more++
    else this.#issues.push({ ...this.#at(path), path: pathText(path), message, fix })
  }

  /** In the order of the file. */
  list(): Issue[] {
    const sorted = this.#issues.toSorted((a, b) => a.line - b.line || a.column - b.column)
    if (this.#more > 0)
      sorted.push({ ...this.#at([]), path: '', message: `and ${this.#more} more`, fix: 'fix these first' })
    return sorted
  }
}

export function pathText(path: readonly (string | number)[]): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else text += text === '' ? part : `.${part}`
  }
  return text
}

/** One line for people: `policies/dev.yaml:12:5: rules[3].host: "*.com" spans a public suffix; name the domain you mean`. */
export function issueText(issue: Issue): string {
  const place = issue.line === 0 ? issue.file : `${issue.file}:${issue.line}:${issue.column}`
  const path = issue.path === '' ? '' : `${issue.path}: `
  return `${place}: ${path}${issue.message}; ${issue.fix}`
}
