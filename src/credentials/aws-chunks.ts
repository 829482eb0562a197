/**
 * The `aws-chunked` body of an S3 upload whose chunks are signed, each on top of the one ahead: signed anew while it flows.
 *
 * Promises: what is not exactly such a body breaks it, and nothing of a chunk goes on before all of it is here; only the
 * signatures change, so no byte more or less goes out than came in; what is held is one chunk, and never more than
 * `chunkBytesMax` of data. What the client signed with its placeholder proves nothing and is not checked.
 */

import { type AwsKey, awsChunkSignature, awsTrailerSignature } from './aws-signature.ts'
import type { BodyRewrite } from './credential-kind.ts'

/** SDKs send 64 or 128 KiB. */
export const chunkBytesMax = 1024 * 1024
/** What is set aside for a chunk before any of it is here. */
const firstBytes = 128 * 1024

export type ChunkedUpload = {
  readonly key: AwsKey
  /** The signature of the head. */
  readonly seed: string
  /** What all chunks hold together. */
  readonly bytes: number
  /** Names of the fields behind the chunks, in lower case; null: none, and no signature of them. */
  readonly trailers: readonly string[] | null
}

const sizeLine = /^(0|[1-9a-f][0-9a-f]{0,7});chunk-signature=[0-9a-f]{64}$/i
const trailerLine = /^([a-z0-9-]{1,128}): ?([!-~]{1,512})$/i
const lineBytesMax = 1024
const signatureLength = 64

export class AwsChunks implements BodyRewrite {
  readonly #upload: ChunkedUpload
  #part: 'data' | 'end' | 'over' | 'size' | 'trailers' = 'size'
  #problem: string | null = null
  /** A line that has not ended. */
  #line = ''
  /** A chunk from its size to the line end behind its data, as far as it has come. */
  #chunk = nothing
  #filled = 0
  #dataAt = 0
  /** Where the chunk ends. */
  #end = 0
  /** Of data, all chunks so far. */
  #bytes = 0
  #before: string
  readonly #trailers = new Map<string, string>()

  constructor(upload: ChunkedUpload) {
    this.#upload = upload
    this.#before = upload.seed
  }

  get heldBytes(): number {
    return this.#chunk.length
  }

  take(piece: Buffer, pass: (piece: Buffer) => void): string | null {
    for (let at = 0; at < piece.length && this.#problem === null; )
      at = this.#part === 'data' ? this.#takeData(piece, at, pass) : this.#takeLine(piece, at, pass)
    return this.#problem
  }

  end(): string | null {
    if (this.#problem === null && this.#part !== 'over') this.#problem = 'the body ends before its last chunk'
    return this.#problem
  }

  #takeData(piece: Buffer, at: number, pass: (piece: Buffer) => void): number {
    const stop = Math.min(piece.length, at + this.#end - this.#filled)
    this.#makeRoom(this.#filled + stop - at)
    this.#filled += piece.copy(this.#chunk, this.#filled, at, stop)
    if (this.#filled === this.#end) this.#endChunk(pass)
    return stop
  }

  /** Grows with what comes, so that a size that is only announced costs little. */
  #makeRoom(bytes: number): void {
    if (bytes <= this.#chunk.length) return
    const grown = Buffer.allocUnsafe(Math.min(this.#end, Math.max(bytes, 2 * this.#chunk.length)))
    this.#chunk.copy(grown, 0, 0, this.#filled)
    this.#chunk = grown
  }

  #endChunk(pass: (piece: Buffer) => void): void {
    const chunk = this.#chunk
    if (chunk[this.#end - 2] !== 13 || chunk[this.#end - 1] !== 10) {
      this.#problem = 'a chunk is longer than its size'
      return
    }
    this.#before = awsChunkSignature(this.#upload.key, this.#before, chunk.subarray(this.#dataAt, this.#end - 2))
    chunk.write(this.#before, this.#dataAt - 2 - signatureLength, 'latin1')
    this.#chunk = nothing
    this.#part = 'size'
    pass(chunk.subarray(0, this.#end))
  }

  #takeLine(piece: Buffer, at: number, pass: (piece: Buffer) => void): number {
    if (this.#part === 'over') return this.#break('something follows the last chunk', at)
    const feed = piece.indexOf(10, at)
    const stop = feed < 0 ? piece.length : feed + 1
    if (this.#line.length + stop - at > lineBytesMax) return this.#break('a line between the chunks is too long', at)
    this.#line += piece.toString('latin1', at, stop)
    if (feed < 0) return stop
    if (!this.#line.endsWith('\r\n')) return this.#break('a line between the chunks ends without a return', at)
    const line = this.#line.slice(0, -2)
    this.#line = ''
    const problem = this.#endLine(line, pass)
    return problem === null ? stop : this.#break(problem, at)
  }

  #endLine(line: string, pass: (piece: Buffer) => void): string | null {
    switch (this.#part) {
      case 'size':
        return this.#begin(line, pass)
      case 'trailers':
        return this.#endTrailer(line, pass)
      case 'data':
      case 'end':
      case 'over':
        if (line !== '') return 'something follows the last chunk'
        this.#part = 'over'
        pass(Buffer.from('\r\n'))
        return null
    }
  }

  #begin(line: string, pass: (piece: Buffer) => void): string | null {
    const digits = sizeLine.exec(line)?.[1]
    if (digits === undefined) return 'a chunk begins without size and signature'
    const size = Number.parseInt(digits, 16)
    this.#bytes += size
    if (size > chunkBytesMax) return `a chunk of more than ${chunkBytesMax} bytes`
    if (this.#bytes > this.#upload.bytes || (size === 0 && this.#bytes < this.#upload.bytes))
      return 'the chunks are not as long as x-amz-decoded-content-length says'
    if (size === 0) {
      this.#before = awsChunkSignature(this.#upload.key, this.#before, nothing)
      this.#part = this.#upload.trailers === null ? 'end' : 'trailers'
      pass(Buffer.from(`${line.slice(0, -signatureLength)}${this.#before}\r\n`))
      return null
    }
    this.#dataAt = line.length + 2
    this.#end = this.#dataAt + size + 2
    this.#filled = 0
    this.#makeRoom(Math.min(this.#end, firstBytes))
    this.#filled = this.#chunk.write(`${line}\r\n`, 'latin1')
    this.#part = 'data'
    return null
  }

  #endTrailer(line: string, pass: (piece: Buffer) => void): string | null {
    const [, name = '', value = ''] = trailerLine.exec(line) ?? []
    const lower = name.toLowerCase()
    const named = this.#upload.trailers ?? []
    if (lower === 'x-amz-trailer-signature') {
      if (!/^[0-9a-f]{64}$/.test(value) || this.#trailers.size < named.length)
        return 'the trailers and their signature are not all there'
      const lines = [...this.#trailers].sort(([a], [b]) => (a < b ? -1 : 1))
      const text = lines.map(([key, of]) => `${key}:${of}\n`).join('')
      const signature = awsTrailerSignature(this.#upload.key, this.#before, text)
      this.#part = 'end'
      pass(Buffer.from(`${line.slice(0, -signatureLength)}${signature}\r\n`))
      return null
    }
    if (!named.includes(lower) || this.#trailers.has(lower)) return 'a trailer that x-amz-trailer does not name'
    this.#trailers.set(lower, value)
    pass(Buffer.from(`${line}\r\n`))
    return null
  }

  #break(problem: string, at: number): number {
    this.#problem = problem
    this.#chunk = nothing
    return at
  }
}

const nothing = Buffer.alloc(0)
