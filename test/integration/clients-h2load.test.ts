import { execFile } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { RawClient } from '../support/raw-client.ts'
import { until } from '../support/real-clients.ts'
import { needs } from '../support/tools.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'

const run = promisify(execFile)

/** For a client that knows no proxies: each connection becomes a tunnel. */
async function tunnels(world: World, session: WorldSession, authority: string): Promise<net.Server> {
  const server = net.createServer({ pauseOnConnect: true }, (client) => {
    void (async () => {
      const outer = await RawClient.connect(world.ports.proxy)
      await outer.send(`CONNECT ${authority} HTTP/1.1\r\nProxy-Authorization: ${session.authorization}\r\n\r\n`)
      await outer.response({ bodiless: true })
      outer.socket.removeAllListeners('data')
      client.on('error', () => outer.socket.destroy())
      client.pipe(outer.socket).pipe(client)
    })()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

it('h2load asks much at once on few connections, and is answered each time', async (context) => {
  await needs(context, 'h2load')
  await using world = await createWorld({
    dns: { 'api.test': { a: ['127.0.0.1'] } },
    rules: ({ https }) => [
      { host: 'api.test', ports: [https], addresses: ['127.0.0.0/8'], methods: ['GET'], paths: ['/ok'] },
    ],
    // A hundred handshakes at once, both ends of them here.
    limits: { handshakeTimeoutMs: 10_000 },
  })
  const body = 'x'.repeat(1024)
  world.https.answer = (_request, socket) =>
    void socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  const session = await world.newSession()
  const authority = `api.test:${world.ports.https}`
  const server = await tunnels(world, session, authority)
  const { port } = server.address() as net.AddressInfo
  const load = async (path: string): Promise<string> => {
    const to = `--connect-to=127.0.0.1:${port}`
    const { stdout } = await run('h2load', ['-n', '2000', '-c', '2', '-m', '50', to, `https://${authority}${path}`])
    return stdout
  }
  const allowed = await load('/ok')
  expect(allowed).toContain('Application protocol: h2')
  expect(allowed).toContain('status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx')
  expect(allowed).toContain('2000 succeeded, 0 failed, 0 errored, 0 timeout')
  await until(() => world.records.length >= 2000, 'a record of each')
  expect(world.records.every(({ outcome, status }) => outcome === 'allow' && status === 200)).toBe(true)
  server.close()
})
