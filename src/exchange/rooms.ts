/** The rooms of the walk as function types: what `gateway.ts` hands in, and all that the walk can do to the world. */

import type { AsksForToken, CredentialEquip } from '../credentials/equip.ts'
import type { SealedCookies } from '../credentials/sealed-cookies.ts'
import type { OwnEndpoint } from '../policy/decide-address.ts'
import type { Decision } from '../policy/decision.ts'
import type { Proof } from '../sessions/identify.ts'
import type { CutReason, LiveSession } from '../sessions/session.ts'
import type { Intercept } from '../tls/intercept.ts'
import type { Dial } from '../upstream/dial.ts'
import type { SessionPools } from '../upstream/origin-pools.ts'
import type { Resolve } from '../upstream/resolve.ts'
import type { ClientTrust } from './client-trust.ts'
import type { Connection, ConnectionLimits } from './connection.ts'
import type { Deadlines } from './deadlines.ts'
import type { DenialLoops } from './denial-loops.ts'
import type { HandshakeTurns } from './handshake-turns.ts'
import type { HeldBodies } from './held-bodies.ts'
import type { RecentDenials } from './egress-local.ts'
import type { RecordSink } from './record.ts'

type WalkLimits = ConnectionLimits & {
  /** From the 200 of a CONNECT to a whole ClientHello or the first line of a request. */
  readonly firstBytesMs: number
  /** A tunnel in which no byte moves. */
  readonly tunnelIdleMs: number
  /** Places masked in the answers to one session. */
  readonly redactionsMax: number
  /** Requests of one session under way at once. */
  readonly exchangesPerSessionMax: number
}

export type Rooms = {
  /** 2 Identify. */
  readonly identify: (proof: Proof) => Decision<LiveSession>
  /** 4 Open. */
  readonly intercept: Intercept
  readonly handshakes: HandshakeTurns
  /** 5 Judge: bodies that are. */
  readonly bodies: HeldBodies
  /** 6 Equip. */
  readonly equip: CredentialEquip
  readonly asksForToken: AsksForToken
  readonly cookies: SealedCookies
  /** Told of a credential that an origin answered 401 to, put on for this session. */
  readonly credentialRefused: (name: string, session: LiveSession) => void
  /** 7 Deliver. */
  readonly resolve: Resolve
  readonly isOwn: OwnEndpoint
  readonly dial: Dial
  readonly poolsOf: (session: LiveSession) => SessionPools
  /** At once, with all that it holds open. */
  readonly endSession: (session: LiveSession, why: CutReason) => void
  /** 8 Record. */
  readonly sink: RecordSink
  /** Milliseconds that the answer to a refusal waits, when it is one of a loop. */
  readonly loopDelayMs: DenialLoops['delayMs']

  /** Reads HTTP/1.1 from a socket, as the connection it is given. */
  readonly serve: (connection: Connection, early: Buffer) => void
  /** The same for HTTP/2. */
  readonly serveH2: (connection: Connection) => void
  readonly trust: ClientTrust
  readonly denials: RecentDenials
  readonly deadlines: Deadlines
  readonly limits: WalkLimits
  readonly nextDecisionId: () => string
  /** Milliseconds since the epoch. */
  readonly now: () => number

  readonly tunnels: OpenCount
  /** Requests under way. */
  readonly streams: OpenCount
  /** Told of the bytes of every read that is passed on. */
  readonly relayed: (bytes: number) => void
}

/** How many are open now, for a gauge. */
type OpenCount = { open: number }
