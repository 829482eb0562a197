/**
 * A request body as a client framed it (RFC 9112 §6, §7) → its pieces. No I/O.
 *
 * Promises: what is not exactly a chunk breaks it, and nothing behind the break is read. Extensions are dropped; they and
 * trailers are bounded together, whatever they are cut into.
 */

import type { Fields } from './fields.ts'
import { type BodyFraming, fieldCountMax } from './request-head.ts'

export type BodyDecoder = {
  /** `ended` is at the end of the body; `broken` says what is wrong and takes nothing more. */
  readonly state: 'broken' | 'ended' | 'more'
  readonly problem: string | null
  /** Known at the end of the body. */
  readonly trailers: Fields
  /** How long the whole body is, where it is known to be within so many bytes; null: take it piece by piece. */
  readonly lengthWithin: (bytes: number) => number | null
  /** Takes what belongs to the body of `bytes`, from `at` on; returns where it stopped. Pieces share memory with `bytes`. */
  readonly take: (bytes: Buffer, at: number, onPiece: (piece: Buffer) => void) => number
}

/** Null when there is no body. */
export function createBodyDecoder(framing: BodyFraming): BodyDecoder | null {
  switch (framing.kind) {
    case 'none':
      return null
    case 'length':
      return framing.length === 0 ? null : new LengthDecoder(framing.length)
    case 'chunked':
      return new ChunkedDecoder()
  }
}

const noFields: Fields = []

class LengthDecoder implements BodyDecoder {
  state: 'ended' | 'more' = 'more'
  readonly problem = null
  readonly trailers: Fields = noFields
  #left: number

  constructor(length: number) {
    this.#left = length
  }

  lengthWithin(bytes: number): number | null {
    return this.#left <= bytes ? this.#left : null
  }

  take(bytes: Buffer, at: number, onPiece: (piece: Buffer) => void): number {
    const end = Math.min(bytes.length, at + this.#left)
    if (end === at) return at
    this.#left -= end - at
    if (this.#left === 0) this.state = 'ended'
    onPiece(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end))
    return end
  }
}

/** Longest line of a chunk's size or of a trailer, and all of them beyond the sizes themselves. Bytes. */
const lineBytesMax = 8192
const extraBytesMax = 65_536

// Twelve digits are more than anyone sends, and far from where numbers lose their last digit.
const sizeLine =
  /^([0-9A-Fa-f]{1,12})(?:;[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|"(?:[\t !#-[\]-~]|\\[\t -~])*"))?)*$/
const trailerLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t -~\x80-\xff]*)$/
const framingName = /^(?:content-length|transfer-encoding)$/i

class ChunkedDecoder implements BodyDecoder {
  state: BodyDecoder['state'] = 'more'
  problem: string | null = null
  readonly trailers: string[] = []
  #part: 'data' | 'end-of-data' | 'size' | 'trailers' = 'size'
  /** Bytes of this chunk still to come. */
  #left = 0
  /** A line that has not ended. */
  #line = ''
  #extra = 0

  lengthWithin(): null {
    return null
  }

  take(bytes: Buffer, at: number, onPiece: (piece: Buffer) => void): number {
    let next = at
    while (next < bytes.length && this.state === 'more') {
      next = this.#part === 'data' ? this.#takeData(bytes, next, onPiece) : this.#takeLine(bytes, next)
    }
    return next
  }

  #takeData(bytes: Buffer, at: number, onPiece: (piece: Buffer) => void): number {
    const end = Math.min(bytes.length, at + this.#left)
    this.#left -= end - at
    if (this.#left === 0) this.#part = 'end-of-data'
    onPiece(bytes.subarray(at, end))
    return end
  }

  #takeLine(bytes: Buffer, at: number): number {
    const feed = bytes.indexOf(10, at)
    const end = feed < 0 ? bytes.length : feed + 1
    if (this.#line.length + end - at > lineBytesMax) return this.#break('a line of the chunked body is too long', at)
    this.#line += bytes.toString('latin1', at, end)
    if (feed < 0) return end
    if (!this.#line.endsWith('\r\n')) return this.#break('a line of the chunked body ends without a return', at)
    const line = this.#line.slice(0, -2)
    this.#line = ''
    this.#endLine(line, at)
    return end
  }

  #endLine(line: string, at: number): void {
    switch (this.#part) {
      case 'size': {
        const digits = sizeLine.exec(line)?.[1]
        if (digits === undefined) this.#break('a chunk has no size', at)
        else {
          this.#count(line.length - digits.length, at)
          this.#left = Number.parseInt(digits, 16)
          this.#part = this.#left === 0 ? 'trailers' : 'data'
        }
        return
      }
      case 'end-of-data':
        if (line === '') this.#part = 'size'
        else this.#break('a chunk is longer than its size', at)
        return
      case 'data':
      case 'trailers':
        this.#endTrailer(line, at)
    }
  }

  #endTrailer(line: string, at: number): void {
    if (line === '') {
      this.state = 'ended'
      return
    }
    const [, name, value = ''] = trailerLine.exec(line) ?? []
    if (name === undefined) this.#break('a trailer is not "name: value"', at)
    else if (framingName.test(name))
      this.#break('a trailer that frames', at) // RFC 9110 §6.5.1
    else {
      this.#count(line.length, at)
      // Beyond what a head may have nobody looks at them.
      if (this.trailers.length < 2 * fieldCountMax) this.trailers.push(name, value)
    }
  }

  #count(bytes: number, at: number): void {
    this.#extra += bytes
    if (this.#extra > extraBytesMax) this.#break('too many extensions or trailers', at)
  }

  #break(problem: string, at: number): number {
    this.state = 'broken'
    this.problem = problem
    return at
  }
}
