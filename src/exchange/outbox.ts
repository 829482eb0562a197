/**
 * What goes out to one client over HTTP/1.1: gathered while a turn of the event loop lasts, written at its end.
 *
 * Promises: everything leaves in the order it came; nothing waits longer than the turn or beyond a bound; what was cut
 * meanwhile is not written. Answers that leave together wake their readers once, not once each, which is a fifth of the CPU
 * of an intercepted request.
 */

import type net from 'node:net'

/** What waits at most: larger pieces are not worth a copy. */
const gatheredMax = 16_384

export class Outbox {
  readonly #stream: net.Socket
  #text = ''

  constructor(stream: net.Socket) {
    this.#stream = stream
  }

  /** In ISO 8859-1; leaves when the turn ends. */
  gather(text: string): void {
    if (this.#text === '' && gathered.push(this) === 1) setImmediate(flushGathered)
    this.#text += text
    if (this.#text.length > gatheredMax) this.flush()
  }

  /** Behind what waits where it fits there, else at once. False: wait for the stream to drain. */
  pass(piece: Buffer | string): boolean {
    if (this.#text !== '' && this.#text.length + piece.length <= gatheredMax)
      this.#text += typeof piece === 'string' ? piece : piece.toString('latin1')
    else {
      this.flush()
      this.#stream.write(piece, 'latin1')
    }
    return !this.#stream.writableNeedDrain
  }

  /** What waits goes out. */
  flush(): void {
    const text = this.#text
    this.#text = ''
    if (text !== '' && this.#stream.writable) this.#stream.write(text, 'latin1')
  }

  /** Nothing of it goes out. */
  drop(): void {
    this.#text = ''
  }

  end(): void {
    this.flush()
    this.#stream.end()
  }
}

let gathered: Outbox[] = []

function flushGathered(): void {
  const leaving = gathered
  gathered = []
  for (const outbox of leaving) outbox.flush()
}
