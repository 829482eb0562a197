/**
 * Deliver, second step: from judged addresses to a connection. The only file that opens a socket on a sandbox's behalf.
 *
 * Promises: nothing but an `AddressPermit` is dialled, as a canonical literal (Node itself would connect `127.1` and
 * names with a NUL to loopback), and the peer is compared with the permit once more when the connection stands.
 */

import assert from 'node:assert/strict'
import net from 'node:net'
import type { Ip } from '../net/ip.ts'
import { parseIp, unmapIpv4 } from '../net/ip.ts'
import type { AddressPermit } from '../policy/decide-address.ts'
import { type Failure, failure, failureOf } from './failure.ts'

export type Dialled = {
  readonly kind: 'dialled'
  readonly socket: net.Socket
  /** What a cut resets: `socket`, or what lies beneath the TLS that it is. */
  readonly raw: net.Socket
  /** Of the peer: the origin, or the parent proxy that leads to it. */
  readonly address: string
  /** For the record: what the parent proxy was asked for; null: there is none between. */
  readonly via: string | null
}

export type Dial = (permit: AddressPermit) => Promise<Dialled | Failure>

/** One way to a permit, tried no longer than it is given. */
export type Way = (timeoutMs: number) => Promise<Dialled | Failure>

/** All ways to a permit, in the order in which they are tried. */
export type WaysOf = (permit: AddressPermit) => readonly Way[]

export type DialOptions = {
  /** For all addresses of one name together. */
  readonly timeoutMs: number
  /** Before the next address is tried, while there is one. */
  readonly attemptMs: number
  /** Default: each address, from here. */
  readonly ways?: WaysOf
}

export function createDial({ timeoutMs, attemptMs, ways = directly }: DialOptions): Dial {
  return async (permit) => {
    const deadline = performance.now() + timeoutMs
    let last: Failure = failure('connect_failed', new Error(`${permit.authority.text} has no address`))
    const all = ways(permit)
    for (const [index, way] of all.entries()) {
      const left = deadline - performance.now()
      if (left <= 0) break
      const isLast = index === all.length - 1
      const attempt = await way(isLast ? left : Math.min(left, attemptMs))
      if (attempt.kind === 'dialled') return attempt
      last = attempt
      // What the parent says of one address it says of all, and what it does not say it will not say sooner.
      if (attempt.code.startsWith('parent_')) break
    }
    return last
  }
}

function directly(permit: AddressPermit): readonly Way[] {
  return permit.addresses.map((ip) => wayTo(permit, ip))
}

/** From here to one address of a permit. */
export function wayTo({ addresses, authority }: AddressPermit, ip: Ip): Way {
  assert(addresses.includes(ip))
  return (timeoutMs) => connect(ip, authority.port, timeoutMs)
}

function connect(ip: Ip, port: number, timeoutMs: number): Promise<Dialled | Failure> {
  return new Promise((resolve) => {
    const socket = net.connect({
      host: ip.text,
      port,
      noDelay: true,
      allowHalfOpen: true,
      keepAlive: true,
      keepAliveInitialDelay: 60_000,
    })
    const timer = setTimeout(
      () => finish(failure('connect_timeout', new Error(`${ip.text}:${port} did not answer in ${timeoutMs} ms`))),
      timeoutMs,
    )
    const finish = (result: Dialled | Failure): void => {
      clearTimeout(timer)
      socket.removeListener('connect', onConnect)
      socket.removeListener('error', onError)
      if (result.kind === 'failed') {
        socket.on('error', ignore)
        socket.destroy()
      }
      resolve(result)
    }
    const onConnect = (): void => {
      const peer = parseIp(socket.remoteAddress ?? '')
      const same = peer !== null && (unmapIpv4(peer) ?? peer).text === ip.text
      finish(
        same
          ? { kind: 'dialled', socket, raw: socket, address: `${ip.text}:${port}`, via: null }
          : failure('connect_failed', new Error(`connected to ${socket.remoteAddress}, judged ${ip.text}`)),
      )
    }
    const onError = (error: Error): void => finish(failureOf(error))
    socket.once('connect', onConnect)
    socket.once('error', onError)
  })
}

/** A socket that has failed may fail again while it closes; the first failure was told. */
function ignore(): void {}
