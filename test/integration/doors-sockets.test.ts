import { once } from 'node:events'
import { rename, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import { RawClient } from '../support/raw-client.ts'
import { createSandbox, type RealGateway, type Sandbox, startRealGateway } from '../support/real-clients.ts'
import { needs } from '../support/tools.ts'

/** A path of a socket has 107 bytes at most. */
const socket = join(tmpdir(), `sallyport-door-${process.pid}.sock`)

let site: Site
let world: RealGateway
beforeAll(async () => {
  site = await startSite()
  const addresses = ['127.0.0.0/8']
  const ports = [site.httpPort, site.httpsPort]
  world = await startRealGateway({
    hosts: ['one.test', 'two.test'],
    originCa: site.ca.certificate,
    listeners: [
      { address: '127.0.0.1:0', session: null },
      { address: '127.0.0.1:0', session: 'one' },
      { address: `unix:${socket}`, session: 'two' },
    ],
    statics: [
      { id: 'one', policy: 'one' },
      { id: 'two', policy: 'two' },
    ],
    policies: {
      one: [{ host: 'one.test', addresses, ports, methods: ['GET'] }],
      two: [{ host: 'two.test', addresses, ports, methods: ['GET'] }],
    },
  })
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
  await site?.[Symbol.asyncDispose]()
  await rm(socket, { force: true })
})
beforeEach((context) => needs(context, 'curl'))

const secure = (host: string): string => `https://${host}:${site.httpsPort}/hello`
const plain = (host: string): string => `http://${host}:${site.httpPort}/hello`

/** A sandbox without any proof of its own. */
function bare(): Promise<Sandbox> {
  const env = { CURL_CA_BUNDLE: world.gateway.bundlePath }
  return createSandbox({ id: '', token: '', proxyUrl: '', caCertificate: '', env }, world.directory)
}

describe('a TCP listener with a session', () => {
  beforeEach((context) => needs(context, 'curl'))
  const via = (...args: readonly string[]): string[] => ['-sS', '-x', `http://${world.gateway.proxies[1]}`, ...args]

  it('is that session, without any proof', async () => {
    const sandbox = await bare()
    const { result, records } = await world.watch(3, async () => [
      await sandbox.run('curl', via(secure('one.test'))),
      await sandbox.run('curl', via(plain('one.test'))),
      await sandbox.run('curl', via(plain('two.test'))),
    ])
    expect(result[0]?.stdout).toBe(`hello from one.test:${site.httpsPort}\n`)
    expect(result[1]?.stdout).toBe(`hello from one.test:${site.httpPort}\n`)
    expect(result[2]?.stdout).toContain('"reason":"host_not_allowed"')
    expect(records.map(({ session, outcome }) => [session, outcome])).toEqual([
      ['one', 'allow'],
      ['one', 'allow'],
      ['one', 'deny'],
    ])
  })

  it('stays that session for a client with the token of another', async () => {
    const sandbox = await world.sandbox('two')
    const proof = ['--proxy-header', `Proxy-Authorization: ${sandbox.authorization}`]
    const { result, records } = await world.watch(1, () => sandbox.run('curl', via(...proof, plain('two.test'))))
    expect(result.stdout).toContain('"reason":"host_not_allowed"')
    expect(records[0]).toMatchObject({ session: 'one', outcome: 'deny' })
  })
})

describe('a Unix socket with a session', () => {
  it('takes absolute-form requests of curl', async (context) => {
    await needs(context, 'curl')
    const sandbox = await bare()
    const url = plain('two.test')
    const { result, records } = await world.watch(1, () =>
      sandbox.run('curl', ['-sS', '--unix-socket', socket, '--request-target', url, url]),
    )
    expect(result.stdout).toBe(`hello from two.test:${site.httpPort}\n`)
    expect(records[0]).toMatchObject({ session: 'two', outcome: 'allow', client: null, listener: `unix:${socket}` })
  })

  // curl speaks to a proxy on a Unix socket by SOCKS only.
  it('opens tunnels', async () => {
    const { records } = await world.watch(1, async () => {
      const raw = net.connect({ path: socket })
      await once(raw, 'connect')
      const client = new RawClient(raw)
      await client.send(`CONNECT two.test:${site.httpsPort} HTTP/1.1\r\n\r\n`)
      expect(await client.response({ bodiless: true })).toMatchObject({ status: 200 })
      const inside = await client.startTls({ servername: 'two.test', ca: world.gateway.ca.certificatePem })
      await inside.send(`GET /hello HTTP/1.1\r\nHost: two.test:${site.httpsPort}\r\n\r\n`)
      expect(await inside.response()).toMatchObject({ status: 200 })
      client.destroy()
    })
    expect(records[0]).toMatchObject({ session: 'two', outcome: 'allow', client: null })
  })

  it('is taken over from a gateway that was killed, and not from one that lives', async () => {
    const stale = `${socket}.stale`
    const dead = net.createServer()
    dead.listen(stale)
    await once(dead, 'listening')
    const options = {
      policies: { two: [] },
      hosts: [],
      originCa: site.ca.certificate,
      listeners: [{ address: `unix:${stale}`, session: 'two' }],
      statics: [{ id: 'two', policy: 'two' }],
    }
    await expect(startRealGateway(options)).rejects.toThrow('EADDRINUSE')
    // A killed process closes nothing properly: the file stays.
    await rename(stale, `${stale}.kept`)
    await new Promise((resolve) => dead.close(resolve))
    await rename(`${stale}.kept`, stale)
    await using other = await startRealGateway(options)
    expect(other.gateway.proxies).toEqual([`unix:${stale}`])
  })
})
