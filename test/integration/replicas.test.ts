import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fieldOf } from '../support/raw-client.ts'
import { type Held, hold, reach, type Through } from '../support/held-streams.ts'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import { createSandbox, type RealGateway, type Sandbox, until } from '../support/real-clients.ts'
import { type CutLink, type Redis, startLink, startRedis } from '../support/redis.ts'
import { replicasOf, type StartReplica } from '../support/replicas.ts'

let site: Site
let redis: Redis
let link: CutLink
let startReplica: StartReplica
let a: RealGateway
/** Reaches Redis by a link that can be cut. */
let b: RealGateway

beforeAll(async () => {
  site = await startSite()
  redis = await startRedis()
  link = await startLink(redis.url)
  const rule = { addresses: ['127.0.0.0/8'], ports: [site.httpPort, site.httpsPort] }
  startReplica = await replicasOf({
    hosts: ['look.test', 'tunnel.test'],
    originCa: site.ca.certificate,
    policies: {
      live: [
        { host: 'look.test', methods: ['GET', 'PUT'], ...rule },
        { host: 'tunnel.test', ...rule },
      ],
      narrow: [{ host: 'look.test', methods: ['GET', 'PUT'], ...rule }],
    },
  })
  ;[a, b] = await Promise.all([startReplica(redis.url), startReplica(link.url)])
})
afterAll(async () => {
  await Promise.all([a, b].map((one) => one?.[Symbol.asyncDispose]()))
  await link?.[Symbol.asyncDispose]()
  await redis?.[Symbol.asyncDispose]()
  await site?.[Symbol.asyncDispose]()
})

const streams: readonly { readonly through: Through; readonly host: string }[] = [
  { through: 'tunnel', host: 'tunnel.test' },
  { through: 'interception', host: 'look.test' },
  { through: 'plain', host: 'look.test' },
]

const revoke = (world: RealGateway, { id }: Sandbox): Promise<Response> => world.control('DELETE', `/v1/sessions/${id}`)

/** What a replica answers to a request of the session. */
async function ask(world: RealGateway, sandbox: Sandbox, host = 'look.test'): Promise<number | string> {
  const { client, head } = await reach(world, site, sandbox, host, 'plain')
  await client.send(head('/hello'))
  const answer = await client.response()
  client.destroy()
  return typeof answer === 'string' ? answer : answer.status
}

const storeUp = (world: RealGateway): Promise<number> => world.metric('sallyport_store_up')
const readiness = async (world: RealGateway): Promise<unknown> => (await world.control('GET', '/readyz')).json()

/** Until every replica hears Redis again. */
const whole = (): Promise<void> =>
  until(async () => (await storeUp(a)) === 1 && (await storeUp(b)) === 1, 'both replicas at the store', 15_000)

describe('any replica serves any session', () => {
  it('at once: who is answered by one may go to the other', async () => {
    for (let i = 0; i < 10; i++) expect(await ask(b, await a.sandbox('live'))).toBe(200)
  })

  it('with the same CA, so that what a client trusts of one holds for the other', async () => {
    const sandbox = await a.sandbox('live')
    const stream = await hold(b, site, sandbox, 'look.test', 'interception')
    stream.destroy()
  })

  it('one that starts later knows those from before', async () => {
    const sandbox = await b.sandbox('live')
    await using c = await startReplica(redis.url)
    expect(await ask(c, sandbox)).toBe(200)
  })

  it('a new token of one is good at the other, and the old one is not', async () => {
    const sandbox = await a.sandbox('live')
    const { token } = (await (await a.control('POST', `/v1/sessions/${sandbox.id}/token`)).json()) as { token: string }
    const renewed = await createSandbox({ ...sandbox, token }, a.directory)
    expect([await ask(b, renewed), await ask(b, sandbox)]).toEqual([200, 407])
  })

  it('a create that is repeated at the other makes no second session', async () => {
    const body = JSON.stringify({ policy: 'live' })
    const create = async (world: RealGateway): Promise<string> => {
      const headers = { 'idempotency-key': 'one', 'content-type': 'application/json' }
      const response = await fetch(`http://${world.gateway.control}/v1/sessions`, {
        method: 'POST',
        headers: { ...headers, authorization: world.adminToken },
        body,
      })
      const { id } = (await response.json()) as { id?: string }
      return id ?? `${response.status}`
    }
    const ids = await Promise.all([a, b, a, b].map(create))
    const made = new Set(ids.filter((id) => id.startsWith('s-')))
    expect(made.size).toBe(1)
  })
})

describe('what one replica does, the other does within a second', () => {
  it.for(streams)('a revocation cuts a stream through $through there: after the 204 nothing comes', async (stream) => {
    const [doomed, other] = [await a.sandbox('live'), await a.sandbox('live')]
    const held = await hold(b, site, doomed, stream.host, stream.through)
    const untouched = await hold(b, site, other, stream.host, stream.through)
    const began = performance.now()
    expect((await revoke(a, doomed)).status).toBe(204)
    const before = held.bytes()
    await held.ended(1000)
    expect(performance.now() - began).toBeLessThan(1000)
    await delay(100)
    expect(held.bytes()).toBe(before)
    await untouched.flowing()
    untouched.destroy()
    expect(await ask(b, doomed)).toBe(407)
  })

  it('a narrower policy cuts what it does not allow, and nothing else', async () => {
    const sandbox = await a.sandbox('live')
    const [tunnel, look] = [
      await hold(b, site, sandbox, 'tunnel.test', 'tunnel'),
      await hold(b, site, sandbox, 'look.test', 'interception'),
    ]
    expect((await a.control('PATCH', `/v1/sessions/${sandbox.id}`, { policy: 'narrow' })).status).toBe(200)
    await tunnel.ended(1000)
    await look.flowing()
    look.destroy()
    await until(async () => (await ask(b, sandbox, 'tunnel.test')) === 403, 'the refusal')
  })

  it('of two changes at once one is taken, and both replicas end with it', async () => {
    const sandbox = await a.sandbox('live')
    const path = `/v1/sessions/${sandbox.id}`
    await Promise.all([a, b].map((world, i) => world.control('PATCH', path, { ttlSeconds: 1000 + i })))
    const expiry = async (world: RealGateway): Promise<unknown> =>
      ((await (await world.control('GET', path)).json()) as { expiresAt: string }).expiresAt
    await until(async () => (await expiry(a)) === (await expiry(b)), 'one opinion')
  })
})

describe('budgets', () => {
  it('are spent at both: what one let through the other does not let through again, nor one that starts later', async () => {
    const sandbox = await a.sandbox('live', { limits: { uploadBytes: '20MiB' } })
    const put = async (world: RealGateway, bytes: number): Promise<number | string> => {
      const { client } = await reach(world, site, sandbox, 'look.test', 'plain')
      const authority = `look.test:${site.httpPort}`
      const proof = `Proxy-Authorization: ${sandbox.authorization}`
      await client.send(
        `PUT http://${authority}/upload HTTP/1.1\r\nHost: ${authority}\r\n${proof}\r\nContent-Length: ${bytes}\r\n\r\n`,
      )
      // At the pace of a network: this process is client, replicas and origin in one.
      for (let sent = 0; sent < bytes && client.end === null; sent += 1_000_000) {
        await client.send('x'.repeat(1_000_000))
        await delay(20)
      }
      const answer = await client.response()
      client.destroy()
      return typeof answer === 'string' ? answer : `${answer.status} ${fieldOf(answer, 'x-egress-reason') ?? ''}`.trim()
    }
    expect(await put(a, 12_000_000)).toMatch(/^(200|404)$/)
    // The lease that was not spent is given back.
    await delay(1500)
    expect(await put(b, 16_000_000)).toBe('403 upload_limit')
    await using c = await startReplica(redis.url)
    expect(await put(c, 16_000_000)).toBe('403 upload_limit')
  })
})

describe('without Redis', () => {
  it('killed: known sessions go on, new ones are refused, and what was acknowledged is there afterwards', async () => {
    const sandbox = await a.sandbox('live')
    const held: Held[] = []
    for (const { through, host } of streams) held.push(await hold(b, site, sandbox, host, through))
    await redis.kill()
    expect((await a.control('POST', '/v1/sessions', { policy: 'live' })).status).toBe(503)
    await until(async () => (await storeUp(a)) === 0, 'the metric')
    expect(await ask(a, sandbox)).toBe(200)
    for (const one of held) await one.flowing()
    // Whom nobody knows here could have been made elsewhere.
    expect(
      await ask(a, { ...sandbox, authorization: `Basic ${Buffer.from('s-aaaaaaaaaaaa:x').toString('base64')}` }),
    ).toBe(503)
    await redis.restart()
    await whole()
    for (const one of held) await one.flowing()
    for (const one of held) one.destroy()
    expect(await ask(b, await a.sandbox('live'))).toBe(200)
  })

  it('a revocation cuts at once where it was asked for, and is kept for when Redis is there again', async () => {
    const sandbox = await a.sandbox('live')
    await redis.kill()
    expect((await revoke(a, sandbox)).status).toBe(503)
    expect(await ask(a, sandbox)).not.toBe(200)
    await redis.restart()
    await whole()
    await until(async () => (await ask(b, sandbox)) === 407, 'the end of the session at the other replica')
    expect(await ask(a, sandbox)).toBe(407)
  })

  it('paused for longer than the grace: nothing goes on, readyz says so; resumed, everything does', async () => {
    const sandbox = await a.sandbox('live')
    const held = await hold(b, site, sandbox, 'tunnel.test', 'tunnel')
    redis.pause()
    await held.ended(10_000)
    await until(async () => (await ask(a, sandbox)) === 503, 'the refusal', 10_000)
    expect(await readiness(a)).toEqual({ status: 'not_ready', problems: ['store_lost'] })
    redis.resume()
    await whole()
    expect(await ask(a, sandbox)).toBe(200)
    expect(await readiness(b)).toEqual({ status: 'ready', problems: [] })
  })

  it('one replica cut off: a DELETE names it, and it lets nothing through any more after the grace', async () => {
    const sandbox = await a.sandbox('live')
    const held = await hold(b, site, sandbox, 'tunnel.test', 'tunnel')
    link.cut()
    const answer = await revoke(a, sandbox)
    expect(answer.status).toBe(202)
    expect(((await answer.json()) as { laggards: string[] }).laggards).toHaveLength(1)
    await held.ended(10_000)
    expect(await ask(b, sandbox)).not.toBe(200)
    link.heal()
    await whole()
    expect(await ask(b, sandbox)).toBe(407)
  })
})
