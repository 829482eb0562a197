import { once } from 'node:events'
import net from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDial, type Dialled } from '../../../src/upstream/dial.ts'
import type { Failure } from '../../../src/upstream/failure.ts'
import { addressPermit } from './permit-of.ts'

let server: net.Server
let port: number
let closedPort: number
beforeAll(async () => {
  server = net.createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as net.AddressInfo).port
  const other = net.createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  closedPort = (other.address() as net.AddressInfo).port
  other.close()
  await once(other, 'close')
})
afterAll(() => void server.close())

const dial = createDial({ timeoutMs: 2000, attemptMs: 200 })

function said(result: Dialled | Failure): string {
  if (result.kind === 'failed') return result.code
  result.socket.destroy()
  return result.address
}

describe('a permit', () => {
  it('is dialled at its address', async () => {
    expect(said(await dial(addressPermit(`a.test:${port}`, '127.0.0.1')))).toBe(`127.0.0.1:${port}`)
  })

  it('for more addresses is dialled in their order, until one answers', async () => {
    expect(said(await dial(addressPermit(`a.test:${port}`, '127.0.0.2', '127.0.0.1')))).toBe(`127.0.0.1:${port}`)
  })

  it('whose addresses all refuse fails as the last one did', async () => {
    expect(said(await dial(addressPermit(`a.test:${closedPort}`, '127.0.0.2', '127.0.0.1')))).toBe('connect_failed')
  })

  it('waits for one address no longer than an attempt while there is another', async () => {
    // TEST-NET-1 answers nothing, or refuses at once where there is no route.
    const began = performance.now()
    expect(said(await dial(addressPermit(`a.test:${port}`, '192.0.2.1', '127.0.0.1')))).toBe(`127.0.0.1:${port}`)
    expect(performance.now() - began).toBeLessThan(1500)
  })

  it('gives up on all addresses together by its deadline', async () => {
    const short = createDial({ timeoutMs: 150, attemptMs: 100 })
    const began = performance.now()
    expect(said(await short(addressPermit('a.test:9', '192.0.2.1', '192.0.2.2', '192.0.2.3')))).toMatch(/^connect_/)
    expect(performance.now() - began).toBeLessThan(1500)
  })

  it('gives a socket that may half-close and has no listeners of ours left', async () => {
    const result = await dial(addressPermit(`a.test:${port}`, '127.0.0.1'))
    if (result.kind === 'failed') expect.fail(result.code)
    expect(result.socket.allowHalfOpen).toBe(true)
    expect([result.socket.listenerCount('error'), result.socket.listenerCount('connect')]).toEqual([0, 0])
    result.socket.destroy()
  })
})
