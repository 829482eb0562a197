/** The rooms of the walk, furnished, and the doors that lead into it. */

import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../config/config-schema.ts'
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
import { upstreamRoots } from '../tls/upstream-roots.ts'
import { createDial, type Dial } from '../upstream/dial.ts'
import { createOwnEndpoints, type Endpoint } from '../upstream/own-endpoints.ts'
import { createYoungGarbage } from '../upstream/young-garbage.ts'
import { createResolverOf } from './own-requests.ts'
import type { GatewaySessions } from './session-parts.ts'
import { createPoolsBySession, type PoolsBySession } from './session-pools.ts'

export type GatewayWalk = {
  /** Where it listens, as bound. */
  readonly proxies: readonly string[]
  /** Endpoints of our own that no sandbox may reach; others add theirs. */
  readonly own: Endpoint[]
  readonly close: () => Promise<void>
}

export type WalkParts = {
  readonly config: Config
  readonly world: GatewayWorld
  readonly sessions: GatewaySessions
  readonly leaves: LeafCache
  readonly loops: DenialLoops
  readonly tunnels: { open: number }
  readonly streams: { open: number }
  readonly connections: OpenConnections
  /** Endpoints that no sandbox may reach, to which the listeners are added. */
  readonly own: Endpoint[]
}

const sweepMs = 500
/** What is under way in HTTP/2 when the gateway stops, and is not through by then, is cut. */
const goAwayMsMax = 1000
const lastWordMsMax = 250
/** How long the last records are waited for at the end. */
const settleMsMax = 2000

export async function startWalk(parts: WalkParts): Promise<GatewayWalk> {
  const { config, world, own, connections } = parts
  const deadlines = new Deadlines(sweepMs)
  const limiter = createAuthLimiter({ now: () => performance.now() })
  // The door serves what the rooms open, and the rooms open what the door accepts.
  const late: { serve: Rooms['serve']; serveH2: Rooms['serveH2'] } = {
    serve: (connection) => connection.cut(),
    serveH2: (connection) => connection.cut(),
  }
  const dial = createDial({ timeoutMs: config.limits.connectTimeoutMs, attemptMs: config.limits.connectAttemptMs })
  const pools = createPools(config, dial)
  const serve: Rooms['serve'] = (connection, early) => late.serve(connection, early)
  const serveH2: Rooms['serveH2'] = (connection) => late.serveH2(connection)
  const rooms = furnish(parts, { deadlines, dial, limiter, own, poolsOf: pools.poolsOf, serve, serveH2 })
  const door = createHttpDoor(rooms, { headBytesMax: config.limits.headBytesMax })
  const h2Door = createH2Door(rooms, { headBytesMax: config.limits.headBytesMax })
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
  try {
    for (const { address, session } of config.listeners) {
      const refuse = (connection: Connection): void => door.refuse(connection)
      const listener = await listenForProxy({
        address,
        session,
        limits: rooms.limits,
        serve,
        refuse,
        connections,
        connectionsMax: config.limits.connectionsMax,
        unprovenMax: config.limits.unprovenConnectionsMax,
      })
      listeners.push(listener)
      if (typeof listener.bound === 'object') own.push(listener.bound)
    }
  } catch (error) {
    await close()
    throw error
  }
  world.log.info({ proxies: listeners.map(({ address }) => address) }, 'proxy listening')
  return { proxies: listeners.map(({ address }) => address), own, close }
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
  readonly own: readonly Endpoint[]
}

function furnish({ config, world, sessions, leaves, loops, tunnels, streams }: WalkParts, furniture: Furniture): Rooms {
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
    resolve: createResolverOf(config),
    isOwn: createOwnEndpoints(() => furniture.own),
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
