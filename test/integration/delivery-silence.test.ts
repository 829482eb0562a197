import type net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { RawClient } from '../support/raw-client.ts'
import { closeOf } from '../support/websocket-peer.ts'
import { everyWay, type Opened, WebSocketWorld } from '../support/websocket-world.ts'
import { createWorld, type World, type WorldOptions, type WorldSession } from '../support/world.ts'

/** The clock looks twice a second: a silence of four looks, and a limit of seven. */
const silenceMs = 2200
const exchangeIdleMs = 3500

const limits = { exchangeIdleMs, originHeadTimeoutMs: 20_000 }
const rules: WorldOptions['rules'] = ({ http, https }) => [
  { host: 'good.test', ports: [http, https], addresses: ['127.0.0.0/8'], tls: 'intercept' },
]

let world: World
let session: WorldSession
const through = ['plain', 'interception'] as const
type Through = (typeof through)[number]

beforeAll(async () => {
  world = await createWorld({ limits, rules, dns: { 'good.test': { a: ['127.0.0.1'] } } })
  session = await world.newSession()
})
afterAll(() => world[Symbol.asyncDispose]())

/** A GET that has been asked; the origin's side of it, to answer when the test wants to. */
async function ask(way: Through, path: string) {
  const { promise: origin, resolve } = Promise.withResolvers<net.Socket>()
  const before = world.http.answer
  const answer: typeof before = (request, socket, connection) =>
    request.target === path ? resolve(socket) : before(request, socket, connection)
  world.http.answer = answer
  world.https.answer = answer
  const outer = await RawClient.connect(world.ports.proxy)
  const proof = `Proxy-Authorization: ${session.authorization}\r\n`
  const name = `good.test:${way === 'plain' ? world.ports.http : world.ports.https}`
  let client = outer
  if (way === 'interception') {
    await outer.send(`CONNECT ${name} HTTP/1.1\r\n${proof}\r\n`)
    await outer.response({ bodiless: true })
    client = await outer.startTls({ servername: 'good.test', ca: world.caCertificate })
  }
  const target = way === 'plain' ? `http://${name}${path}` : path
  await client.send(`GET ${target} HTTP/1.1\r\nHost: ${name}\r\n${way === 'plain' ? proof : ''}\r\n`)
  return { client, origin: await origin }
}

const eventStreamHead = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n'

it.each(through)('an event stream has its head and each event at once, %s', async (way) => {
  const { client, origin } = await ask(way, `/events/${way}`)
  const heard = (): string => client.unread.toString('latin1')
  for (const piece of [eventStreamHead, 'data: 1\n\n', 'data: 2\n\n', ':\n\n']) {
    const began = performance.now()
    origin.write(piece)
    // The head of ours has other framing.
    const last = piece === eventStreamHead ? 'text/event-stream\r\n' : piece
    await expect.poll(heard, { interval: 2 }).toContain(last)
    expect(performance.now() - began).toBeLessThan(500)
  }
  origin.end()
  expect(await client.response()).toMatchObject({ status: 200, complete: true })
  client.destroy()
})

it('an event stream may be silent for a while, and is reset when it is for too long', async () => {
  const ended = through.map(async (way) => {
    const { client, origin } = await ask(way, `/silent/${way}`)
    origin.write(`${eventStreamHead}data: 1\n\n`)
    await delay(silenceMs)
    expect(client.end).toBeNull()
    origin.write('data: 2\n\n')
    await expect.poll(() => client.unread.toString()).toContain('data: 2')
    await delay(silenceMs)
    expect(client.end).toBeNull()
    expect(await client.closed(exchangeIdleMs + 2000)).toBe(true)
    expect(client.end).toBe('reset')
  })
  await Promise.all(ended)
  const said = (): unknown[] =>
    world.records.filter(({ path }) => path?.startsWith('/silent/')).map(({ outcome, detail }) => [outcome, detail])
  await expect.poll(said).toEqual(through.map(() => ['interrupted', 'no byte moved for too long']))
})

it('a long poll that is answered after a while has its answer', async () => {
  const answered = through.map(async (way) => {
    const { client, origin } = await ask(way, `/poll/${way}`)
    await delay(silenceMs)
    origin.write('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnow')
    const heard = await client.response()
    client.destroy()
    return heard
  })
  for (const heard of await Promise.all(answered)) expect(heard).toMatchObject({ status: 200, complete: true })
})

it('a WebSocket may be silent for a while, a ping is a word, and it is told why it ends', async () => {
  await using sockets = await WebSocketWorld.create({ limits, rules })
  const who = await sockets.world.newSession()
  const opened: Opened[] = []
  for (const way of everyWay) opened.push(await sockets.open(way, who))
  const ended = opened.map(async ({ client, origin }) => {
    await delay(silenceMs)
    client.send('ping')
    expect(await origin.next()).toMatchObject({ opcode: 'ping' })
    await delay(silenceMs)
    expect(client.end).toBe('open')
    expect(closeOf(await client.next(exchangeIdleMs + 2000))).toBe('1001 nothing was said for too long')
    expect(await client.next()).toBe('reset')
    await expect.poll(() => origin.end).not.toBe('open')
  })
  await Promise.all(ended)
  const said = (): string[] =>
    sockets.world.records.map(({ outcome, detail, status }) => `${status} ${outcome} ${detail}`).toSorted()
  await expect
    .poll(said)
    .toEqual([101, 101, 101, 200].map((status) => `${status} interrupted no byte moved for too long`))
})
