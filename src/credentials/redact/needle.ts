/**
 * A sequence of symbols that is looked for one symbol at a time (Knuth, Morris and Pratt 1977).
 *
 * Promises: each symbol costs constant time on average, however the text repeats parts of what is looked for.
 */

export class Needle {
  readonly symbols: Uint8Array
  /** The state after a match, from which one that overlaps it goes on. */
  readonly restart: number
  /** For each state the longest shorter one that the same text leads to. */
  readonly #shorter: Uint32Array

  constructor(symbols: Uint8Array) {
    this.symbols = symbols
    this.#shorter = new Uint32Array(symbols.length + 1)
    let state = 0
    for (let i = 1; i < symbols.length; i++) {
      state = this.#next(state, symbols[i] ?? 0)
      this.#shorter[i + 1] = state
    }
    this.restart = this.#shorter[symbols.length] ?? 0
  }

  /** How many of its symbols the text now ends in; all of them: found. `state` is what was said before, or `restart`. */
  next(state: number, symbol: number): number {
    return this.#next(state, symbol)
  }

  #next(from: number, symbol: number): number {
    const { symbols } = this
    let state = from
    while (state > 0 && symbols[state] !== symbol) state = this.#shorter[state] ?? 0
    return symbols[state] === symbol ? state + 1 : 0
  }
}
