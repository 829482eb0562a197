/**
 * Judge, second half: of a request that is allowed as far as its head goes, the body.
 *
 * Promises: nothing of the body goes on before it was judged, and what goes on is what was judged, in the coding it came in;
 * a request that no rule asks the body of does not come here.
 */

import { BodyReading } from '../policy/body-reading.ts'
import type { RequestPermit } from '../policy/decide-request.ts'
import type { Allow, Deny } from '../policy/decision.ts'
import type { Exchange } from './exchange.ts'
import { type Want, withoutBody } from './not-held.ts'
import type { Outcome } from './outcome.ts'
import { andThen, type Soon } from './soon.ts'

type Judged = Allow<RequestPermit> | Exclude<Outcome, { readonly kind: 'completed' }>

export function judgeBody(
  exchange: Exchange,
  { head, rule }: RequestPermit,
  decide: (body: BodyReading) => Allow<RequestPermit> | Deny,
): Soon<Judged> {
  return andThen(exchange.holdBody(head), (held) => {
    if (typeof held === 'string') return withoutBody(held, toJudge, rule?.id ?? null)
    return andThen(exchange.decodeHeld(head), (decoded) => {
      if (decoded === 'no_room' || decoded === 'too_large') return withoutBody(decoded, toJudge, rule?.id ?? null)
      const body = new BodyReading(head, held, decoded === 'broken' ? null : decoded)
      const placeholders = exchange.facts.session?.current.placeholders ?? none
      exchange.facts.bodyPlaceholders = countPlaceholders(body.plain ?? held, placeholders)
      const judged = decide(body)
      if (judged.kind === 'allow') exchange.facts.rule = judged.permit.rule
      return judged
    })
  })
}

const toJudge: Want = { reason: 'body_unreadable', body: 'the body', to: 'judged' }
const none: ReadonlyMap<string, string> = new Map()

/** An agent that printed its environment sends it along with every model call: no leak, and good to know. */
function countPlaceholders(body: Buffer, placeholders: ReadonlyMap<string, string>): number {
  let count = 0
  for (const text of new Set(placeholders.values()))
    for (let at = body.indexOf(text); at >= 0; at = body.indexOf(text, at + text.length)) count++
  return count
}
