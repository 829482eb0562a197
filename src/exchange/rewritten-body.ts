/**
 * A request body that is made anew on its way to the origin.
 *
 * Promises: it is not longer held than it must be, and what is held counts as bodies do that are held as a whole; where
 * something is wrong with it the origin gets no end of it; one that is here already is looked through before anything goes on.
 */

import { pipeline, type Readable, Transform, type TransformCallback } from 'node:stream'
import type { BodyRewrite } from '../credentials/credential-kind.ts'
import { type Deny, deny } from '../policy/decision.ts'
import type { HeldBodies } from './held-bodies.ts'

class RewritingStream extends Transform {
  problem: Deny | null = null
  readonly #rewrite: BodyRewrite
  readonly #bodies: HeldBodies
  readonly #rule: string | null
  #counted = 0
  readonly #pass = (piece: Buffer): void => {
    this.push(piece)
  }

  constructor(rewrite: BodyRewrite, bodies: HeldBodies, rule: string | null) {
    super({ highWaterMark: 65_536 })
    this.#rewrite = rewrite
    this.#bodies = bodies
    this.#rule = rule
    // Whoever sends it hears of it; once nobody does, an error would end the process.
    this.on('error', ignore)
  }

  override _transform(piece: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const wrong = this.#rewrite.take(piece, this.#pass)
    if (wrong === null && !this.#count(this.#rewrite.heldBytes))
      this.#break(deny('overloaded', 'too many bodies are held', this.#rule), done)
    else this.#settle(wrong, done)
  }

  override _flush(done: TransformCallback): void {
    this.#settle(this.#rewrite.end(), done)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#count(0)
    done(error)
  }

  #count(bytes: number): boolean {
    const more = bytes - this.#counted
    if (more > 0 && !this.#bodies.reserve(more)) return false
    if (more < 0) this.#bodies.release(-more)
    this.#counted = bytes
    return true
  }

  #settle(wrong: string | null, done: TransformCallback): void {
    if (wrong === null) done()
    else this.#break(deny('unsignable_request', wrong, this.#rule), done)
  }

  #break(problem: Deny, done: TransformCallback): void {
    this.problem = problem
    done(new Error(problem.detail))
  }
}

/** `problem` says why it came to no end; null: not for what is in it. */
export type RewrittenBody = {
  readonly kind: 'rewritten'
  readonly body: Buffer | Readable
  readonly problem: () => Deny | null
}

/** The body with which the request may go on; or why it may not. */
export function rewriteBody(
  body: Buffer | Readable,
  rewrite: BodyRewrite,
  bodies: HeldBodies,
  rule: string | null,
): Deny | RewrittenBody {
  if (!Buffer.isBuffer(body)) {
    const stream = new RewritingStream(rewrite, bodies, rule)
    // An origin that answers before it has all of it lets go of the client's body too.
    pipeline(body, stream, ignore)
    return { kind: 'rewritten', body: stream, problem: () => stream.problem }
  }
  const pieces: Buffer[] = []
  const wrong = rewrite.take(body, (piece) => pieces.push(piece)) ?? rewrite.end()
  if (wrong !== null) return deny('unsignable_request', wrong, rule)
  return { kind: 'rewritten', body: Buffer.concat(pieces), problem: () => null }
}

function ignore(): void {}
