/**
 * Bytes we do not read: two sockets joined, or what runs over them.
 *
 * Promises: each direction ends on its own (half-close); when one side fails or is cut, both are reset at once, and no
 * byte that waited in a buffer goes out after that.
 */

import type net from 'node:net'
import type { Duplex } from 'node:stream'
import { type Meter, unmetered } from './meter.ts'
import { resetSocket } from './reset-socket.ts'

export type TunnelEnd = {
  readonly bytesUp: number
  readonly bytesDown: number
  readonly how: 'cut' | 'ended' | 'idle' | 'reset'
}

export type Tunnel = {
  readonly done: Promise<TunnelEnd>
  /** Bytes so far in both directions: the sign of life an idle limit looks at. */
  readonly bytes: () => number
  readonly cut: (how: 'cut' | 'idle' | 'reset') => void
}

/** How the two are reset, and what becomes of what flows towards the client. */
export type Beneath = {
  readonly resetClient: () => void
  readonly resetOrigin: () => void
  /** Returns what goes on instead. */
  readonly passDown: (chunk: Buffer) => Buffer
}

/**
 * Client to the left, origin to the right. `first` was read from the client already, is counted, and goes first; `relayed` is
 * told of the bytes of each read. `raw` is what either runs over, where that is TLS.
 */
export function joinTunnel(
  client: net.Socket,
  origin: net.Socket,
  first: Buffer,
  relayed: (bytes: number) => void,
  meter: Meter = unmetered,
  raw: { readonly client: net.Socket; readonly origin: net.Socket } = { client, origin },
): Tunnel {
  const resetClient = (): void => resetSocket(raw.client)
  const resetOrigin = (): void => resetSocket(raw.origin)
  return joinStreams(client, origin, first, relayed, { resetClient, resetOrigin, passDown: asIs }, meter)
}

export function joinStreams(
  client: Duplex,
  origin: Duplex,
  first: Buffer,
  relayed: (bytes: number) => void,
  beneath: Beneath,
  meter: Meter,
): Tunnel {
  const { promise: done, resolve } = Promise.withResolvers<TunnelEnd>()
  let bytesUp = first.length
  let bytesDown = 0
  let open = 2
  let end: TunnelEnd['how'] | null = null

  const close = (how: TunnelEnd['how']): void => {
    if (end !== null) return
    end = how
    if (how !== 'ended') {
      beneath.resetClient()
      beneath.resetOrigin()
    }
    resolve({ bytesUp, bytesDown, how })
  }
  const onClose = (socket: Duplex, hadError: unknown): void => {
    open--
    // Closed before its peer had said everything: nothing can flow any more.
    if (hadError === true || !socket.readableEnded || wasAborted(socket)) close('reset')
    else if (open === 0) close('ended')
  }
  for (const socket of [client, origin]) {
    socket.on('error', ignore)
    socket.once('close', (hadError?: boolean) => onClose(socket, hadError))
  }
  if (first.length > 0) origin.write(first)
  const joined = (): boolean => end === null
  relay(client, origin, joined, (chunk) => {
    if (!meter.takeUp(chunk.length)) return nothing
    bytesUp += chunk.length
    relayed(chunk.length)
    return chunk
  })
  relay(origin, client, joined, (chunk) => {
    if (!meter.takeDown(chunk.length)) return nothing
    bytesDown += chunk.length
    relayed(chunk.length)
    return beneath.passDown(chunk)
  })
  return { done, bytes: () => bytesUp + bytesDown, cut: close }
}

/** What `pipe` does between sockets that are reset together: after that nothing more is written. */
function relay(from: Duplex, to: Duplex, joined: () => boolean, pass: (chunk: Buffer) => Buffer): void {
  from.on('data', (chunk: Buffer) => {
    if (!joined()) return
    const bytes = pass(chunk)
    if (joined() && bytes.length > 0 && !to.write(bytes)) from.pause()
  })
  to.on('drain', () => from.resume())
  const end = (): void => {
    if (joined()) to.end()
  }
  if (from.readableEnded) end()
  else from.once('end', end)
  from.resume()
}

/** Of a stream of HTTP/2: it was reset before we had ended it, though its peer may have said everything. */
function wasAborted(stream: Duplex): boolean {
  return 'aborted' in stream && stream.aborted === true
}

const nothing = Buffer.alloc(0)

function asIs(chunk: Buffer): Buffer {
  return chunk
}

/** The close event that follows says it; without a listener the process would end. */
function ignore(): void {}
