/** A gateway of its own process, killed in the middle of its work, and the one that comes after it. */

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { ExchangeRecord } from '../../src/exchange/record.ts'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import { fieldOf, RawClient } from '../support/raw-client.ts'
import { type CreatedSession, linesOf, until } from '../support/real-clients.ts'
import { type Spawned, spawnCli } from '../support/spawned-cli.ts'

let site: Site
let directory: string
beforeAll(async () => {
  site = await startSite()
  directory = await mkdtemp(join(tmpdir(), 'sallyport-killed-'))
  await mkdir(join(directory, 'policies'), { mode: 0o700 })
  const rule = { addresses: ['127.0.0.0/8'], ports: [site.httpPort, site.httpsPort] }
  const policy = {
    version: 1,
    name: 'live',
    rules: [
      { host: 'origin.test', methods: ['GET'], ...rule },
      { host: 'tunnel.test', ...rule },
    ],
  }
  await writeFile(join(directory, 'policies', 'live.yaml'), JSON.stringify(policy))
  await writeFile(join(directory, 'origin.pem'), site.ca.certificate)
  const config = {
    version: 1,
    listeners: [{ address: '127.0.0.1:0' }],
    control: { address: '127.0.0.1:0' },
    stateDirectory: join(directory, 'state'),
    policies: join(directory, 'policies'),
    upstream: {
      extraCa: join(directory, 'origin.pem'),
      dns: { hosts: { 'origin.test': '127.0.0.1', 'tunnel.test': '127.0.0.1' } },
    },
    audit: { file: join(directory, 'audit.jsonl') },
    log: { level: 'warn' },
  }
  await writeFile(join(directory, 'sallyport.yaml'), JSON.stringify(config))
})
afterAll(async () => {
  await site[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

type Running = {
  readonly spawned: Spawned
  readonly proxyPort: number
  readonly control: (method: string, path: string, body?: object) => Promise<Response>
}

async function serve(): Promise<Running> {
  const spawned = spawnCli(['serve', '--json', '--config', join(directory, 'sallyport.yaml')], { cwd: directory })
  const facts = JSON.parse(await spawned.says(/"pid"/)) as {
    readonly proxies: readonly string[]
    readonly control: string
    readonly adminTokenPath: string
  }
  const admin = (await readFile(facts.adminTokenPath, 'utf8')).trim()
  return {
    spawned,
    proxyPort: Number(facts.proxies[0]?.split(':')[1]),
    control: (method, path, body = {}) =>
      fetch(`http://${facts.control}${path}`, {
        method,
        headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' },
        ...(method === 'GET' ? {} : { body: JSON.stringify(body) }),
      }),
  }
}

const auditText = (): Promise<string> => readFile(join(directory, 'audit.jsonl'), 'utf8')
const audit = async (): Promise<ExchangeRecord[]> => linesOf(await auditText())

/** 100 ms are promised; the rest is for a machine with other things to do. */
const unwrittenMs = 300

/** A stream that is read for as long as it comes, in a tunnel or inside interception. */
async function stream(port: number, host: string, proof: string, ca: string): Promise<void> {
  const outer = await RawClient.connect(port)
  const authority = `${host}:${site.httpsPort}`
  await outer.send(`CONNECT ${authority} HTTP/1.1\r\n${proof}\r\n`)
  expect(await outer.response({ bodiless: true })).toMatchObject({ status: 200 })
  const client = await outer.startTls({ servername: host, ca })
  await client.send(`GET /drip HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
  await until(() => client.unread.length > 0, host)
}

it('loses no session and no record but the latest, and closes what it left open', { timeout: 60_000 }, async () => {
  const first = await serve()
  const created = await first.control('POST', '/v1/sessions', { policy: 'live' })
  const { id, token, caCertificate } = (await created.json()) as CreatedSession
  const proof = `Proxy-Authorization: Basic ${Buffer.from(`${id}:${token}`).toString('base64')}\r\n`
  await stream(first.proxyPort, 'tunnel.test', proof, site.ca.certificate)
  await stream(first.proxyPort, 'origin.test', proof, caCertificate)

  // Short exchanges, one after the other, until the connection dies under them.
  const authority = `origin.test:${site.httpPort}`
  const answered: { readonly decisionPath: string; readonly at: number }[] = []
  const client = await RawClient.connect(first.proxyPort)
  const traffic = (async () => {
    for (let i = 0; ; i++) {
      const path = `/short/${i}`
      await client.send(`GET http://${authority}${path} HTTP/1.1\r\nHost: ${authority}\r\n${proof}\r\n`)
      const heard = await client.response()
      if (typeof heard === 'string') return
      expect(heard.status).toBe(404)
      answered.push({ decisionPath: path, at: performance.now() })
    }
  })()
  await until(async () => (await auditText()).split('"event":"open"').length === 3, 'open lines')
  await delay(2 * unwrittenMs)
  const killedAt = performance.now()
  first.spawned.child.kill('SIGKILL')
  await Promise.all([first.spawned.end, traffic])

  const left = await audit()
  const recorded = new Set(left.map(({ path }) => path))
  const old = answered.filter(({ at }) => at < killedAt - unwrittenMs)
  expect(old.length).toBeGreaterThan(50)
  expect(old.filter(({ decisionPath }) => !recorded.has(decisionPath))).toEqual([])

  const second = await serve()
  const orphans = left.filter(({ event }) => event === 'open')
  const closed = (await audit()).slice(left.length)
  expect(closed.map(({ decisionId }) => decisionId).sort()).toEqual(orphans.map(({ decisionId }) => decisionId).sort())
  expect(closed.map(({ event, outcome, session }) => [event, outcome, session])).toEqual([
    ['final', 'interrupted', id],
    ['final', 'interrupted', id],
  ])
  expect(await (await second.control('GET', `/v1/sessions/${id}`)).json()).toMatchObject({ id, state: 'live' })
  const again = await RawClient.connect(second.proxyPort)
  await again.send(`GET http://${authority}/hello HTTP/1.1\r\nHost: ${authority}\r\n${proof}\r\n`)
  expect(await again.response()).toMatchObject({ status: 200 })
  await again.send(`GET http://denied.test/ HTTP/1.1\r\nHost: denied.test\r\n${proof}\r\n`)
  const denied = await again.response()
  expect(typeof denied === 'string' ? denied : fieldOf(denied, 'x-egress-reason')).toBe('host_not_allowed')
  again.destroy()
  second.spawned.child.kill('SIGTERM')
  expect(await second.spawned.end).toMatchObject({ code: 0 })
  const ids = (await audit()).filter(({ event }) => event === 'final').map(({ decisionId }) => decisionId)
  expect(new Set(ids).size).toBe(ids.length)
})
