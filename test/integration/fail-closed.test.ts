import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rename, rm, stat, symlink, truncate, unlink, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hold, reach } from '../support/held-streams.ts'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import { fieldOf } from '../support/raw-client.ts'
import { linesOf, type RealGateway, type RealGatewayOptions, startRealGateway, until } from '../support/real-clients.ts'

const run = promisify(execFile)
const secret = 'the-real-secret-0123456789'

let site: Site
let options: RealGatewayOptions
beforeAll(async () => {
  site = await startSite()
  const rule = { addresses: ['127.0.0.0/8'], ports: [site.httpPort, site.httpsPort] }
  options = {
    hosts: ['origin.test', 'tunnel.test', 'api.test'],
    originCa: site.ca.certificate,
    credentials: [{ name: 'key', kind: 'bearer', hosts: ['api.test'] }],
    secrets: { key: secret },
    policies: {
      live: [
        { host: 'origin.test', methods: ['GET'], ...rule },
        { host: 'tunnel.test', ...rule },
        { host: 'api.test', credential: 'key', ...rule },
      ],
    },
  }
})
afterAll(() => site[Symbol.asyncDispose]())
beforeEach(() => void site.requests.splice(0))

type Answer = { readonly status: number; readonly reason: string | null; readonly retry: string | null }

/** One request on a connection of its own. */
async function ask(world: RealGateway, sandbox: Parameters<typeof reach>[2], host: string): Promise<Answer> {
  const through = host === 'api.test' ? 'interception' : 'plain'
  const { outer, client, head } = await reach(world, site, sandbox, host, through)
  await client.send(head('/hello'))
  const heard = await client.response()
  outer.destroy()
  if (typeof heard === 'string') return { status: 0, reason: heard, retry: null }
  return {
    status: heard.status,
    reason: fieldOf(heard, 'x-egress-reason'),
    retry: fieldOf(heard, 'x-should-retry'),
  }
}

const ready = async (world: RealGateway): Promise<[number, unknown]> => {
  const response = await world.control('GET', '/readyz')
  return [response.status, await response.json()]
}

describe('an audit log that cannot be written', () => {
  it('stops what is new, leaves what runs, and has lost nothing when it can be again', async () => {
    await using world = await startRealGateway(options)
    const sandbox = await world.sandbox('live')
    expect(await ask(world, sandbox, 'origin.test')).toMatchObject({ status: 200 })
    const tunnel = await hold(world, site, sandbox, 'tunnel.test', 'tunnel')
    await world.gateway.telemetry.flush()
    // What a disk answers that is full.
    await rename(world.auditFile, `${world.auditFile}.kept`)
    await symlink('/dev/full', world.auditFile)

    let allowed = 1
    const refused: Answer = { status: 503, reason: 'decision_unavailable', retry: 'true' }
    await until(async () => {
      const answer = await ask(world, sandbox, 'origin.test')
      if (answer.status === 200) allowed++
      else expect(answer).toEqual(refused)
      return answer.status === 503
    }, 'the first refusal')
    const seen = site.requests.length
    expect(await ask(world, sandbox, 'origin.test')).toEqual(refused)
    await expect(reach(world, site, sandbox, 'tunnel.test', 'tunnel')).rejects.toThrow('503 decision_unavailable')
    expect(site.requests).toHaveLength(seen)
    expect(await ready(world)).toEqual([503, expect.objectContaining({ problems: ['audit_blocked'] })])
    await tunnel.flowing()

    await unlink(world.auditFile)
    await rename(`${world.auditFile}.kept`, world.auditFile)
    await until(async () => (await ready(world))[0] === 200, 'readiness')
    expect(await ask(world, sandbox, 'origin.test')).toMatchObject({ status: 200 })
    tunnel.destroy()
    await until(async () => (await world.metric('sallyport_tunnels_open')) === 0, 'the end of the tunnel')
    const finals = (await world.audit()).filter(({ event }) => event === 'final')
    expect(finals.filter(({ outcome, kind }) => outcome === 'allow' && kind === 'request')).toHaveLength(allowed + 1)
    expect(finals.filter(({ kind }) => kind === 'tunnel')).toHaveLength(1)
    expect(finals.reduce((sum, { repeated }) => sum + repeated, 0)).toBe(
      await world.metric('sallyport_decisions_total'),
    )
    expect(await world.metric('sallyport_audit_dropped_total')).toBe(0)
  })

  describe('on a disk that is really full', () => {
    let disk: string | null = null
    beforeEach(async (context) => {
      const place = await mkdtemp(join(tmpdir(), 'sallyport-disk-'))
      try {
        await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', place])
        disk = place
      } catch {
        await rm(place, { recursive: true })
        context.skip('skipped: only root may mount a small disk')
      }
    })
    afterEach(async () => {
      if (disk === null) return
      await run('umount', ['-l', disk])
      await rm(disk, { recursive: true, force: true })
      disk = null
    })

    it('keeps every line whole', async () => {
      const place = disk ?? expect.fail('a disk')
      const ballast = join(place, 'ballast')
      await writeFile(ballast, Buffer.alloc(48 * 1024))
      await using world = await startRealGateway({ ...options, audit: { file: join(place, 'audit.jsonl') } })
      const sandbox = await world.sandbox('live')
      await until(async () => (await ask(world, sandbox, 'origin.test')).status === 503, 'a full disk', 15_000)
      const kept = await readFile(world.auditFile, 'utf8')
      expect(linesOf(kept.slice(0, kept.lastIndexOf('\n') + 1)).length).toBeGreaterThan(0)
      await truncate(ballast, 0)
      await until(async () => (await ready(world))[0] === 200, 'readiness')
      expect(await ask(world, sandbox, 'origin.test')).toMatchObject({ status: 200 })
      const finals = (await world.audit()).filter(({ event }) => event === 'final')
      expect(finals.reduce((sum, { repeated }) => sum + repeated, 0)).toBe(
        await world.metric('sallyport_decisions_total'),
      )
      expect(new Set(finals.map(({ decisionId }) => decisionId)).size).toBe(finals.length)
    })
  })
})

describe('a secret that vanishes', () => {
  it('makes its requests refused, not bare, and comes back by itself; others go on', async () => {
    await using world = await startRealGateway(options)
    const sandbox = await world.sandbox('live')
    expect(await ask(world, sandbox, 'api.test')).toMatchObject({ status: 200 })
    expect(site.requests.at(-1)?.headers.authorization).toBe(`Bearer ${secret}`)
    await unlink(world.secretFile('key'))
    await until(async () => (await ask(world, sandbox, 'api.test')).status === 503, 'the refusal', 1000)
    const seen = site.requests.length
    const { result, records } = await world.watch(1, () => ask(world, sandbox, 'api.test'))
    expect(result).toEqual({ status: 503, reason: 'secret_unavailable', retry: 'true' })
    expect(records[0]).toMatchObject({ outcome: 'deny', reason: 'secret_unavailable', credentials: [] })
    expect(site.requests).toHaveLength(seen)
    expect(await ask(world, sandbox, 'origin.test')).toMatchObject({ status: 200 })
    expect((await ready(world))[0]).toBe(200)
    await writeFile(world.secretFile('key'), `${secret}-rotated`)
    await until(async () => (await ask(world, sandbox, 'api.test')).status === 200, 'the new secret', 1000)
    expect(site.requests.at(-1)?.headers.authorization).toBe(`Bearer ${secret}-rotated`)
  })
})

describe('a gateway that cannot be built', () => {
  const key = (directory: string): string => join(directory, 'state', 'ca-key.pem')

  it.for([
    { what: 'a CA key that is no key', named: 'ca-key.pem', spoil: (at: string) => writeFile(key(at), 'no key\n') },
    { what: 'an empty CA key', named: 'ca-key.pem', spoil: (at: string) => truncate(key(at), 0) },
    {
      what: 'a CA key that cannot be read',
      named: 'ca-key.pem',
      spoil: async (at: string) => {
        await unlink(key(at))
        await mkdir(key(at))
      },
    },
    {
      what: 'a policy that does not load',
      named: 'bad.yaml',
      spoil: (at: string) => writeFile(join(at, 'policies', 'bad.yaml'), 'rules: 7\n'),
    },
    {
      what: 'sessions that cannot be read',
      named: 'sessions.db',
      spoil: (at: string) => writeFile(join(at, 'state', 'sessions.db'), 'no database\n'),
    },
  ])('for $what says so and listens nowhere', async ({ named, spoil }) => {
    const directory = await mkdtemp(join(tmpdir(), 'sallyport-broken-'))
    try {
      const first = await startRealGateway({ ...options, directory })
      await first.gateway.stop()
      expect((await stat(key(directory))).isFile()).toBe(true)
      await spoil(directory)
      const port = await freePort()
      const listeners = [{ address: `127.0.0.1:${port}`, session: null }]
      await expect(startRealGateway({ ...options, directory, listeners })).rejects.toThrow(named)
      const probe = net.connect({ host: '127.0.0.1', port })
      const [error] = (await once(probe, 'error')) as [NodeJS.ErrnoException]
      expect(error.code).toBe('ECONNREFUSED')
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })

  it('for a port that is taken listens on no other', async () => {
    const taken = net.createServer()
    taken.listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const port = await freePort()
    const listeners = [port, (taken.address() as net.AddressInfo).port].map((one) => ({
      address: `127.0.0.1:${one}`,
      session: null,
    }))
    await expect(startRealGateway({ ...options, listeners })).rejects.toThrow('EADDRINUSE')
    const [error] = (await once(net.connect({ host: '127.0.0.1', port }), 'error')) as [NodeJS.ErrnoException]
    expect(error.code).toBe('ECONNREFUSED')
    taken.close()
  })
})

async function freePort(): Promise<number> {
  const server = net.createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
