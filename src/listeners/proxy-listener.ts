/**
 * Accept: the sockets that sandboxes connect to, TCP or Unix.
 *
 * Promises: more connections than the process may hold are told so, cheaply; those that do not say whose they are cannot
 * fill it, for the oldest of them goes first; a listener that cannot listen is an error at
 * start, never a gap.
 */

import { chmod, lstat, unlink } from 'node:fs/promises'
import net from 'node:net'
import { Connection, type ConnectionLimits } from '../exchange/connection.ts'
import { type Cidr, contains, parseIp, unmapIpv4 } from '../net/ip.ts'
import { resetSocket } from '../upstream/reset-socket.ts'
import { readBalancerHeader } from './balancer-header.ts'

export type OpenConnections = {
  open: number
  /** Those of which nobody knows yet whose they are, the oldest first, and since when they stand. */
  readonly unproven: Map<net.Socket, number>
  /** How many of those had to go. */
  evicted: number
}

export type ProxyListenerOptions = {
  /** `host:port`, `[v6]:port` or `unix:/path`. */
  readonly address: string
  /** Everyone on this listener is this session; null: clients prove theirs. */
  readonly session: string | null
  readonly limits: ConnectionLimits
  readonly serve: (connection: Connection, early: Buffer) => void
  /** One connection too many: it is told so, and nothing of it is read. */
  readonly refuse: (connection: Connection) => void
  /** Counted over all listeners of the process. */
  readonly connections: OpenConnections
  readonly connectionsMax: number
  readonly unprovenMax: number
  /** Whose connections begin with a header of the PROXY protocol, and nobody else's. */
  readonly balancers?: readonly Cidr[]
  /** Null, or absent: what is spoken is spoken in the clear. */
  readonly tls?: TlsDoor | null
  readonly log?: (message: string) => void
}

/** TLS that is asked of whoever comes; `onOpen` is handed each that spoke it. */
export type TlsDoor = (
  onOpen: (raw: net.Socket, stream: net.Socket, peer: string | null) => void,
) => Promise<{ readonly accept: (raw: net.Socket) => void; readonly close: () => void }>

export type ProxyListener = {
  /** As bound: with the port that was chosen where 0 was asked. */
  readonly address: string
  readonly bound: net.AddressInfo | string
  /** Accepts nothing more. */
  readonly stop: () => void
  /** Resets what is still open. */
  readonly close: () => Promise<void>
}

export async function listenForProxy(options: ProxyListenerOptions): Promise<ProxyListener> {
  const open = new Set<net.Socket>()
  const { connections, balancers = [], log = ignore } = options
  /** Where a balancer says it is somebody else. */
  const clients = new WeakMap<net.Socket, string | null>()
  const connectionOf = (raw: net.Socket, stream: net.Socket, peer: string | null): Connection => {
    const said = clients.get(raw)
    const connection = new Connection({
      listener: options.address,
      client: said === undefined ? (raw.remoteAddress ?? null) : said,
      peer,
      listenerSession: options.session,
      raw,
      stream,
      place: { kind: 'proxy' },
      bound: null,
      refusal: null,
      userAgent: null,
      limits: options.limits,
    })
    connection.onProven = () => void connections.unproven.delete(raw)
    return connection
  }
  const door = await options.tls?.((raw, stream, peer) => options.serve(connectionOf(raw, stream, peer), noBytes))
  const enter = (socket: net.Socket): void => {
    if (door !== undefined) door.accept(socket)
    else options.serve(connectionOf(socket, socket, null), noBytes)
  }
  const server = net.createServer(
    { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 },
    (socket) => {
      socket.on('error', ignore)
      const behind = balancers.length > 0 && isBalancer(balancers, socket.remoteAddress)
      if (connections.open >= options.connectionsMax) {
        // Whoever speaks TLS could not read it.
        if (door === undefined && !behind) options.refuse(connectionOf(socket, socket, null))
        else resetSocket(socket)
        return
      }
      connections.open++
      open.add(socket)
      socket.once('close', () => {
        connections.open--
        open.delete(socket)
        connections.unproven.delete(socket)
      })
      connections.unproven.set(socket, performance.now())
      evictOldest(connections, options.unprovenMax)
      if (!behind) {
        enter(socket)
        return
      }
      const then = ({ own, client }: { readonly own: boolean; readonly client: string | null }): void => {
        if (!own) clients.set(socket, client)
        enter(socket)
      }
      readBalancerHeader(socket, options.limits.headMs, then, (detail) => {
        log(`balancer ${socket.remoteAddress}: ${detail}`)
        resetSocket(socket)
      })
    },
  )
  try {
    await listen(server, options.address)
  } catch (error) {
    server.close()
    throw error
  }
  const bound = server.address()
  if (bound === null) throw new Error(`${options.address}: not listening`)
  return {
    address:
      typeof bound === 'string'
        ? `unix:${bound}`
        : net.isIPv6(bound.address)
          ? `[${bound.address}]:${bound.port}`
          : `${bound.address}:${bound.port}`,
    bound,
    stop: () => void server.close(),
    close: () =>
      new Promise((resolve) => {
        door?.close()
        server.close(() => resolve())
        for (const socket of open) resetSocket(socket)
      }),
  }
}

/** Many are accepted before the first of them is read: what has just come has had no chance to say who it is. */
const graceMs = 250

/** Whoever is slow to say who it is makes room for those who are not. */
function evictOldest(connections: OpenConnections, max: number): void {
  const before = performance.now() - graceMs
  for (const [oldest, since] of connections.unproven) {
    if (connections.unproven.size <= max || since > before) return
    connections.unproven.delete(oldest)
    connections.evicted++
    resetSocket(oldest)
  }
}

async function listen(server: net.Server, address: string): Promise<void> {
  const path = address.startsWith('unix:') ? address.slice(5) : null
  if (path !== null) await unlinkStale(path)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.once('listening', resolve)
  if (path !== null) server.listen({ path, backlog: 1024 })
  else {
    const colon = address.lastIndexOf(':')
    server.listen({
      host: address.slice(0, colon).replace(/^\[|\]$/g, ''),
      port: Number(address.slice(colon + 1)),
      backlog: 4096,
    })
  }
  await promise
  server.removeListener('error', reject)
  server.on('error', ignore)
  // The sandbox's user is another one; what protects the socket is the directory it stands in and who mounts it.
  if (path !== null) await chmod(path, 0o666)
}

/** A socket file that nobody listens on is what a killed process left. */
async function unlinkStale(path: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const probe = net.connect({ path })
  probe.once('connect', () => resolve(true))
  probe.once('error', (error) => resolve(!('code' in error && error.code === 'ECONNREFUSED')))
  const inUse = await promise
  probe.destroy()
  // A file that is no socket refuses a connection in the same words.
  if (!inUse && (await lstat(path)).isSocket()) await unlink(path)
}

function isBalancer(balancers: readonly Cidr[], address: string | undefined): boolean {
  const ip = parseIp(address ?? '')
  const inner = ip === null ? null : (unmapIpv4(ip) ?? ip)
  return inner !== null && balancers.some((block) => contains(block, inner))
}

const noBytes = Buffer.alloc(0)

function ignore(): void {}
