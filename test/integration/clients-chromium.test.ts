/**
 * Chromium behind the proxy: it trusts our CA as a person would have it, authenticates, and is refused in words.
 */

import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import { type RealGateway, startRealGateway } from '../support/real-clients.ts'

const run = promisify(execFile)
const secret = 'the-key-of-the-account-0123456789'

let site: Site
let world: RealGateway
let browser: Browser
let page: Page
beforeAll(async () => {
  site = await startSite((_request, response) => {
    response.setHeader('content-type', 'text/html')
    response.end('<title>a page</title>')
  })
  const rule = { addresses: ['127.0.0.0/8'], ports: [site.httpsPort], methods: ['GET'] }
  world = await startRealGateway({
    hosts: ['page.test', 'api.test'],
    originCa: site.ca.certificate,
    policies: {
      browsing: [
        { ...rule, host: 'page.test', paths: ['/', '/hello'] },
        { ...rule, host: 'api.test', credential: 'api' },
      ],
    },
    credentials: [{ name: 'api', kind: 'bearer', hosts: ['api.test'] }],
    secrets: { api: secret },
  })
  browser = await launch()
}, 60_000)
afterAll(async () => {
  await browser?.close()
  await world?.[Symbol.asyncDispose]()
  await site?.[Symbol.asyncDispose]()
})
beforeEach(async () => {
  site.requests.splice(0)
  page = await browser.newPage()
})
afterEach(() => page?.close())

/** With a home of its own in which our CA is one of the roots. */
async function launch(): Promise<Browser> {
  const sandbox = await world.sandbox('browsing', { refusal: 'inside' })
  const roots = join(sandbox.directory, '.pki', 'nssdb')
  await mkdir(roots, { recursive: true })
  await run('certutil', ['-d', `sql:${roots}`, '-N', '--empty-password'])
  const certificate = join(world.directory, 'state', 'public', 'ca.pem')
  await run('certutil', ['-d', `sql:${roots}`, '-A', '-n', 'sallyport', '-t', 'C,,', '-i', certificate])
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-background-networking', '--disable-component-update'],
    env: { PATH: process.env['PATH'] ?? '', HOME: sandbox.directory },
    proxy: {
      server: `http://${world.gateway.proxies[0]}`,
      username: sandbox.id,
      password: sandbox.token,
      // Without it names of this machine would go past the proxy.
      bypass: '<-loopback>',
    },
  })
}

const url = (host: string, path: string): string => `https://${host}:${site.httpsPort}${path}`

it('shows a page that is allowed', async () => {
  const answer = await page.goto(url('page.test', '/hello'))
  expect(answer?.status()).toBe(200)
  expect(await page.textContent('body')).toContain(`hello from page.test:${site.httpsPort}`)
})

it.each([
  ['another host', 'denied.test', '/', 'host_not_allowed'],
  ['another path', 'page.test', '/secret', 'path_not_allowed'],
])('shows why %s is refused', async (_, host, path, reason) => {
  const answer = await page.goto(url(host, path))
  expect(answer?.status()).toBe(403)
  expect(await page.textContent('body')).toContain(reason)
  expect(site.requests).toEqual([])
})

it('has the secret put on for a page of the API itself, and for no page of another site', async () => {
  await page.goto(url('page.test', '/'))
  const across = await page.evaluate(
    async (target) => {
      const answer = await fetch(target, { mode: 'no-cors' })
      return answer.type
    },
    url('api.test', '/hello'),
  )
  expect(across).toBe('opaque')
  expect(site.requests.filter(({ headers }) => headers.host?.startsWith('api.test'))).toEqual([])

  await page.goto(url('api.test', '/'))
  const own = await page.evaluate(async () => (await fetch('/hello')).status)
  expect(own).toBe(200)
  const sent = site.requests.filter(({ url }) => url === '/hello').map(({ headers }) => headers.authorization)
  expect(sent).toEqual([`Bearer ${secret}`])
})
