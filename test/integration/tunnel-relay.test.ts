import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { joinTunnel, type Tunnel } from '../../src/upstream/tunnel.ts'

type Ends = {
  /** The sandbox's and the origin's own ends. */
  readonly client: net.Socket
  readonly origin: net.Socket
  readonly tunnel: Tunnel
}

let server: net.Server
let port: number
beforeAll(async () => {
  server = net.createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as net.AddressInfo).port
})
afterAll(() => void server.close())

async function pair(): Promise<readonly [net.Socket, net.Socket]> {
  const accepted = once(server, 'connection') as Promise<[net.Socket]>
  const outer = net.connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  outer.on('error', () => undefined)
  const [inner] = await accepted
  return [outer, inner]
}

async function joined(first = ''): Promise<Ends> {
  const [client, clientSide] = await pair()
  const [origin, originSide] = await pair()
  return { client, origin, tunnel: joinTunnel(clientSide, originSide, Buffer.from(first), () => undefined) }
}

async function textOf(socket: net.Socket): Promise<string> {
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await once(socket, 'end')
  return text
}

describe('a tunnel', () => {
  it('carries what was read before it, then both directions, and counts', async () => {
    const { client, origin, tunnel } = await joined('first ')
    client.end('up')
    origin.end('down down')
    expect([await textOf(origin), await textOf(client)]).toEqual(['first up', 'down down'])
    expect(await tunnel.done).toEqual({ bytesUp: 8, bytesDown: 9, how: 'ended' })
  })

  it.each(['client', 'origin'] as const)(
    'ends one direction when the %s does, and goes on in the other',
    async (who) => {
      const { client, origin, tunnel } = await joined()
      const [first, second] = who === 'client' ? [client, origin] : [origin, client]
      first.end('done')
      expect(await textOf(second)).toBe('done')
      second.write('still ')
      await delay(20)
      second.end('here')
      expect(await textOf(first)).toBe('still here')
      expect((await tunnel.done).how).toBe('ended')
    },
  )

  it.each(['client', 'origin'] as const)('is reset on both sides when the %s resets', async (who) => {
    const ends = await joined()
    const other = who === 'client' ? ends.origin : ends.client
    const error = once(other, 'error') as Promise<[Error & { code: string }]>
    other.resume()
    ends[who].resetAndDestroy()
    expect((await error.catch((e: unknown) => [e as Error & { code: string }] as const))[0].code).toBe('ECONNRESET')
    expect((await ends.tunnel.done).how).toBe('reset')
  })

  it.each(['cut', 'idle'] as const)('that is %s says so, and no byte that waited goes out after it', async (how) => {
    const { client, origin, tunnel } = await joined()
    // The client does not read, so that most of this waits in buffers of ours.
    for (let i = 0; i < 64; i++) origin.write(Buffer.alloc(65_536))
    await delay(100)
    tunnel.cut(how)
    tunnel.cut('cut')
    const end = await tunnel.done
    expect(end.how).toBe(how)
    let got = 0
    client.on('data', (chunk: Buffer) => (got += chunk.length))
    await new Promise((resolve) => client.once('close', resolve))
    expect(got).toBeLessThanOrEqual(end.bytesDown)
    expect(got).toBeLessThan(64 * 65_536)
    await expect.poll(() => origin.destroyed).toBe(true)
  })

  it('holds the sender back while the receiver does not read', async () => {
    const { client, origin, tunnel } = await joined()
    const chunk = Buffer.alloc(65_536)
    let sent = 0
    const write = (): void => {
      while (sent < 64 * 1024 * 1024) {
        sent += chunk.length
        if (!origin.write(chunk)) return
      }
    }
    origin.on('drain', write)
    write()
    await delay(300)
    const before = sent
    await delay(150)
    expect(sent).toBe(before)
    expect(sent).toBeLessThan(48 * 1024 * 1024)
    tunnel.cut('cut')
    client.destroy()
  })
})
