/** One deed after the other, in the order in which they were asked for; one that fails does not stop the next. */

export class Turns {
  #last: Promise<unknown> = Promise.resolve()

  take<Result>(deed: () => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(deed)
    this.#last = turn.catch(() => null)
    return turn
  }
}
