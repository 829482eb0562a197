/**
 * Deliver, second step: from judged addresses to a connection. The only file that opens a socket on a sandbox's behalf.
 *
 * Promises: nothing but an `AddressPermit` is dialled, as a canonical literal (Node itself would connect `127.1` and
 * names with a NUL to loopback), and the peer is compared with the permit once more when the connection stands.
 */

import net from 'node:net'
import type { Ip } from '../net/ip.ts'
import { parseIp, unmapIpv4 } from '../net/ip.ts'
import type { AddressPermit } from '../policy/decide-address.ts'
import { type Failure, failure, failureOf } from './failure.ts'

export type Dialled = { readonly kind: 'dialled'; readonly socket: net.Socket; readonly address: string }

export type Dial = (permit: AddressPermit) => Promise<Dialled | Failure>

export type DialOptions = {
  /** For all addresses of one name together. */
  readonly timeoutMs: number
  /** Before the next address is tried, while there is one. */
  readonly attemptMs: number
}

export function createDial(options: DialOptions): Dial {
  return async (permit) => {
    const deadline = performance.now() + options.timeoutMs
    let last: Failure = failure('connect_failed', new Error(`${permit.authority.text} has no address`))
    for (const [index, ip] of permit.addresses.entries()) {
      const left = deadline - performance.now()
      if (left <= 0) break
      const isLast = index === permit.addresses.length - 1
      const attempt = await connect(ip, permit.authority.port, isLast ? left : Math.min(left, options.attemptMs))
      if (attempt.kind === 'dialled') return attempt
      last = attempt
    }
    return last
  }
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
          ? { kind: 'dialled', socket, address: `${ip.text}:${port}` }
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
