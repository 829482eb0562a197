/**
 * Equip, second half: of a request whose credential is made of the body too, with the body.
 *
 * Promises: a request that can be equipped without its body does not come here; what goes on is the body that was looked at.
 */

import type { Equipped } from '../credentials/equip.ts'
import type { TokenRequest } from '../credentials/token-endpoint.ts'
import type { RequestPermit } from '../policy/decide-request.ts'
import { type Deny, deny } from '../policy/decision.ts'
import type { Session } from '../sessions/session.ts'
import type { Exchange } from './exchange.ts'
import { type Want, withoutBody } from './not-held.ts'
import type { Outcome } from './outcome.ts'
import type { Rooms } from './rooms.ts'
import { andThen, type Soon } from './soon.ts'

const toSign: Want = { reason: 'unsignable_request', body: 'a body without x-amz-content-sha256', to: 'signed' }

export type NotEquipped = Deny | Extract<Outcome, { readonly kind: 'abandoned' }>

export function equipWithBody(
  rooms: Rooms,
  exchange: Exchange,
  permit: RequestPermit,
  session: Session,
): Soon<Equipped | NotEquipped | TokenRequest> {
  const rule = permit.rule?.id ?? null
  return andThen(exchange.holdBody(permit.head), (held) => {
    if (typeof held === 'string') return withoutBody(held, toSign, rule)
    return andThen(rooms.equip(permit, session, held), (equipped) =>
      equipped.kind === 'body_wanted' ? deny('unsignable_request', 'without its body', rule) : equipped,
    )
  })
}
