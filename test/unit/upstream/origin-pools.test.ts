import net from 'node:net'
import tls from 'node:tls'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { failure } from '../../../src/upstream/failure.ts'
import { createUpstreamContext, OriginPool, type PoolOptions } from '../../../src/upstream/origin-pools.ts'
import { createTestCa } from '../../support/test-ca.ts'
import { addressPermit } from './permit-of.ts'

const ca = createTestCa()

/** An origin that takes `waitMs` to begin its handshake. */
async function startSlowOrigin(waitMs: number, protocol: 'h2' | 'http/1.1') {
  const open = new Set<net.Socket>()
  const inner = tls.createServer({
    SNICallback: (name, answer) => answer(null, ca.contextFor(name)),
    ALPNProtocols: [protocol],
  })
  inner.on('secureConnection', (secure) => secure.on('error', () => undefined).resume())
  inner.on('tlsClientError', () => undefined)
  const server = net.createServer((socket) => {
    open.add(socket)
    socket.on('error', () => undefined).once('close', () => open.delete(socket))
    setTimeout(() => inner.emit('connection', socket), waitMs)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  const close = (): void => {
    for (const socket of open) socket.destroy()
    server.close()
  }
  return { open, port, close }
}

const options = (port: number): PoolOptions => ({
  dial: () =>
    new Promise((resolve) => {
      const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      socket.once('error', (error) => resolve(failure('connect_failed', error)))
      socket.once('connect', () =>
        resolve({ kind: 'dialled', socket, raw: socket, address: `127.0.0.1:${port}`, via: null }),
      )
    }),
  roots: [ca.certificate],
  handshakeTimeoutMs: 5000,
  keepAliveMs: 60_000,
  headTimeoutMs: 5000,
  bodyIdleMs: 5000,
  headBytesMax: 16_384,
  connectionsPerOriginMax: 2,
  poolsPerSessionMax: 2,
})

it.each(
  (['close', 'destroy'] as const).flatMap((end) =>
    (['h2', 'http/1.1'] as const).map((protocol): [typeof end, typeof protocol] => [end, protocol]),
  ),
)('a pool keeps no connection that comes to stand after its %s, with %s', async (end, protocol) => {
  const origin = await startSlowOrigin(100, protocol)
  try {
    const permit = addressPermit('origin.test:443', '127.0.0.1')
    const key = { scheme: 'https' as const, permit, addresses: '127.0.0.1', policyVersion: 1, identity: null }
    const pool = new OriginPool(key, options(origin.port), createUpstreamContext([ca.certificate]))
    const asked = pool.negotiate(protocol)
    while (origin.open.size === 0) await delay(5)
    pool[end]()
    await asked
    const until = performance.now() + 2000
    while (origin.open.size > 0 && performance.now() < until) await delay(10)
    expect(origin.open.size).toBe(0)
  } finally {
    origin.close()
  }
})
