import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { frame, hpack } from '../support/h2-client.ts'
import { RawClient } from '../support/raw-client.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'

const warnings: string[] = []
const onWarning = (warning: Error): void => void warnings.push(warning.message)
let world: World
let session: WorldSession

beforeAll(async () => {
  process.on('warning', onWarning)
  world = await createWorld({
    // No deadline is what this is about, and the machine may be busy.
    limits: { firstBytesTimeoutMs: 15_000, handshakeTimeoutMs: 15_000, headTimeoutMs: 15_000 },
    rules: ({ http, https }) => [
      { host: 'good.test', ports: [http, https], addresses: ['127.0.0.0/8'], tls: 'intercept' },
      { host: 'tunnel.test', ports: [https], addresses: ['127.0.0.0/8'] },
    ],
    dns: { 'good.test': { a: ['127.0.0.1'] }, 'tunnel.test': { a: ['127.0.0.1'] } },
  })
})
afterAll(async () => {
  process.removeListener('warning', onWarning)
  await world[Symbol.asyncDispose]()
})
beforeEach(async () => {
  session = await world.newSession()
})
afterEach(() => expect(warnings).toEqual([]))

type Path = 'HTTP/2' | 'absolute' | 'intercepted' | 'plain in CONNECT' | 'refused' | 'tunnel'

const body = 'b'.repeat(20_000)
const request = (target: string, host: string): string =>
  `POST ${target} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\n\r\n${body}`

/** Everything that a client of this path says, one text for each thing it waits for in between. */
async function converse(client: RawClient, path: Path): Promise<void> {
  const { ports } = world
  const proof = `Proxy-Authorization: ${session.authorization}\r\n`
  const name = path === 'refused' ? 'evil.test' : path === 'tunnel' ? 'tunnel.test' : 'good.test'
  const authority = `${name}:${path === 'absolute' || path === 'plain in CONNECT' ? ports.http : ports.https}`
  if (path === 'absolute') {
    await client.send(request(`http://${authority}/`, authority).replace('\r\n\r\n', `\r\n${proof}\r\n`))
    await client.response()
    return
  }
  await client.send(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${proof}\r\n`)
  const opened = await client.response({ bodiless: path !== 'refused' })
  if (typeof opened === 'string' || opened.status !== 200) return
  const ca = path === 'tunnel' ? world.originCa.certificate : world.caCertificate
  const inside =
    path === 'plain in CONNECT'
      ? client
      : await client.startTls({ servername: name, ca, ...(path === 'HTTP/2' ? { ALPNProtocols: ['h2'] } : {}) })
  if (path === 'HTTP/2') {
    const head = hpack([
      [':method', 'POST'],
      [':scheme', 'https'],
      [':authority', authority],
      [':path', '/'],
    ])
    await inside.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', frame('settings', 0, 0, Buffer.alloc(0)))
    await inside.send(frame('headers', 4, 1, head), frame('data', 1, 1, Buffer.alloc(10_000)))
    while (!inside.unread.includes('ok\n') && inside.end === null) await delay(1)
    return
  }
  await inside.send(request('/', authority))
  await inside.response()
}

/** Connections of any kind; listening sockets are none. */
function openSockets(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length
}

describe.each<Path>(['absolute', 'HTTP/2', 'intercepted', 'plain in CONNECT', 'refused', 'tunnel'])('%s', (path) => {
  it('a client that resets at any moment leaves nothing behind, and nothing is recorded twice', async () => {
    // A first one whole, for what stays open: connections to origins that are kept.
    const warm = await RawClient.connect(world.ports.proxy)
    await converse(warm, path)
    warm.destroy()
    await delay(20)
    const recordsBefore = world.records.length
    for (let attempt = 0; attempt < 30; attempt++) {
      const client = await RawClient.connect(world.ports.proxy)
      const talking = converse(client, path).catch(() => undefined)
      // A few turns of the loop more each time: between any two steps of the walk once.
      for (let turn = 0; turn < attempt; turn++) await new Promise((resolve) => setImmediate(resolve))
      client.reset()
      // A handshake over a connection that is gone already may never end.
      await Promise.race([talking, delay(50)])
    }
    await expect
      .poll(() => world.gateway.sessions.book.get(session.id)?.open.size, { timeout: 5000 })
      .toBeLessThanOrEqual(1)
    await session.revoke()
    await expect.poll(openSockets, { timeout: 5000 }).toBe(0)
    const records = world.records.slice(recordsBefore)
    expect(new Set(records.map(({ decisionId }) => decisionId)).size, 'one record each').toBe(records.length)
    expect(records.filter(({ outcome }) => outcome === 'fault')).toEqual([])
    expect((await world.gateway.telemetry.metricsText()).text).toContain('sallyport_tunnels_open 0')
  })
})

describe('an origin that fails', () => {
  it.each([
    ['at once', ''],
    ['within its head', 'HTTP/1.1 200 OK\r\nContent-'],
    ['within its body', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'],
    ['within a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nabc'],
    ['with what is no HTTP', '220 smtp.test ready\r\n\r\n'],
    ['with two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    ['with a length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    [
      'with a head that never ends',
      `HTTP/1.1 200 OK\r\n${'X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n'.repeat(4000)}`,
    ],
    ['with a status that is none', 'HTTP/1.1 99 Odd\r\n\r\n'],
    ['with 1xx without end', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(100)],
  ])('%s is never a whole answer, and the proxy goes on', async (_name, answer) => {
    world.http.answer = (_request, socket) => {
      socket.write(answer, () => socket.resetAndDestroy())
    }
    const authority = `good.test:${world.ports.http}`
    const client = await RawClient.connect(world.ports.proxy)
    await client.send(
      `POST http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\nProxy-Authorization: ${session.authorization}\r\nContent-Length: 0\r\n\r\n`,
    )
    const heard = await client.response()
    if (typeof heard !== 'string') expect([heard.status === 502, heard.complete]).not.toEqual([false, true])
    client.destroy()
    await expect.poll(() => world.records.at(-1)).toMatchObject({ session: session.id, outcome: 'failed' })
  })
})
