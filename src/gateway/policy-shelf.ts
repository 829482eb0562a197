/**
 * Where the policies of this gateway come from: shipped ones, files, and those made over the control API; taken together or
 * not at all.
 *
 * Promises: what a change would break is said before anything changes; a policy of the API is kept before it is in force,
 * and one from a file is changed in its file only (decision 19).
 */

import { type Issue, parsePolicy, type PlaceOf, type PolicySource } from '../policy/parse-policy.ts'
import type { PolicyBook } from '../policy/policy-book.ts'

/** By name, as they were given. */
export type PolicyDocuments = ReadonlyMap<string, object>

export type PolicyShelfOptions = {
  readonly book: PolicyBook
  readonly files: readonly PolicySource[]
  readonly made: PolicyDocuments
  /** Resolves when they would survive the end of the process, as far as the store can. */
  readonly keep: (made: PolicyDocuments) => Promise<void>
  /** Names of the policies that sessions are made of. */
  readonly inUse: () => ReadonlySet<string>
}

const atApi: PlaceOf = () => ({ file: 'control API', line: 0, column: 0 })

export class PolicyShelf {
  readonly #options: PolicyShelfOptions
  #files: readonly PolicySource[]
  #made: PolicyDocuments
  /** Changes one after the other: each is judged beside what the one before left. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: PolicyShelfOptions) {
    this.#options = options
    this.#files = options.files
    this.#made = options.made
  }

  /** Takes everything for the first time. */
  load(): Issue[] {
    return this.#replace(this.#files, this.#made, new Set())
  }

  /** The files anew. */
  reload(files: readonly PolicySource[]): Issue[] {
    const issues = this.#replace(files, this.#made, this.#options.inUse())
    if (issues.length === 0) this.#files = files
    return issues
  }

  /** A policy of the API as it was given; null: it is none. */
  documentOf(name: string): object | null {
    return this.#made.get(name) ?? null
  }

  get count(): number {
    return this.#made.size
  }

  /** What is wrong with it, also for those that extend it. */
  check(name: string, document: object): Issue[] {
    return this.#judge(new Map(this.#made).set(name, document))
  }

  /** `still` is asked when the turn of this change has come; null: it said no. */
  put(name: string, document: object, still: () => boolean): Promise<Issue[] | null> {
    return this.#change(still, (made) => made.set(name, document))
  }

  remove(name: string, still: () => boolean): Promise<Issue[] | null> {
    return this.#change(still, (made) => {
      made.delete(name)
      return made
    })
  }

  #change(still: () => boolean, edit: (made: Map<string, object>) => PolicyDocuments): Promise<Issue[] | null> {
    const turn = this.#changeNow(this.#last, still, edit)
    this.#last = turn.catch(() => null)
    return turn
  }

  async #changeNow(
    before: Promise<unknown>,
    still: () => boolean,
    edit: (made: Map<string, object>) => PolicyDocuments,
  ): Promise<Issue[] | null> {
    await before
    if (!still()) return null
    const next = edit(new Map(this.#made))
    const wrong = this.#judge(next)
    if (wrong.length > 0) return wrong
    await this.#options.keep(next)
    // Files may have changed meanwhile: then they win, and what was kept is taken back.
    const issues = this.#replace(this.#files, next, this.#options.inUse())
    if (issues.length === 0) this.#made = next
    else await this.#options.keep(this.#made)
    return issues
  }

  #judge(made: PolicyDocuments): Issue[] {
    const sources = parseMade(made)
    if (sources.issues.length > 0) return sources.issues
    return this.#options.book.check([...this.#files, ...sources.parsed], this.#options.inUse())
  }

  #replace(files: readonly PolicySource[], made: PolicyDocuments, inUse: ReadonlySet<string>): Issue[] {
    const sources = parseMade(made)
    if (sources.issues.length > 0) return sources.issues
    return this.#options.book.replace([...files, ...sources.parsed], inUse)
  }
}

function parseMade(made: PolicyDocuments): { readonly parsed: PolicySource[]; readonly issues: Issue[] } {
  const parsed: PolicySource[] = []
  const issues: Issue[] = []
  for (const [name, document] of made) {
    const source = parsePolicy({ version: 1, ...document, name }, atApi)
    if (Array.isArray(source)) issues.push(...source)
    else parsed.push(source)
  }
  return { parsed, issues }
}
