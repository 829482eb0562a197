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
import type { NotHeld } from './held-bodies.ts'
import type { Outcome } from './outcome.ts'
import type { Rooms } from './rooms.ts'
import { andThen, type Soon } from './soon.ts'

export type NotEquipped = Deny | Extract<Outcome, { readonly kind: 'abandoned' }>

export function equipWithBody(
  rooms: Rooms,
  exchange: Exchange,
  permit: RequestPermit,
  session: Session,
): Soon<Equipped | NotEquipped | TokenRequest> {
  const rule = permit.rule?.id ?? null
  return andThen(exchange.holdBody(permit.head), (held) => {
    if (typeof held === 'string') return notHeld(held, rule)
    return andThen(rooms.equip(permit, session, held), (equipped) =>
      equipped.kind === 'body_wanted' ? deny('unsignable_request', 'without its body', rule) : equipped,
    )
  })
}

function notHeld(why: NotHeld, rule: string | null): NotEquipped {
  switch (why) {
    case 'gone':
      return { kind: 'abandoned', detail: 'the client left before its body was whole' }
    case 'no_room':
      return deny('overloaded', 'too many bodies wait to be signed', rule)
    case 'too_large':
      return deny('unsignable_request', 'a body without x-amz-content-sha256 that is larger than what is held', rule)
    case 'too_slow':
      return deny('unsignable_request', 'a body without x-amz-content-sha256 that did not come in time', rule)
  }
}
