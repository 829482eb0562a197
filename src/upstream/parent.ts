/**
 * Deliver, second step, where the way out of the network leads through a parent proxy: CONNECT, for `http` too, so that
 * what the origin says is never taken for the parent's words, nor the other way round.
 *
 * Promises: what is asked for was judged before, by address unless the operator chose names; a name that a rule pins to
 * addresses goes by address all the same. The parent is dialled by a permit like everybody. Of its answer one status is
 * read, within a bound and a deadline; none of its words goes on, and none of its credentials goes anywhere but to it.
 */

import type { Host } from '../net/host.ts'
import type { Ip } from '../net/ip.ts'
import type { AddressPermit } from '../policy/decide-address.ts'
import { type Dial, type Dialled, type Way, type WaysOf, wayTo } from './dial.ts'
import { type Failure, failure } from './failure.ts'
import { resetSocket } from './reset-socket.ts'

export type Parent = {
  /** Where it is now. */
  readonly find: () => Promise<AddressPermit | Failure>
  readonly dial: Dial
  /** TLS with the parent itself, for one that is spoken to over https; else what was dialled. */
  readonly secure: (dialled: Dialled, timeoutMs: number) => Promise<Dialled | Failure>
  /** Value of Proxy-Authorization; null: it asks for none. */
  readonly authorization: () => Promise<Failure | string | null>
  /** What is asked for where the operator leaves the choice. */
  readonly connectBy: 'address' | 'name'
  /** What is reached from here, past the parent. */
  readonly isExcepted: (host: Host, ip: Ip) => boolean
}

/** More than any proxy says before it lets through. */
const headBytesMax = 16 * 1024

export function createParentWays(parent: Parent): WaysOf {
  return (permit) => {
    const { addresses, authority, pinned } = permit
    const beyond = addresses.filter((ip) => !parent.isExcepted(authority.host, ip))
    const byName = parent.connectBy === 'name' && authority.host.ip === null && !pinned
    // Whose addresses lie on both sides goes by address: the parent might choose one that is not for it.
    if (byName && beyond.length === addresses.length) return [wayThrough(parent, authority.text)]
    return addresses.map((ip) =>
      beyond.includes(ip) ? wayThrough(parent, textOf(ip, authority.port)) : wayTo(permit, ip),
    )
  }
}

function textOf(ip: Ip, port: number): string {
  return ip.bits === 128 ? `[${ip.text}]:${port}` : `${ip.text}:${port}`
}

function wayThrough(parent: Parent, target: string): Way {
  return async (timeoutMs) => {
    const deadline = performance.now() + timeoutMs
    const permit = await parent.find()
    if ('kind' in permit) return parentFailure(permit)
    const authorization = await parent.authorization()
    if (typeof authorization === 'object' && authorization !== null) return authorization
    const reached = await parent.dial(permit)
    if (reached.kind === 'failed') return parentFailure(reached)
    const secured = await parent.secure(reached, Math.max(1, deadline - performance.now()))
    if (secured.kind === 'failed') return parentFailure(secured)
    const lines = [`CONNECT ${target} HTTP/1.1`, `Host: ${target}`]
    if (authorization !== null) lines.push(`Proxy-Authorization: ${authorization}`)
    const found = await ask(secured, `${lines.join('\r\n')}\r\n\r\n`, Math.max(1, deadline - performance.now()))
    if (found === null) return { ...secured, via: `through the parent proxy, asked for ${target}` }
    resetSocket(secured.raw)
    return failure(found.code, new Error(`parent proxy ${secured.address}, asked for ${target}: ${found.detail}`))
  }
}

/** Whatever kept us from the parent is not the origin's. */
function parentFailure({ code, cause }: Failure): Failure {
  const said = cause instanceof Error ? cause.message : String(cause)
  return failure(code.endsWith('_timeout') ? 'parent_timeout' : 'parent_failed', new Error(`parent proxy: ${said}`))
}

type Answer = { readonly code: Failure['code']; readonly detail: string } | null

/** Null: it let us through. The socket is paused then, and nothing of it was read that is not the parent's. */
function ask({ socket }: Dialled, request: string, timeoutMs: number): Promise<Answer> {
  return new Promise((resolve) => {
    let head = Buffer.alloc(0)
    const finish = (answer: Answer): void => {
      clearTimeout(timer)
      socket.pause()
      socket.removeListener('data', onData)
      socket.removeListener('end', onGone)
      socket.removeListener('close', onGone)
      socket.removeListener('error', ignore)
      if (answer !== null) socket.on('error', ignore)
      resolve(answer)
    }
    const timer = setTimeout(
      () => finish({ code: 'parent_timeout', detail: `no answer in ${Math.round(timeoutMs)} ms` }),
      timeoutMs,
    )
    const onData = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk])
      const end = head.indexOf('\r\n\r\n')
      const length = end < 0 ? head.length : end + 4
      if (length > headBytesMax) finish({ code: 'parent_failed', detail: 'its head does not end' })
      else if (end >= 0) finish(answerIn(head.subarray(0, end), head.length - length))
    }
    const onGone = (): void => finish({ code: 'parent_failed', detail: 'it closed the connection' })
    socket.on('data', onData)
    socket.once('end', onGone)
    socket.once('close', onGone)
    socket.on('error', ignore)
    socket.write(request, 'latin1')
  })
}

/** `behind` bytes came after the head. Of an answer that lets through, RFC 9110 §9.3.6 has us ignore all framing. */
function answerIn(head: Buffer, behind: number): Answer {
  const line = head.toString('latin1', 0, Math.min(head.length, 512)).split('\r\n', 1)[0] ?? ''
  const status = Number(/^HTTP\/1\.[01] ([1-9][0-9]{2})(?: |$)/.exec(line)?.[1] ?? 0)
  const detail = `it answered ${status}`
  if (status >= 200 && status < 300) {
    // Whatever we dial is spoken to first: who speaks before that is no origin.
    return behind === 0
      ? null
      : { code: 'parent_failed', detail: 'it spoke on, before anything was said to the origin' }
  }
  if (status === 0) return { code: 'parent_failed', detail: 'it answered with something that is not HTTP' }
  if (status === 407) return { code: 'parent_failed', detail: `${detail}: it does not take our credentials` }
  if (status === 504) return { code: 'connect_timeout', detail }
  if (status >= 500) return { code: 'connect_failed', detail }
  return status >= 400 ? { code: 'parent_refused', detail } : { code: 'parent_failed', detail }
}

function ignore(): void {}
