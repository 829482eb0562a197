/**
 * One request of the gateway's own over a pool like any other: judged addresses, verified TLS, no redirects.
 *
 * Promises: the answer is whole and within its bound, or it is a failure; the connection serves nobody else.
 */

import type { OriginPool } from './origin-pools.ts'
import { type Failure, failure, failureOf } from './failure.ts'

export type WholeAnswer = { readonly kind: 'answered'; readonly status: number; readonly body: Buffer }

export type OwnRequestHead = {
  readonly method: 'GET' | 'POST'
  readonly target: string
  readonly host: string
  readonly fields: readonly string[]
  readonly body: string | null
}

export async function requestOnce(
  pool: OriginPool,
  { method, target, host, fields, body }: OwnRequestHead,
  bounds: { readonly timeoutMs: number; readonly bytesMax: number },
): Promise<Failure | WholeAnswer> {
  const deadline = AbortSignal.timeout(bounds.timeoutMs)
  try {
    const { statusCode, body: stream } = await pool.pool.request({
      method,
      path: target,
      headers: ['host', host, ...fields],
      body,
      signal: deadline,
    })
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const piece of stream) {
      if (!Buffer.isBuffer(piece)) continue
      bytes += piece.length
      if (bytes > bounds.bytesMax) return failure('origin_malformed', new Error(`over ${bounds.bytesMax} bytes`))
      chunks.push(piece)
    }
    return { kind: 'answered', status: statusCode, body: Buffer.concat(chunks) }
  } catch (error) {
    return deadline.aborted ? failure('origin_timeout', error) : failureOf(error, 'origin_malformed')
  } finally {
    pool.destroy()
  }
}
