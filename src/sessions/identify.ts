/**
 * Identify: whose request is this?
 *
 * Promises: the session of the listener, else the one that proxy credentials prove, else the one that the certificate of
 * the client names, else the one whose source address this is. What is shown and wrong proves nothing else: there is no
 * fallback (decision 5). A session that lists a certificate or sources is nobody without them, whatever else was shown. Unknown id, wrong
 * token and malformed credentials are one answer, reached by the same work.
 */

import { contains, type Ip, parseIp, unmapIpv4 } from '../net/ip.ts'
import { allow, type Decision, type Deny, deny } from '../policy/decision.ts'
import type { BookedSession } from './booked-session.ts'
import type { SessionBook } from './session-book.ts'
import { isTokenOf } from './session-token.ts'

export type Proof = {
  /** Every value of Proxy-Authorization, in order. */
  readonly authorization: readonly string[]
  /** The session that everyone on the listener is. */
  readonly listenerSession: string | null
  /** Who the certificate of the client names; null: it showed none. */
  readonly peer: string | null
  /** The client's address; null on a Unix socket. */
  readonly source: string | null
}

/** `detail` of the refusal of a request that brought no credentials: a challenge, not a failed attempt (decision 40). */
export const noCredentials = 'no proxy credentials'

export function identify(book: SessionBook, proof: Proof): Decision<BookedSession> {
  const place: Place = { peer: proof.peer, source: addressOf(proof.source) }
  if (proof.listenerSession !== null) {
    const session = book.get(proof.listenerSession)
    if (session === undefined) return deny('session_unknown', `the session of the listener is gone`)
    return admit(book, session, place)
  }
  const [value, second] = proof.authorization
  if (value !== undefined) {
    if (second !== undefined) return wrong('more than one Proxy-Authorization')
    return byCredentials(book, value, place)
  }
  if (place.peer !== null) {
    const named = book.tokenless.byCertificate(place.peer)
    return named === null ? wrong(`no session lists the certificate of ${place.peer}`) : admit(book, named, place)
  }
  const session = place.source === null ? null : book.tokenless.bySource(place.source)
  return session === null ? deny('session_unknown', noCredentials) : admit(book, session, place)
}

/** Where a client is, and who it shows itself to be there. */
type Place = { readonly peer: string | null; readonly source: Ip | null }

function byCredentials(book: SessionBook, value: string, place: Place): Decision<BookedSession> {
  const pair = parseBasic(value)
  if (pair === null) return wrong('the proxy credentials are not Basic with an id and a token')
  const session = book.get(pair.id)
  // Both are worked out before either is looked at: an unknown id costs what a wrong token costs.
  const proven = isTokenOf(session?.current.tokenHash ?? null, pair.token)
  if (!proven || session === undefined) {
    // Whether they name one that was made elsewhere meanwhile nobody can say; it is said of all alike.
    if (book.shared.state() !== 'here') return deny('decision_unavailable', 'the session store is away')
    return wrong('the proxy credentials name no session')
  }
  const decision = admit(book, session, place)
  if (decision.kind === 'allow') book.noteTokenUse(session)
  return decision
}

/** Who is proven may still come from the wrong place, too late, or for a policy that is not there. */
function admit(book: SessionBook, session: BookedSession, { peer, source }: Place): Decision<BookedSession> {
  if (session.ended) return wrong('the session was revoked')
  const { sources } = session
  if (sources !== null && !(source !== null && sources.some((block) => contains(block, source))))
    return wrong(`session ${session.id} does not come from this address`)
  const { certificate = null } = session.stored
  if (certificate !== null && certificate !== peer) return wrong(`session ${session.id} does not show this certificate`)
  if (book.isExpired(session)) return deny('session_expired', session.id)
  if (session.unresolved) {
    const what =
      book.shared.state() === 'lost' ? 'the session store is lost' : `the policy of ${session.id} does not resolve`
    return deny('decision_unavailable', what)
  }
  return allow(session)
}

/** Of no length a session could have, before any work is done on it. */
const credentialsMax = 1024

/** RFC 7617 with one spelling only: canonical base64, printable ASCII inside, both halves there. */
function parseBasic(value: string): { readonly id: string; readonly token: string } | null {
  if (value.length > credentialsMax) return null
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(value)?.[1]
  if (encoded === undefined) return null
  const bytes = Buffer.from(encoded, 'base64')
  if (bytes.toString('base64') !== encoded) return null
  const pair = /^([!-9;-~]+):([!-~]+)$/.exec(bytes.toString('latin1'))
  return pair === null ? null : { id: pair[1] ?? '', token: pair[2] ?? '' }
}

function addressOf(source: string | null): Ip | null {
  const ip = source === null ? null : parseIp(source)
  return ip === null ? null : (unmapIpv4(ip) ?? ip)
}

function wrong(detail: string): Deny {
  return deny('session_unknown', detail)
}
