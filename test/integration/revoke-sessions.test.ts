import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Held, hold, reach, type Through } from '../support/held-streams.ts'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import { type RealGateway, type Sandbox, searchPath, startRealGateway, until } from '../support/real-clients.ts'
import { needs } from '../support/tools.ts'

let site: Site
let world: RealGateway
beforeAll(async () => {
  site = await startSite()
  const rule = { addresses: ['127.0.0.0/8'], ports: [site.httpPort, site.httpsPort] }
  world = await startRealGateway({
    hosts: ['look.test', 'tunnel.test'],
    originCa: site.ca.certificate,
    policies: {
      live: [
        { host: 'look.test', methods: ['GET', 'PUT'], ...rule },
        { host: 'tunnel.test', ...rule },
      ],
    },
  })
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
  await site?.[Symbol.asyncDispose]()
})

const streams: readonly { readonly through: Through; readonly host: string }[] = [
  { through: 'tunnel', host: 'tunnel.test' },
  { through: 'interception', host: 'look.test' },
  { through: 'plain', host: 'look.test' },
]

const revoke = async (sandbox: Sandbox): Promise<void> => {
  const response = await world.control('DELETE', `/v1/sessions/${sandbox.id}`)
  expect(response.status).toBe(204)
}

it.for(streams)('cuts a stream through $through: after the 204 not one byte comes', async ({ through, host }) => {
  const [doomed, other] = [await world.sandbox('live'), await world.sandbox('live')]
  const stream = await hold(world, site, doomed, host, through)
  const untouched = await hold(world, site, other, host, through)
  const { records } = await world.watch(1, async () => {
    await revoke(doomed)
    const before = stream.bytes()
    expect(await stream.ended()).toBeLessThan(100)
    expect(stream.end()).toBe('reset')
    await delay(100)
    expect(stream.bytes()).toBe(before)
  })
  expect(records[0]).toMatchObject({
    session: doomed.id,
    host,
    outcome: 'interrupted',
    reason: null,
    detail: 'the session was revoked',
  })
  await untouched.flowing()
  untouched.destroy()
})

it.for(streams)('closes its connections to origins, those through $through too', async ({ through, host }) => {
  await until(() => site.sockets.size === 0, 'quiet')
  const sandbox = await world.sandbox('live')
  await hold(world, site, sandbox, host, through)
  expect(site.sockets.size).toBe(1)
  await revoke(sandbox)
  await until(() => site.sockets.size === 0, 'the end of connections to the origin', 1000)
})

it.for(['plain', 'interception'] as const)('cuts a connection that waits for its next request, %s', async (through) => {
  const sandbox = await world.sandbox('live')
  const { client, head } = await reach(world, site, sandbox, 'look.test', through)
  await client.send(head('/hello'))
  expect(await client.response()).toMatchObject({ status: 200 })
  await revoke(sandbox)
  expect(await client.closed(500)).toBe(true)
  expect(client.end).toBe('reset')
})

it('cuts a tunnel that was opened and in which nothing was said yet', async () => {
  const sandbox = await world.sandbox('live')
  const { outer } = await reach(world, site, sandbox, 'tunnel.test', 'tunnel')
  await revoke(sandbox)
  expect(await outer.closed(500)).toBe(true)
})

it('cuts an upload half-way, and the origin never sees a whole one', async () => {
  const sandbox = await world.sandbox('live')
  const { client } = await reach(world, site, sandbox, 'look.test', 'interception')
  const authority = `look.test:${site.httpsPort}`
  await client.send(`PUT /upload HTTP/1.1\r\nHost: ${authority}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`)
  await until(() => site.requests.some(({ method }) => method === 'PUT'), 'the upload at the origin')
  await revoke(sandbox)
  await client.send('0\r\n\r\n')
  expect(await client.response({ timeoutMs: 500 })).toBe('reset')
})

it('ends a curl that downloads, with an error', async (context) => {
  await needs(context, 'curl')
  const sandbox = await world.sandbox('live')
  const env = { PATH: searchPath, HOME: sandbox.directory, ...sandbox.env }
  const curl = spawn('curl', ['-sSN', `https://look.test:${site.httpsPort}/drip`], { env })
  curl.stderr.resume()
  await once(curl.stdout, 'data')
  const began = performance.now()
  const gone = once(curl, 'close')
  curl.stdout.resume()
  await revoke(sandbox)
  const [code] = (await gone) as [number | null]
  expect(performance.now() - began).toBeLessThan(1000)
  expect(code).toBeGreaterThan(0)
})

it('answers 404 to a second DELETE, and 407 to the token from then on', async () => {
  const sandbox = await world.sandbox('live')
  await revoke(sandbox)
  expect((await world.control('DELETE', `/v1/sessions/${sandbox.id}`)).status).toBe(404)
  const { client, head } = await reach(world, site, sandbox, 'look.test', 'plain')
  await client.send(head('/hello'))
  expect(await client.response()).toMatchObject({ status: 407 })
  client.destroy()
})

it('cuts what is open when a session expires', async () => {
  const sandbox = await world.sandbox('live', { ttlSeconds: 1 })
  const held: Held[] = []
  for (const { through, host } of streams) held.push(await hold(world, site, sandbox, host, through))
  const { records } = await world.watch(3, async () => {
    for (const one of held) await one.ended(4000)
  })
  expect(held.map((one) => one.end())).toEqual(['reset', 'reset', 'reset'])
  expect(records.map(({ outcome, detail }) => `${outcome}: ${detail}`)).toEqual(
    Array.from({ length: 3 }, () => 'interrupted: the session expired'),
  )
})
