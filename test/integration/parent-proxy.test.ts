import { afterEach, describe, expect, it } from 'vitest'
import { parseCidr } from '../../src/net/ip.ts'
import { parseDomainPattern } from '../../src/policy/domain-pattern.ts'
import { parentConfig, type ParentStandIn, secretIn, startParent } from '../support/parent-stand-in.ts'
import { fieldOf, RawClient, type RawResponse } from '../support/raw-client.ts'
import { createTestCa } from '../support/test-ca.ts'
import { createWorld, type World, type WorldOptions } from '../support/world.ts'

const pins = ['127.0.0.0/8']
const far = '93.184.216.34'
const password = 'parent-password-0123'

let world: World
let parent: ParentStandIn
afterEach(async () => {
  await world[Symbol.asyncDispose]()
  await parent[Symbol.asyncDispose]()
})

type More = Parameters<typeof parentConfig>[1]

/** `far.test` is somewhere else, `near.test` is pinned to loopback; both in tunnels, and intercepted as `i-…`. */
async function start(more: More = {}, options: Partial<WorldOptions> = {}): Promise<void> {
  const originCa = createTestCa()
  parent = await startParent(more.scheme === 'https' ? originCa : null)
  world = await createWorld({
    originCa,
    rules: ({ http, https }) => [
      { host: 'far.test', ports: [https] },
      { host: 'plain.test', ports: [http] },
      { host: 'i-far.test', ports: [https], methods: ['GET', 'POST'], paths: ['/**'] },
      { host: 'near.test', ports: [https], addresses: pins },
      { host: 'parent.test', ports: [parent.port], addresses: pins },
      { host: '127.0.0.1', ports: [parent.port], addresses: pins },
    ],
    dns: {
      'far.test': { a: [far] },
      'i-far.test': { a: [far], aaaa: ['2606:2800:220:1:248:1893:25c8:1946'] },
      'plain.test': { a: [far] },
      'near.test': { a: ['127.0.0.1'] },
      'parent.test': { a: ['127.0.0.1'] },
    },
    parent: parentConfig(`parent.test:${parent.port}`, more),
    secrets: { PARENT_PASSWORD: password },
    ...options,
  })
}

async function connect(host: string, port = world.ports.https): Promise<{ client: RawClient; heard: RawResponse }> {
  const client = await RawClient.connect(world.ports.proxy)
  const { authorization } = await world.newSession()
  await client.send(`CONNECT ${host}:${port} HTTP/1.1\r\nProxy-Authorization: ${authorization}\r\n\r\n`)
  const heard = await client.response()
  return typeof heard === 'string' ? expect.fail(heard) : { client, heard }
}

/** One GET inside TLS: through a tunnel to the origin's own certificate, or through ours. */
async function get(host: string): Promise<RawResponse> {
  const { client } = await connect(host)
  const ca = host.startsWith('i-') ? world.caCertificate : world.originCa.certificate
  const secure = await client.startTls({ servername: host, ca })
  await secure.send(`GET / HTTP/1.1\r\nHost: ${host}:${world.ports.https}\r\n\r\n`)
  const heard = await secure.response()
  secure.destroy()
  return typeof heard === 'string' ? expect.fail(heard) : heard
}

async function getPlain(host: string): Promise<RawResponse> {
  const client = await RawClient.connect(world.ports.proxy)
  const { authorization } = await world.newSession()
  const target = `${host}:${world.ports.http}`
  await client.send(
    `GET http://${target}/ HTTP/1.1\r\nHost: ${target}\r\nProxy-Authorization: ${authorization}\r\n\r\n`,
  )
  const heard = await client.response()
  client.destroy()
  return typeof heard === 'string' ? expect.fail(heard) : heard
}

const asked = (): string[] => parent.heads.map((head) => head.split(' ', 2).join(' '))

describe('a parent proxy', () => {
  it.each(['http', 'https'] as const)('of %s lets tunnels, intercepted and plain requests through', async (scheme) => {
    await start({ scheme })
    for (const heard of [await get('far.test'), await get('i-far.test'), await getPlain('plain.test')])
      expect([heard.status, heard.body.toString()]).toEqual([200, 'ok\n'])
    const { http, https } = world.ports
    expect(asked()).toEqual([`CONNECT ${far}:${https}`, `CONNECT ${far}:${https}`, `CONNECT ${far}:${http}`])
    await expect
      .poll(() => world.records.map(({ address, outcome }) => `${outcome} ${address}`))
      .toEqual(Array(3).fill(`allow 127.0.0.1:${parent.port}`))
    expect(world.records[0]?.detail).toBe(`through the parent proxy, asked for ${far}:${https}`)
  })

  it('is asked for names where the operator says so, and for addresses where a rule pins them', async () => {
    await start({ connectBy: 'name' })
    for (const host of ['far.test', 'i-far.test', 'near.test']) expect((await get(host)).status).toBe(200)
    const { https } = world.ports
    expect(asked()).toEqual([`CONNECT far.test:${https}`, `CONNECT i-far.test:${https}`, `CONNECT 127.0.0.1:${https}`])
  })

  it.each(['address', 'name'] as const)(
    'asked by %s is not asked for what is not judged to be public',
    async (connectBy) => {
      await start({ connectBy })
      for (const [name, answer, reason] of [
        ['far.test', { a: ['10.0.0.1'] }, 'address_not_public'],
        ['i-far.test', { a: [far, '169.254.169.254'] }, 'address_not_public'],
      ] as const) {
        world.dns.set(name, answer)
        const { client, heard } = await connect(name)
        const told = heard.status === 200 ? await insideOf(client, name) : heard
        expect(fieldOf(told, 'x-egress-reason')).toBe(reason)
      }
      world.dns.set('plain.test', 'nxdomain')
      expect((await getPlain('plain.test')).status).toBe(502)
      expect(parent.heads).toEqual([])
    },
  )

  it('gets its credentials, and nobody else does', async () => {
    await start({ login: { user: 'gate', secret: secretIn('PARENT_PASSWORD') } })
    expect((await get('i-far.test')).status).toBe(200)
    const basic = Buffer.from(`gate:${password}`).toString('base64')
    expect(parent.heads[0]).toContain(`\r\nProxy-Authorization: Basic ${basic}\r\n`)
    expect(world.https.connections.map(({ received }) => received.toString()).join('')).not.toContain('Proxy-')
    for (const shown of [...world.logged, await world.auditText()])
      for (const secret of [password, basic]) expect(shown).not.toContain(secret)
  })

  it('whose password is not there is not asked', async () => {
    await start({ login: { user: 'gate', secret: secretIn('ELSEWHERE') } })
    expect((await connect('far.test')).heard.status).toBe(502)
    expect(parent.open.size).toBe(0)
    await expect
      .poll(() => world.records)
      .toMatchObject([
        { outcome: 'failed', reason: 'parent_failed', detail: 'its password: variable ELSEWHERE is not set' },
      ])
  })

  it('is not asked for what is excepted, by name or by address', async () => {
    const name = parseDomainPattern('*.near.test')
    const block = parseCidr('127.0.0.0/8')
    if (typeof name === 'string' || block === null) expect.fail()
    await start({ except: { names: [name], blocks: [block] } })
    expect((await get('near.test')).status).toBe(200)
    expect(parent.heads).toEqual([])
    expect(world.https.connections).toHaveLength(1)
    await expect.poll(() => world.records).toMatchObject([{ address: `127.0.0.1:${world.ports.https}`, detail: null }])
  })

  it('is one of the places that no sandbox reaches, by any name', async () => {
    await start()
    for (const host of ['parent.test', '127.0.0.1'])
      expect(fieldOf((await connect(host, parent.port)).heard, 'x-egress-reason')).toBe('own_address')
    expect(parent.heads).toEqual([])
  })

  it('of another network: connections are kept and used again as those to origins are', async () => {
    await start()
    const { client } = await connect('i-far.test')
    const secure = await client.startTls({ servername: 'i-far.test', ca: world.caCertificate })
    for (let count = 0; count < 3; count++) {
      await secure.send(`GET / HTTP/1.1\r\nHost: i-far.test:${world.ports.https}\r\n\r\n`)
      expect(await secure.response()).toMatchObject({ status: 200 })
    }
    secure.destroy()
    expect(parent.heads).toHaveLength(1)
  })

  it('that reads TLS itself is believed by the CA of the operator, and by no other', async () => {
    await start()
    world.https.fault = 'untrusted_issuer'
    const { client } = await connect('i-far.test')
    expect(fieldOf(await insideOf(client, 'i-far.test'), 'proxy-status')).toContain('tls_certificate_error')
  })
})

async function insideOf(client: RawClient, host: string): Promise<RawResponse> {
  const secure = await client.startTls({ servername: host, ca: world.caCertificate })
  await secure.send(`GET / HTTP/1.1\r\nHost: ${host}:${world.ports.https}\r\n\r\n`)
  const heard = await secure.response()
  secure.destroy()
  return typeof heard === 'string' ? expect.fail(heard) : heard
}
