/**
 * The gateway: the only place where parts are built and joined, started in order and stopped in order.
 *
 * Promises: it serves only when everything that decides and records stands; what cannot be built is an error at start and
 * no listener is open then; a reload that fails changes nothing.
 */

import type { Config } from './config/config-schema.ts'
import { watchPolicies } from './config/load-policies.ts'
import { DenialLoops } from './exchange/denial-loops.ts'
import type { RecordSink } from './exchange/record.ts'
import { type GatewayControl, startControl } from './gateway/control-parts.ts'
import { createOwnRequests, createResolverOf } from './gateway/own-requests.ts'
import { joinParentProxy } from './gateway/parent-proxy.ts'
import { loadPolicies, reloadPolicies } from './gateway/policy-parts.ts'
import { type GatewaySessions, openSessions } from './gateway/session-parts.ts'
import { loadReplicaParts } from './gateway/replica-parts.ts'
import { createTelemetry, type GatewayTelemetry } from './gateway/telemetry-parts.ts'
import { startWalk } from './gateway/walk-parts.ts'
import type { OpenConnections } from './listeners/proxy-listener.ts'
import type { Issue } from './policy/issue.ts'
import type { PolicyBook } from './policy/policy-book.ts'
import type { BookedSession } from './sessions/booked-session.ts'
import { countNear } from './sessions/budget.ts'
import type { Log } from './telemetry/log.ts'
import { createLeafCache, type LeafCache } from './tls/leaf-cache.ts'
import { publicFilesIn } from './tls/public-files.ts'
import { loadSigningCa, type SigningCa } from './tls/signing-ca.ts'
import { upstreamRoots } from './tls/upstream-roots.ts'
import { type Endpoint, OwnPlaces } from './upstream/own-endpoints.ts'

export type GatewayWorld = {
  readonly log: Log
  /** Environment variables, for secrets only. */
  readonly variable: (name: string) => string | undefined
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Sees every record too; for tests. */
  readonly observe?: RecordSink['append']
}

export type Gateway = {
  readonly proxies: readonly string[]
  readonly control: string
  readonly adminTokenPath: string | null
  readonly ca: SigningCa
  readonly caPath: string
  readonly bundlePath: string
  readonly policies: PolicyBook
  readonly sessions: GatewaySessions
  readonly telemetry: GatewayTelemetry
  readonly environmentFor: GatewayControl['environmentFor']
  readonly proxyUrlFor: (id: string, token: string) => string
  /** Reads the policies again; what is wrong with them, or nothing. */
  readonly reload: () => Promise<readonly Issue[]>
  readonly stop: () => Promise<void>
}

/** Why the gateway does not start: every problem found, one a line. */
export class StartError extends Error {}

export async function startGateway(config: Config, world: GatewayWorld): Promise<Gateway> {
  const undo: (() => Promise<void> | void)[] = []
  const stop = async (): Promise<void> => {
    // In reverse order of building: doors first, records last.
    for (const step of undo.splice(0).reverse()) await step()
  }
  try {
    return await build(config, world, undo, stop)
  } catch (error) {
    await stop()
    throw error
  }
}

async function build(
  config: Config,
  world: GatewayWorld,
  undo: (() => Promise<void> | void)[],
  stop: () => Promise<void>,
): Promise<Gateway> {
  const { log } = world
  const ca = await loadSigningCa({
    stateDirectory: config.stateDirectory,
    publicDirectory: config.publicDirectory,
    own: config.ca,
    now: () => new Date(world.now()),
    systemRoots: () => upstreamRoots('system', null),
  })
  const shared = await loadReplicaParts(config, world)
  const leaves = createLeafCache(ca, {
    ticketKeys: shared.ticketKeys,
    leavesMax: config.limits.leavesMax,
    deniedLeavesMax: config.limits.deniedLeavesMax,
    deniedPerSecondMax: config.limits.deniedLeavesPerSecondMax,
    now: () => new Date(world.now()),
  })
  undo.push(() => leaves.close())

  const doors: Endpoint[] = []
  const places = new OwnPlaces()
  const resolve = createResolverOf(config)
  if (shared.redisAuthority !== null) places.add(shared.redisAuthority)
  const ways = await joinParentProxy(config, { world, resolve, doors, places })
  const ownRequests = createOwnRequests(config, resolve, places, { ways, store: shared.redisAuthority })
  await ownRequests.findOwn()
  const network = { ask: ownRequests.ask, epochMs: world.now }
  const sessions = await openSessions(config, world, { network, ...shared }, (credentials, inUse) =>
    loadPolicies(config, credentials, inUse, log),
  )
  undo.push(() => sessions.close())
  const { policies } = sessions

  const state: State = {
    enforcing: false,
    draining: false,
    tunnels: { open: 0 },
    streams: { open: 0 },
    connections: { open: 0, unproven: new Map(), evicted: 0 },
  }
  const telemetry = createTelemetry(config, log, gaugesOf(state, sessions, ca, leaves))
  undo.push(() => telemetry.close())
  const sink = observed(telemetry.sink, world.observe)
  const loops = new DenialLoops(sink, { burst: 100, windowMs: 60_000, delayMs: 250, loopsMax: 10_000 })
  undo.push(() => loops.close())

  const walk = await startWalk({
    config,
    world,
    sessions,
    ca,
    leaves,
    loops,
    tunnels: state.tunnels,
    streams: state.streams,
    connections: state.connections,
    doors,
    places,
    resolve,
    ways,
  })
  undo.push(() => walk.close())
  const control = await startControl({
    config,
    world,
    sessions,
    telemetry,
    ca,
    clientUrl: walk.clientUrl,
    sessionDoors: walk.sessionDoors,
    ready: () => readiness(state, telemetry, ca, world, sessions),
  })
  undo.push(() => control.close())
  doors.push(...control.endpoints)

  const reload = (): Promise<readonly Issue[]> => reloadPolicies(config, sessions, telemetry, log)
  if (config.policies !== null) {
    const watch = watchPolicies(config.policies, () => void reload())
    undo.push(() => watch.close())
  }
  state.enforcing = true
  undo.push(() => {
    state.enforcing = false
    state.draining = true
  })
  return {
    proxies: walk.proxies,
    control: control.address,
    adminTokenPath: control.adminTokenPath,
    ca,
    caPath: publicFilesIn(config.publicDirectory).ca,
    bundlePath: publicFilesIn(config.publicDirectory).bundle,
    policies,
    sessions,
    telemetry,
    environmentFor: control.environmentFor,
    proxyUrlFor: control.proxyUrlFor,
    reload,
    stop,
  }
}

type State = {
  enforcing: boolean
  draining: boolean
  readonly tunnels: { open: number }
  readonly streams: { open: number }
  readonly connections: OpenConnections
}

function readiness(
  state: State,
  telemetry: GatewayTelemetry,
  ca: SigningCa,
  world: GatewayWorld,
  sessions: GatewaySessions,
): { ready: boolean; problems: string[] } {
  const problems = [
    ...(state.enforcing ? [] : ['not_enforcing']),
    ...(state.draining ? ['draining'] : []),
    ...(telemetry.accepting() ? [] : ['audit_blocked']),
    ...(ca.notAfter.getTime() > world.now() ? [] : ['ca_expired']),
    ...(sessions.book.shared.state() === 'lost' ? ['store_lost'] : []),
  ]
  return { ready: problems.length === 0, problems }
}

function gaugesOf(
  state: State,
  sessions: GatewaySessions,
  ca: SigningCa,
  leaves: LeafCache,
): Parameters<typeof createTelemetry>[2] {
  const live = (): BookedSession[] => sessions.book.list().filter((session) => !sessions.book.isExpired(session))
  return {
    sessionsActive: () => live().length,
    tunnelsOpen: () => state.tunnels.open,
    streamsOpen: () => state.streams.open,
    // One session in audit mode is a door that lets things through.
    enforcing: () => state.enforcing && sessions.book.list().every(({ current }) => current.mode === 'enforce'),
    caNotAfterSeconds: () => Math.floor(ca.notAfter.getTime() / 1000),
    leafCache: () => leaves.stats(),
    connectionsOpen: () => state.connections.open,
    connectionsEvicted: () => state.connections.evicted,
    nearLimits: () => countNear(live().map(({ budget }) => budget)),
    storeUp: () => sessions.book.shared.state() === 'here',
  }
}

function observed(sink: RecordSink, observe: RecordSink['append'] | undefined): RecordSink {
  if (observe === undefined) return sink
  return {
    accepting: sink.accepting,
    append: (record) => {
      observe(record)
      sink.append(record)
    },
  }
}
