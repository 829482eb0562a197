/**
 * Accept, before all else where a balancer stands in front: the header that says whom it speaks for.
 *
 * Promises: the header has a deadline, and nothing behind it is lost or read; a connection that has none, or a broken one,
 * is nobody's.
 */

import type net from 'node:net'
import { parseProxyHeader, type ProxyHeader } from '../net/proxy-protocol.ts'

type Header = Extract<ProxyHeader, { kind: 'header' }>

/** One of the two is called, once; the socket is paused then, and what came behind the header is put back. */
export function readBalancerHeader(
  socket: net.Socket,
  timeoutMs: number,
  then: (header: Header) => void,
  onBad: (detail: string) => void,
): void {
  let bytes: Buffer = Buffer.alloc(0)
  const finish = (): void => {
    clearTimeout(timer)
    socket.pause()
    socket.removeListener('data', onData)
    socket.removeListener('end', onGone)
    socket.removeListener('close', onGone)
  }
  const fail = (detail: string): void => {
    finish()
    onBad(detail)
  }
  const timer = setTimeout(() => fail('the header of the balancer did not end in time'), timeoutMs)
  const onGone = (): void => fail('the balancer closed the connection before its header')
  const onData = (chunk: Buffer): void => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
    const found = parseProxyHeader(bytes)
    if (found.kind === 'more') return
    if (found.kind === 'bad') {
      fail(found.detail)
      return
    }
    finish()
    if (bytes.length > found.length) socket.unshift(bytes.subarray(found.length))
    then(found)
  }
  socket.on('data', onData)
  socket.once('end', onGone)
  socket.once('close', onGone)
}
