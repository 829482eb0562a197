/** The clients of nghttp2: nghttp, which shows every frame, and h2load. */

import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type H2Origin, startH2Origin } from '../support/h2-origin.ts'
import { RawClient } from '../support/raw-client.ts'
import { until } from '../support/real-clients.ts'
import { needs } from '../support/tools.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'

const run = promisify(execFile)
/** A hundred handshakes at once, both ends of them here, take their time on a busy machine. */
const patient = {
  connectAttemptMs: 15_000,
  connectTimeoutMs: 15_000,
  dnsTimeoutMs: 15_000,
  exchangeIdleMs: 15_000,
  handshakeTimeoutMs: 15_000,
  originHeadTimeoutMs: 15_000,
}

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
    limits: patient,
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
}, 60_000)

describe('nghttp', () => {
  const secret = 'sk-live-0123456789abcdef0123456789abcdef'
  let world: World
  let modern: H2Origin
  let session: WorldSession
  let directory: string
  let since: number
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sallyport-nghttp-'))
    await writeFile(join(directory, 'body'), 'sallyport '.repeat(50_000))
    modern = await startH2Origin({ allowHTTP1: false })
    world = await createWorld({
      dns: { 'api.test': { a: ['127.0.0.1'] } },
      credentials: [{ name: 'key', kind: 'bearer', hosts: ['api.test'], secret: { env: 'KEY' } }],
      secrets: { KEY: secret },
      limits: patient,
      rules: ({ https }) => [
        {
          host: 'api.test',
          ports: [https, modern.port],
          addresses: ['127.0.0.0/8'],
          methods: ['GET', 'POST'],
          paths: ['/ok/**'],
          credential: 'key',
        },
      ],
    })
    modern.ca = world.originCa
    modern.handler = (request, response) => {
      let bytes = 0
      request.on('data', (piece: Buffer) => (bytes += piece.length))
      request.on('end', () => {
        response.addTrailers({ 'x-behind': 'told' })
        response.end(`${request.headers.authorization} sent ${bytes}\n`)
      })
    }
    world.https.answer = (request, socket) => {
      const text = `Bearer ${secret} sent ${request.body.length}\n`
      const chunk = `${text.length.toString(16)}\r\n${text}\r\n`
      socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}0\r\nX-Behind: told\r\n\r\n`)
    }
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
    await modern?.[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })
  beforeEach(async (context) => {
    await needs(context, 'nghttp')
    session = await world.newSession()
    since = world.records.length
  })

  const recorded = () => world.records.slice(since)

  async function ask(origin: number, path: string, ...more: string[]): Promise<string> {
    const authority = `api.test:${origin}`
    const server = await tunnels(world, session, authority)
    const { port } = server.address() as net.AddressInfo
    const args = ['-v', '--no-verify-peer', '-H', `:authority: ${authority}`, ...more]
    const { stdout } = await run('nghttp', [...args, `https://127.0.0.1:${port}${path}`], { timeout: 15_000 })
    server.close()
    // Colours, and times.
    // eslint-disable-next-line no-control-regex
    return stdout.replace(/\x1b\[[0-9;]*m/g, '').replace(/^\[ *[0-9.]+\] /gm, '')
  }

  describe.each([
    ['HTTP/1.1', () => world.ports.https],
    ['HTTP/2', () => modern.port],
  ] as const)('and an origin of %s', (_name, of) => {
    it('asks, is answered with all there is, and sees nothing of the secret', async () => {
      const said = await ask(of(), '/ok/1')
      expect(said).toMatch(/recv \(stream_id=\d+\) :status: 200/)
      expect(said).toContain(`Bearer ${'*'.repeat(secret.length)} sent 0\n`)
      expect(said).toMatch(/recv \(stream_id=\d+\) x-behind: told/)
      expect(said).not.toContain(secret)
      await until(() => recorded().length === 1, 'its record')
      expect(recorded()).toMatchObject([{ outcome: 'allow', status: 200, path: '/ok/1', redactions: 1 }])
    })

    it('sends a body once it may, and many at once', async () => {
      const body = ['-d', join(directory, 'body'), '--expect-continue']
      const said = await ask(of(), '/ok/up', ...body)
      expect(said).toMatch(/recv \(stream_id=\d+\) :status: 100/)
      expect(said).toContain('sent 500000\n')
      const many = await ask(of(), '/ok/up', '-d', join(directory, 'body'), '-m', '10', '--no-content-length')
      expect(many.match(/sent 500000\n/g)?.length).toBe(10)
      await until(() => recorded().length === 11, 'their records')
    })

    it('is told why it may not', async () => {
      const said = await ask(of(), '/secret')
      expect(said).toMatch(/:status: 403/)
      expect(said).toMatch(/x-egress-reason: path_not_allowed/)
      expect(recorded()).toMatchObject([{ outcome: 'deny', reason: 'path_not_allowed', status: 403 }])
    })
  })
})
