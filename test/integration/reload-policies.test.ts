import { rename, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Held, hold, reach } from '../support/held-streams.ts'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import type { RawResponse } from '../support/raw-client.ts'
import { type RealGateway, type Sandbox, startRealGateway, until } from '../support/real-clients.ts'

type Rules = readonly object[]

let site: Site
let world: RealGateway
let allow: (host: string, more?: object) => object
const held: Held[] = []
beforeAll(async () => {
  site = await startSite()
  allow = (host, more = {}) => ({
    host,
    addresses: ['127.0.0.0/8'],
    ports: [site.httpPort, site.httpsPort],
    ...more,
  })
  world = await startRealGateway({
    hosts: ['a.test', 'b.test', 'c.test'],
    originCa: site.ca.certificate,
    policies: { live: [], other: [allow('b.test')] },
  })
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
  await site?.[Symbol.asyncDispose]()
})
beforeEach(() => inForce([allow('a.test'), allow('b.test'), allow('c.test', { methods: ['GET'] })]))
afterEach(() => {
  for (const one of held.splice(0)) one.destroy()
})

/** Puts these rules in place and waits until sessions are judged by them. */
async function inForce(rules: Rules): Promise<void> {
  await world.writePolicy('live', rules)
  expect(await world.gateway.reload()).toEqual([])
}

const rulesInForce = (): number | undefined => world.gateway.policies.get('live')?.rules.length
const reloads = (result: string): Promise<number> => world.metric('sallyport_policy_reloads_total', { result })
const file = (): string => join(world.directory, 'policies', 'live.yaml')
const take = async (sandbox: Sandbox, host: string, through: Parameters<typeof hold>[4]): Promise<Held> => {
  const one = await hold(world, site, sandbox, host, through)
  held.push(one)
  return one
}
const statusOf = async (sandbox: Sandbox, host: string): Promise<number> => {
  const { outer, client, head } = await reach(world, site, sandbox, host, 'plain')
  await client.send(head('/hello'))
  const heard = (await client.response()) as RawResponse
  outer.destroy()
  return heard.status
}

describe('a changed policy file', () => {
  it('is noticed, and the next request is judged by it', async () => {
    const sandbox = await world.sandbox('live')
    await inForce([])
    const { result, records } = await world.watch(1, () => statusOf(sandbox, 'a.test'))
    expect(result).toBe(403)
    await world.writePolicy('live', [allow('a.test')])
    await until(() => rulesInForce() === 1, 'the reload', 3000)
    const { result: after, records: later } = await world.watch(1, () => statusOf(sandbox, 'a.test'))
    expect(after).toBe(200)
    expect(later[0]?.policyVersion).toBeGreaterThan(records[0]?.policyVersion ?? Number.NaN)
  })

  it('cuts what it no longer allows within a second of being written, and nothing else', async () => {
    const sandbox = await world.sandbox('live')
    const doomed = [await take(sandbox, 'a.test', 'tunnel'), await take(sandbox, 'a.test', 'plain')]
    const kept = [
      await take(sandbox, 'b.test', 'tunnel'),
      await take(sandbox, 'b.test', 'plain'),
      await take(sandbox, 'c.test', 'interception'),
    ]
    const rules = [allow('b.test'), allow('c.test', { methods: ['GET'] })]
    const { result: took, records } = await world.watch(2, async () => {
      await world.writePolicy('live', rules)
      return Promise.all(doomed.map((one) => one.ended(3000)))
    })
    expect(records.map(({ outcome, detail }) => `${outcome}: ${detail}`)).toEqual([
      'interrupted: the policy no longer allows it',
      'interrupted: the policy no longer allows it',
    ])
    expect(Math.max(...took)).toBeLessThan(1000)
    expect(doomed.map((one) => one.end())).toEqual(['reset', 'reset'])
    for (const one of kept) await one.flowing()
    expect(kept.map((one) => one.end())).toEqual([null, null, null])
  })

  it('cuts a tunnel to a host that is to be looked into from now on', async () => {
    const sandbox = await world.sandbox('live')
    const tunnel = await take(sandbox, 'a.test', 'tunnel')
    await inForce([allow('a.test', { methods: ['GET'] })])
    expect(await tunnel.ended()).toBeLessThan(1000)
  })

  it('cuts an intercepted answer whose path it no longer allows, and leaves the one it does', async () => {
    const sandbox = await world.sandbox('live')
    await inForce([allow('c.test', { paths: ['/drip', '/hello'] }), allow('b.test', { paths: ['/drip'] })])
    const doomed = await take(sandbox, 'c.test', 'interception')
    const kept = await take(sandbox, 'b.test', 'interception')
    await inForce([allow('c.test', { paths: ['/hello'] }), allow('b.test', { paths: ['/drip'] })])
    expect(await doomed.ended()).toBeLessThan(1000)
    await kept.flowing()
  })

  it('judges the next request of a connection that is kept open', async () => {
    const sandbox = await world.sandbox('live')
    const { outer, client, head } = await reach(world, site, sandbox, 'c.test', 'interception')
    await client.send(head('/hello'))
    expect(await client.response()).toMatchObject({ status: 200 })
    await inForce([allow('c.test', { paths: ['/other'] })])
    await client.send(head('/hello'))
    expect(await client.response()).toMatchObject({ status: 403 })
    outer.destroy()
  })

  it('that is wrong changes nothing, is counted and logged, and is taken once it is right', async () => {
    const sandbox = await world.sandbox('live')
    const tunnel = await take(sandbox, 'a.test', 'tunnel')
    const failed = await reloads('failed')
    await writeFile(file(), '{"version":1,"name":"live","rules":[{"host":"*.com"}]}')
    await until(async () => (await reloads('failed')) > failed, 'the failed reload', 3000)
    expect(await statusOf(sandbox, 'a.test')).toBe(200)
    await tunnel.flowing()
    expect(world.logged.some((line) => line.includes('stay in force') && line.includes('*.com'))).toBe(true)
    await world.writePolicy('live', [allow('b.test')])
    await until(() => rulesInForce() === 1, 'the reload', 3000)
    expect(await tunnel.ended()).toBeLessThan(1000)
    expect(await statusOf(sandbox, 'a.test')).toBe(403)
  })

  it('that is deleted while sessions use it changes nothing either', async () => {
    const sandbox = await world.sandbox('live')
    const failed = await reloads('failed')
    await rename(file(), `${file()}.gone`)
    await until(async () => (await reloads('failed')) > failed, 'the failed reload', 3000)
    expect(await statusOf(sandbox, 'a.test')).toBe(200)
    await unlink(`${file()}.gone`)
  })
})

describe('PATCH of a session', () => {
  it('is in force when it is answered: the next request, and what is open', async () => {
    const sandbox = await world.sandbox('live')
    const [doomed, kept] = [await take(sandbox, 'a.test', 'tunnel'), await take(sandbox, 'b.test', 'tunnel')]
    const response = await world.control('PATCH', `/v1/sessions/${sandbox.id}`, { policy: 'other' })
    const before = doomed.bytes()
    expect(response.status).toBe(200)
    expect(await statusOf(sandbox, 'a.test')).toBe(403)
    expect(await statusOf(sandbox, 'b.test')).toBe(200)
    expect(await doomed.ended(100)).toBeLessThan(100)
    expect(doomed.bytes()).toBe(before)
    await kept.flowing()
  })
})

describe('a new token', () => {
  it('is the only one that proves the session, and cuts nothing', async () => {
    const sandbox = await world.sandbox('live')
    const tunnel = await take(sandbox, 'a.test', 'tunnel')
    const response = await world.control('POST', `/v1/sessions/${sandbox.id}/token`)
    expect(response.status).toBe(201)
    const { token } = (await response.json()) as { token: string }
    const authorization = `Basic ${Buffer.from(`${sandbox.id}:${token}`).toString('base64')}`
    const { result, records } = await world.watch(2, async () => [
      await statusOf(sandbox, 'a.test'),
      await statusOf({ ...sandbox, authorization }, 'a.test'),
    ])
    expect(result).toEqual([407, 200])
    expect(records).toMatchObject([
      { outcome: 'deny', reason: 'session_unknown', session: null },
      { outcome: 'allow', session: sandbox.id },
    ])
    await tunnel.flowing()
  })
})
