/** The rooms of the walk, furnished, and the doors that lead into it. */

import { setTimeout as delay } from 'node:timers/promises'
import type { Config, ListenerConfig } from '../config/config-schema.ts'
import { createAsksForToken, createEquip } from '../credentials/equip.ts'
import { createClientTrust } from '../exchange/client-trust.ts'
import type { Connection } from '../exchange/connection.ts'
import { Deadlines } from '../exchange/deadlines.ts'
import type { DenialLoops } from '../exchange/denial-loops.ts'
import { RecentDenials } from '../exchange/egress-local.ts'
import { HandshakeTurns } from '../exchange/handshake-turns.ts'
import { HeldBodies } from '../exchange/held-bodies.ts'
import type { Rooms } from '../exchange/rooms.ts'
import type { GatewayWorld } from '../gateway.ts'
import { createH2Door } from '../listeners/h2-door.ts'
import { createHttpDoor } from '../listeners/http-door.ts'
import { listenForProxy, type OpenConnections, type ProxyListener } from '../listeners/proxy-listener.ts'
import { createAuthLimiter } from '../sessions/auth-limiter.ts'
import { identify } from '../sessions/identify.ts'
import { createIntercept } from '../tls/intercept.ts'
import type { LeafCache } from '../tls/leaf-cache.ts'
import type { SigningCa } from '../tls/signing-ca.ts'
import { upstreamRoots } from '../tls/upstream-roots.ts'
import type { Dial, WaysOf } from '../upstream/dial.ts'
import { createOwnEndpoints, type Endpoint, type OwnPlaces } from '../upstream/own-endpoints.ts'
import type { Resolve } from '../upstream/resolve.ts'
import { createYoungGarbage } from '../upstream/young-garbage.ts'
import { createDialOf } from './own-requests.ts'
import { SessionDoors } from './session-doors.ts'
import type { GatewaySessions } from './session-parts.ts'
import { type ClientUrl, clientUrlOf, createTlsDoor } from './proxy-doors.ts'
import { createPoolsBySession, type PoolsBySession } from './session-pools.ts'

export type GatewayWalk = {
  /** Where it listens, as bound. */
  readonly proxies: readonly string[]
  /** What clients are told of it. */
  readonly clientUrl: ClientUrl
  readonly sessionDoors: SessionDoors
  readonly close: () => Promise<void>
}

export type WalkParts = {
  readonly config: Config
  readonly world: GatewayWorld
  readonly sessions: GatewaySessions
  readonly ca: Pick<SigningCa, 'mint'>
  readonly leaves: LeafCache
  readonly loops: DenialLoops
  readonly tunnels: { open: number }
  readonly streams: { open: number }
  readonly connections: OpenConnections
  /** Doors of our own, to which the listeners are added: no sandbox may reach them. */
  readonly doors: Endpoint[]
  /** Nor these. */
  readonly places: OwnPlaces
  readonly resolve: Resolve
  /** Through the parent proxy; null: there is none. */
  readonly ways: WaysOf | null
}

const sweepMs = 500
/** What is under way in HTTP/2 when the gateway stops, and is not through by then, is cut. */
const goAwayMsMax = 1000
const lastWordMsMax = 250
/** How long the last records are waited for at the end. */
const settleMsMax = 2000

export async function startWalk(parts: WalkParts): Promise<GatewayWalk> {
  const { config, world, doors, connections } = parts
  const { limits } = config
  const deadlines = new Deadlines(sweepMs)
  const limiter = createAuthLimiter({ now: () => performance.now() })
  // The door serves what the rooms open, and the rooms open what the door accepts.
  const late: { serve: Rooms['serve']; serveH2: Rooms['serveH2'] } = {
    serve: (connection) => connection.cut(),
    serveH2: (connection) => connection.cut(),
  }
  const dial = createDialOf(limits, parts.ways)
  const pools = createPools(config, dial)
  const serve: Rooms['serve'] = (connection, early) => late.serve(connection, early)
  const serveH2: Rooms['serveH2'] = (connection) => late.serveH2(connection)
  const rooms = furnish(parts, { deadlines, dial, limiter, poolsOf: pools.poolsOf, serve, serveH2 })
  const door = createHttpDoor(rooms, { headBytesMax: limits.headBytesMax })
  const h2Door = createH2Door(rooms, { headBytesMax: limits.headBytesMax })
  late.serve = (connection, early) => door.serve(connection, early)
  late.serveH2 = (connection) => h2Door.serve(connection)

  const listeners: ProxyListener[] = []
  const close = async (): Promise<void> => {
    for (const listener of listeners) listener.stop()
    // HTTP/2 has a word for it, after which a client asks elsewhere instead of wondering what became of its request.
    h2Door.goAway()
    await h2Door.left(goAwayMsMax)
    parts.sessions.book.cutAll('stopped')
    await h2Door.left(lastWordMsMax)
    for (const listener of listeners) await listener.close()
    // What was cut ends now, and its record must be written; a name that is still asked for may take longer than we wait.
    await Promise.race([Promise.all([door.settled(), h2Door.settled()]), delay(settleMsMax, undefined, { ref: false })])
    pools.close()
    deadlines.close()
    limiter.close()
  }
  const refuse = (connection: Connection): void => door.refuse(connection)
  const listen = ({ address, session, tls = null, balancers = [] }: ListenerConfig): Promise<ProxyListener> => {
    const log = (message: string): void => world.log.debug({ listener: address }, message)
    const { handshakeTimeoutMs } = limits
    return listenForProxy({
      address,
      session,
      balancers,
      tls: tls === null ? null : createTlsDoor(tls, { ca: parts.ca, handshakeTimeoutMs, log }),
      log,
      limits: rooms.limits,
      serve,
      refuse,
      connections,
      connectionsMax: limits.connectionsMax,
      unprovenMax: limits.unprovenConnectionsMax,
    })
  }
  try {
    for (const one of config.listeners) {
      const listener = await listen(one)
      listeners.push(listener)
      if (typeof listener.bound === 'object') doors.push(listener.bound)
    }
  } catch (error) {
    await close()
    throw error
  }
  world.log.info({ proxies: listeners.map(({ address }) => address) }, 'proxy listening')
  const proxies = listeners.map(({ address }) => address)
  const sessionDoors = new SessionDoors({
    config: config.sessions.doors ?? { directory: null, address: null },
    listen: (address, session) => listen({ address, session }),
    doors,
    log: (message) => world.log.warn({}, message),
  })
  return { proxies, clientUrl: clientUrlOf(config.listeners, proxies), sessionDoors, close }
}

function createPools({ limits, upstream }: Config, dial: Dial): PoolsBySession {
  return createPoolsBySession({
    dial,
    roots: upstreamRoots(upstream.roots, upstream.extraCa),
    handshakeTimeoutMs: limits.handshakeTimeoutMs,
    keepAliveMs: limits.originKeepAliveMs,
    headTimeoutMs: limits.originHeadTimeoutMs,
    // The exchange's own watch comes first, and says what happened; this one only holds should that be wanting.
    bodyIdleMs: limits.exchangeIdleMs * 2,
    headBytesMax: limits.originHeadBytesMax,
    connectionsPerOriginMax: limits.connectionsPerOriginMax,
    poolsPerSessionMax: limits.poolsPerSessionMax,
  })
}

type Furniture = Pick<Rooms, 'deadlines' | 'dial' | 'poolsOf' | 'serve' | 'serveH2'> & {
  readonly limiter: ReturnType<typeof createAuthLimiter>
}

function furnish(parts: WalkParts, furniture: Furniture): Rooms {
  const { config, world, sessions, leaves, loops, tunnels, streams, doors, places, resolve } = parts
  const { limits } = config
  let decisions = 0
  // Ids of one run begin alike; the start keeps those of two runs apart.
  const run = Math.floor(world.now()).toString(36)
  return {
    ...furniture,
    identify: (proof) => {
      const who = identify(sessions.book, proof)
      return who.kind === 'allow' ? who : furniture.limiter.temper(who, proof.source)
    },
    intercept: createIntercept({ leaves, handshakeTimeoutMs: limits.handshakeTimeoutMs }),
    handshakes: new HandshakeTurns({
      atOnceMax: limits.handshakesPerSessionMax,
      waitMs: limits.handshakeTimeoutMs,
    }),
    bodies: new HeldBodies({
      bodyBytesMax: limits.judgedBodyBytesMax,
      allBytesMax: limits.judgedBodiesBytesMax,
      timeoutMs: limits.judgedBodyMs,
    }),
    equip: createEquip(sessions.credentials),
    asksForToken: createAsksForToken(sessions.credentials),
    cookies: sessions.cookies,
    credentialRefused: (name, { current }) => sessions.credentials.refused(name, current.secrets),
    resolve,
    isOwn: createOwnEndpoints(
      () => doors,
      () => places.endpoints,
    ),
    endSession: ({ id }, why) => {
      world.log.warn({ session: id, why }, 'session ended')
      sessions.book
        .revoke(id, why)
        .catch((error: unknown) => world.log.error({ error, session: id }, 'session not forgotten'))
    },
    sink: loops,
    loopDelayMs: (refused) => loops.delayMs(refused),
    trust: createClientTrust(),
    denials: new RecentDenials(),
    limits: {
      headMs: limits.headTimeoutMs,
      keepAliveMs: limits.keepAliveMs,
      exchangeIdleMs: limits.exchangeIdleMs,
      firstBytesMs: limits.firstBytesTimeoutMs,
      tunnelIdleMs: limits.tunnelIdleMs,
      redactionsMax: limits.redactionsPerSessionMax,
      exchangesPerSessionMax: limits.exchangesPerSessionMax,
    },
    nextDecisionId: () => `d-${run}-${(++decisions).toString(36)}`,
    now: world.now,
    tunnels,
    streams,
    relayed: createYoungGarbage(),
  }
}
