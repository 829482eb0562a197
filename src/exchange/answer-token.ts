/**
 * A sandbox asks the token endpoint of a credential that stays here: the proxy answers, with the placeholder.
 *
 * Promises: nothing is dialled or resolved; the request's body is bounded in bytes and in time.
 */

import type { Readable } from 'node:stream'
import { answerTokenRequest, type TokenRequest } from '../credentials/token-endpoint.ts'
import type { RequestHead } from '../net/request-head.ts'
import { deny } from '../policy/decision.ts'
import type { Exchange } from './exchange.ts'
import type { Outcome } from './outcome.ts'
import type { Rooms } from './rooms.ts'

const reasons = { 200: 'OK', 201: 'Created', 400: 'Bad Request' } as const
const bodyBytesMax = 64 * 1024

export async function answerToken(
  rooms: Rooms,
  exchange: Exchange,
  head: RequestHead,
  request: TokenRequest,
): Promise<Outcome> {
  const body = await readWhole(exchange.openBody(head), rooms.limits.headMs)
  if (exchange.left || exchange.interruption !== null)
    return { kind: 'abandoned', detail: 'the client left before it had asked for a token' }
  const rule = exchange.facts.rule?.id ?? null
  if (body === null) return deny('malformed_request', `a token request over ${bodyBytesMax} bytes, or too slow`, rule)
  const answer = answerTokenRequest(request, body.toString('utf8'), rooms.now())
  if (answer === null) return deny('placeholder_missing', request.credential, rule)
  return exchange.say({
    status: answer.status,
    reason: reasons[answer.status],
    fields: ['Content-Type', 'application/json', 'Cache-Control', 'no-store', 'Pragma', 'no-cache'],
    body: `${JSON.stringify(answer.body)}\n`,
  })
}

/** Null where it is too long, too slow, or not all there. */
async function readWhole(body: Buffer | Readable | null, timeoutMs: number): Promise<Buffer | null> {
  if (body === null) return Buffer.alloc(0)
  if (Buffer.isBuffer(body)) return body.length > bodyBytesMax ? null : body
  const timer = setTimeout(() => body.destroy(), timeoutMs)
  const pieces: Buffer[] = []
  let bytes = 0
  try {
    for await (const piece of body) {
      if (!Buffer.isBuffer(piece)) continue
      pieces.push(piece)
      bytes += piece.length
      if (bytes > bodyBytesMax) return null
    }
    return Buffer.concat(pieces)
  } catch {
    return null
  } finally {
    clearTimeout(timer)
  }
}
