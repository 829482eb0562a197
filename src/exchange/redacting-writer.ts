/**
 * The client's side of an answer to a request that a credential was put on: nothing of the credential goes through.
 *
 * Promises: head, body and trailers are searched, whatever content coding the body comes in, and masked; what cannot be
 * searched is a failure, never passed on. Where nothing had to be decoded the answer keeps its length. Back-pressure holds
 * through it.
 */

import { Masker, maskText } from '../credentials/redact/masker.ts'
import type { Secret } from '../credentials/secret.ts'
import { fieldValues } from '../net/fields.ts'
import type { ResponseHead } from '../net/response-head.ts'
import { type Failure, FailureError, failure } from '../upstream/failure.ts'
import type { ResponseWriter } from '../upstream/forward-request.ts'
import { type ContentCoding, contentCodingOf, createDecoder, type Decoder, isBomb } from './content-coding.ts'

/** What would be wrong of a body in which something was masked, which only shows when it is too late to say so (RFC 9530). */
const digests: ReadonlySet<string> = new Set(['content-digest', 'content-md5', 'digest', 'repr-digest'])

/** What is said of the coded bytes, and is wrong of others. */
const ofCodedBytes: ReadonlySet<string> = new Set(['content-encoding', 'content-length'])

export type RedactingOptions = {
  readonly inner: ResponseWriter
  readonly secrets: readonly Secret[]
  readonly method: string
  /** Whether a part of what was asked for may pass. */
  readonly parts: boolean
  /** Told of places masked, each once, when they have gone on. */
  readonly onMasked: (places: number) => void
  /** The answer cannot be gone on with; `failure` says why. */
  readonly onFailure: () => void
}

export class RedactingWriter implements ResponseWriter {
  /** Why the answer ended before its end, when it did by us. */
  failure: Failure | null = null
  readonly #options: RedactingOptions
  readonly #masker: Masker
  #headRedactions = 0
  #coding: ContentCoding | null = null
  #decoder: Decoder | null = null
  #codedBytes = 0
  #decodedBytes = 0
  #onDrain: () => void = () => undefined
  /** Told the decoder that nothing follows. */
  #ending: (() => void) | null = null
  #told = 0

  constructor(options: RedactingOptions) {
    this.#options = options
    this.#masker = new Masker(options.secrets)
  }

  get redactions(): number {
    return this.#headRedactions + this.#masker.redactions
  }

  interim(head: ResponseHead): void {
    this.#options.inner.interim(this.masked(head))
    this.#tell()
  }

  start(head: ResponseHead): void {
    const { inner, method } = this.#options
    const bodiless = method === 'HEAD' || head.status === 204 || head.status === 304
    if (!bodiless) this.#coding = searchable(head, this.#options.parts)
    const bare = withoutDigests(head)
    inner.start(this.masked(this.#coding === null ? bare : { ...bare, fields: fieldsOfDecoded(bare.fields) }))
    this.#tell()
  }

  write(chunk: Buffer): boolean {
    if (this.#coding === null) return this.#pass(chunk)
    this.#codedBytes += chunk.length
    this.#decoder ??= this.#decode(this.#coding, chunk)
    return this.failure !== null || this.#decoder.write(chunk)
  }

  end(trailers: readonly string[] = []): Promise<void> | undefined {
    const decoder = this.#decoder
    if (decoder === null) return this.#end(trailers)
    return new Promise((resolve) => {
      this.#ending = () => resolve(this.#end(trailers))
      decoder.end()
    })
  }

  /** Searched as one text, since hardly any head has something to mask. */
  masked(head: ResponseHead): ResponseHead {
    const { secrets } = this.#options
    const { redactions } = maskText(secrets, `${head.reason}\n${head.fields.join('\n')}`)
    if (redactions === 0) return head
    this.#headRedactions += redactions
    const mask = (text: string): string => maskText(secrets, text).text
    return { ...head, reason: mask(head.reason), fields: head.fields.map(mask) }
  }

  abort(): void {
    this.#options.inner.abort()
  }

  onDrain(listener: () => void): void {
    this.#onDrain = listener
    this.#options.inner.onDrain(() => (this.#decoder === null ? listener() : this.#decoder.resume()))
  }

  /** The exchange is over. */
  close(): void {
    this.#decoder?.destroy()
  }

  /** False: wait. What is held back takes no room in the client's buffers. */
  #pass(chunk: Buffer): boolean {
    const bytes = this.#masker.push(chunk)
    const goOn = bytes.length === 0 || this.#options.inner.write(bytes)
    this.#tell()
    return goOn
  }

  #tell(): void {
    const places = this.redactions - this.#told
    if (places === 0) return
    this.#told += places
    this.#options.onMasked(places)
  }

  #end(trailers: readonly string[]): Promise<void> | undefined {
    const { inner } = this.#options
    const rest = this.#masker.finish()
    if (rest.length > 0) inner.write(rest)
    if (trailers.length === 0) return this.#finish(trailers)
    const bare = withoutDigests({ status: 0, reason: '', fields: trailers, bytes: 0 })
    return this.#finish(this.masked(bare).fields)
  }

  #finish(trailers: readonly string[]): Promise<void> | undefined {
    const done = this.#options.inner.end(trailers)
    this.#tell()
    return done
  }

  #decode(coding: ContentCoding, first: Buffer): Decoder {
    const decoder = createDecoder(coding, first)
    decoder.on('data', (bytes: Buffer) => {
      this.#decodedBytes += bytes.length
      if (isBomb(this.#codedBytes, this.#decodedBytes)) this.#fail(new Error('it unpacks beyond all measure'))
      else if (!this.#pass(bytes)) decoder.pause()
    })
    decoder.on('end', () => {
      // Coded data says itself where it ends; what comes behind is neither searched nor passed.
      if (this.#ending !== null && decoder.bytesWritten === this.#codedBytes) this.#ending()
      else this.#fail(new Error('something follows the end of what was coded'))
    })
    decoder.on('drain', () => this.#onDrain())
    decoder.on('error', (error) => this.#fail(error))
    return decoder
  }

  #fail(cause: Error): void {
    if (this.failure !== null) return
    this.failure = failure('origin_unsearchable', cause)
    this.#decoder?.destroy()
    this.#options.onFailure()
  }
}

/** The coding that is to be undone; throws where that cannot be done, or the answer is not a whole one. */
function searchable({ status, fields }: ResponseHead, parts: boolean): ContentCoding | null {
  // Nobody asked for a part, and what stands at its border would pass in two halves.
  if (status === 206 && !parts) throw refusal('it is a part that was not asked for')
  if (fieldValues(fields, 'grpc-encoding').some((value) => value.trim().toLowerCase() !== 'identity'))
    throw refusal('its messages are compressed')
  const coding = contentCodingOf(fields)
  if (coding === 'unknown') throw refusal('its content coding is not one that we undo')
  if (coding !== null && status === 206) throw refusal('it is a part of something coded')
  return coding
}

function refusal(why: string): FailureError {
  return new FailureError(failure('origin_unsearchable', new Error(why)))
}

function withoutDigests(head: ResponseHead): ResponseHead {
  const { fields } = head
  if (!fields.some((name, i) => i % 2 === 0 && isDigest(name))) return head
  return { ...head, fields: fields.filter((_, i) => !isDigest(fields[i - (i % 2)] ?? '')) }
}

/** Hardly any name is even as long as one of these. */
function isDigest(name: string): boolean {
  const { length } = name
  return (length === 14 || length === 11 || length === 6) && digests.has(name.toLowerCase())
}

/** An entity tag that was of the coded bytes is a weak one now (RFC 9110 §8.8.1). */
function fieldsOfDecoded(fields: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? ''
    const value = fields[i + 1] ?? ''
    const lower = name.toLowerCase()
    if (ofCodedBytes.has(lower)) continue
    kept.push(name, lower === 'etag' && value.startsWith('"') ? `W/${value}` : value)
  }
  return kept
}
