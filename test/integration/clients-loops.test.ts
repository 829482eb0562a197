/** Clients that ask for what is refused again and again, and clients that change their mind about our CA (decision 30). */

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { ExchangeRecord } from '../../src/exchange/record.ts'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import { linesOf, type RealGateway, type Sandbox, startRealGateway } from '../support/real-clients.ts'

let site: Site
let world: RealGateway
beforeAll(async () => {
  site = await startSite()
  const rule = { host: 'open.test', addresses: ['127.0.0.0/8'], ports: [site.httpsPort], methods: ['GET'] }
  world = await startRealGateway({ hosts: ['open.test'], originCa: site.ca.certificate, policies: { one: [rule] } })
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
  await site?.[Symbol.asyncDispose]()
})

it('a refusal is told inside TLS as long as curl takes our leaf, and in the CONNECT once it did not', async () => {
  const sandbox = await world.sandbox('one')
  const strangers = join(sandbox.directory, 'strangers.pem')
  await writeFile(strangers, site.ca.certificate)
  const curl = (url: string, ...more: readonly string[]) => sandbox.run('curl', ['-sS', ...more, url])
  const open = `https://open.test:${site.httpsPort}/hello`
  const denied = 'https://denied.test/'
  const inConnect = (await curl(denied)).said
  expect(inConnect).toContain('CONNECT tunnel failed, response 403')
  for (let i = 0; i < 2; i++) {
    expect((await curl(open)).stdout).toContain('hello from open.test')
    const told = await curl(denied)
    expect([told.code, JSON.parse(told.stdout)]).toMatchObject([0, { reason: 'host_not_allowed' }])
    // It has other roots, or pins the origin's own certificate.
    expect((await curl(open, '--cacert', strangers)).code).toBe(60)
    expect((await curl(denied, '--cacert', strangers)).said).toContain('CONNECT tunnel failed, response 403')
    expect((await curl(denied)).said).toContain('CONNECT tunnel failed, response 403')
  }
}, 60_000)

/** Asks so often, one after the other; how long each took, and what it was told. */
async function askAgain(sandbox: Sandbox, count: number): Promise<readonly (readonly [ms: number, status: number])[]> {
  const program = `
    const told = []
    for (let i = 0; i < ${count}; i++) {
      const began = performance.now()
      const answer = await fetch('http://denied.test/same')
      await answer.text()
      told.push([performance.now() - began, answer.status])
    }
    console.log(JSON.stringify(told))`
  const ran = await sandbox.run(process.execPath, ['--input-type=module', '-e', program], { timeoutMs: 60_000 })
  expect(ran.code, ran.said).toBe(0)
  return JSON.parse(ran.stdout) as [number, number][]
}

it('an agent in a loop is answered every time, a little later each, with one line for all that is alike, and nobody else waits', async () => {
  const [looping, other] = [await world.sandbox('one'), await world.sandbox('one')]
  const [told, meanwhile] = await Promise.all([askAgain(looping, 108), askAgain(other, 3)])
  expect(new Set(told.map(([, status]) => status))).toEqual(new Set([403]))
  for (const [ms] of told.slice(-6)) expect(ms).toBeGreaterThan(200)
  const median = told.map(([ms]) => ms).sort((a, b) => a - b)[54] ?? 0
  expect(median).toBeLessThan(200)
  expect(meanwhile.map(([, status]) => status)).toEqual([403, 403, 403])
  expect((await askAgain(other, 2)).map(([, status]) => status)).toEqual([403, 403])
  await world.gateway.telemetry.flush()
  const linesFor = (all: readonly ExchangeRecord[]) => all.filter(({ session }) => session === looping.id)
  expect(linesFor(await world.audit())).toHaveLength(100)
  await world.gateway.stop()
  const lines = linesFor(linesOf(await readFile(world.auditFile, 'latin1')))
  expect(lines.map(({ repeated }) => repeated)).toEqual([...Array<number>(100).fill(1), 8])
}, 90_000)
